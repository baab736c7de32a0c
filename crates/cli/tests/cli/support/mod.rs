//! The binary as a process, and HTTP to it.

mod account;
mod home;
mod http;
mod server;

pub(crate) use account::Account;
pub(crate) use home::{Home, Ran};
pub(crate) use http::{Answer, Connection, connect, head, read_to_end, request};
pub(crate) use server::Server;
