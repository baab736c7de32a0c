//! The gate: User-Interactive Authentication in front of an operation.
//!
//! It joins the flow engine, which knows what may come next, with the stages,
//! which know what proves something, and with the store, which commits both at
//! once. Nothing leaves it but a proof or a response to send.

mod auth;
mod challenge;
mod gate;
mod grant;
mod page;
mod password;
mod recovery;
mod throttle;
mod totp;

pub(crate) use auth::{Auth, Evidence, string};
pub(crate) use gate::{Gate, Passed, Place, Proved, Purpose, Tried};
