//! The embedded homeserver on a real SQLite database, without a server in
//! front of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;
mod cross_signing;
mod devices;
mod harness;
mod http;
mod login;
mod operations;
mod passwords;
mod register;
