//! The homeserver port, and its adapters.
//!
//! It owns how a password is checked, a login minted, an operation performed
//! and a token resolved at a homeserver. It refuses to know whether that was
//! allowed: what needs proof takes an [`myelin_uia::Authenticated`] as an
//! argument, and second factors are unknown here.

mod bearer;
mod body;
pub mod embedded;
mod port;
mod refusal;
pub mod strict_json;
pub mod upstream;

pub use bearer::access_token;
pub use body::BodyLimits;
pub use port::{
    AccessToken, Context, Device, Homeserver, Identity, Operation, OperationRequest, Password,
    PasswordCheck, Registration, Resolved, Silent,
};
pub use refusal::{Error, Refusal};
