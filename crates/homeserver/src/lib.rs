//! The homeserver port, and its adapters.
//!
//! It owns how a password is checked, a login minted, an operation performed
//! and a token resolved at a homeserver. It refuses to know whether that was
//! allowed: what needs proof takes an [`myelin_uia::Authenticated`] as an
//! argument, and second factors are unknown here.

mod bearer;
mod body;
pub mod embedded;
pub mod gateway;
mod operation;
mod port;
mod refusal;
mod sign_on;
pub mod strict_json;
pub mod upstream;
mod who;

pub use bearer::{access_token, has_access_token};
pub use body::BodyLimits;
pub use operation::{
    Head, Operation, OperationRequest, PasswordEvidence, Performed, Reauthentication, Registration,
    Silent,
};
pub use port::{AtOnce, Homeserver, LoggedIn, PasswordCheck, Provisional, Resolved};
pub use refusal::{Error, Refusal};
pub use sign_on::{IdentityProvider, SignOn};
pub use who::{AccessToken, Context, Device, Identity, Password};
