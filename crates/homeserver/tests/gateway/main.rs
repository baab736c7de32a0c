//! The adapters, against homeservers that lie on purpose.
//!
//! Each is a real server on loopback. What it answers is written in the test,
//! and what it was asked is looked at afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod challenges;
mod empty_answers;
mod examine;
mod logins;
mod logout;
mod script;
mod sign_on;
mod throw_away;
