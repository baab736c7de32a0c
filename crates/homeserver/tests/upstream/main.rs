//! The way to a homeserver, against homeservers that misbehave on purpose.
//!
//! Each is a real server on loopback. What it does is written in the test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asking;
mod forwarding;
mod reusing;
mod support;
