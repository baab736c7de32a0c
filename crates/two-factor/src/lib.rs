//! The second factor as a domain: TOTP, recovery codes, enrolment and lockout.
//!
//! This crate decides; it stores nothing, opens no socket and reads no clock.
//! Time and randomness come in as arguments, so the same arguments give the
//! same answer. It knows nothing of Matrix, of stages or of sessions: a server
//! joins it with a flow engine, and a store writes down what it decided.
//!
//! | module | owns |
//! |---|---|
//! | [`totp`] | the secret, the token a client sends, the verdict, the `otpauth://` URI |
//! | [`authenticator`] | one authenticator's life from pending to disabled |
//! | [`recovery`] | recovery codes, how they are read and how they are hashed |
//! | [`app_password`] | passwords for programs, and how they are told from others |
//! | [`throttle`] | the waits after failures, and the lockout |
//! | [`limits`] | every number |
//!
//! # Example
//!
//! Somebody sets up an authenticator, confirms it, and the code that confirmed
//! it is spent.
//!
//! ```
//! use myelin_ambient::{SeededEntropy, Timestamp};
//! use myelin_two_factor::{
//!     Authenticator, Confirmation, Name, TotpParameters, TotpToken, Verdict, totp,
//! };
//!
//! // A real server passes `SystemEntropy` and its clock's time.
//! let entropy = SeededEntropy::new(1);
//! let now = Timestamp::from_millis(1_795_000_000_000);
//! let parameters = TotpParameters::default();
//!
//! let pending = Authenticator::enrol(Name::parse(Some("Phone"))?, now, &entropy);
//! let uri = totp::uri(&pending.secret, "Example", "alice@example.org", &parameters);
//! assert!(uri.starts_with("otpauth://totp/Example:alice%40example.org?secret="));
//!
//! // What the app shows now. A real server parses what the client sent.
//! let token = TotpToken::generate(&pending.secret, parameters.step_at(now), &parameters);
//! let Confirmation::Confirmed(active) = pending.confirm(&token, &parameters, now) else {
//!     panic!("the right code confirms");
//! };
//!
//! let verdict = totp::verify(&active.secret, &token, &parameters, now, active.last_step);
//! assert_eq!(verdict, Verdict::Replayed);
//! # Ok::<(), myelin_two_factor::NameError>(())
//! ```

pub mod app_password;
pub mod authenticator;
mod id;
pub mod limits;
pub mod recovery;
pub mod throttle;
pub mod totp;

pub use app_password::{AppPassword, AppPasswordId};
pub use authenticator::{Authenticator, AuthenticatorId, Confirmation, Name, NameError, Status};
pub use recovery::{RecoveryCode, RecoveryHash, RecoverySalt, RecoverySet};
pub use throttle::{Admission, Failure, FailureEffect, Throttle, ThrottlePolicy};
pub use totp::{
    Digits, Match, OutOfRange, Period, Step, TotpParameters, TotpSecret, TotpToken, Verdict, Window,
};
