//! The real binary, run as people run it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config;
mod doctor;
mod keys;
mod kill;
mod logs;
mod migrate;
mod postgres;
mod refusals;
mod routes;
mod serve;
mod sockets;
mod support;
mod two_processes;
mod users;
mod web_sockets;
