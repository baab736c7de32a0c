//! Time-based one-time passwords (RFC 6238, HMAC-SHA-1).
//!
//! The module owns the secret, the token, and the question "does this token
//! match, and at which step?". It answers with the step, never with a bool,
//! because a code is accepted once (RFC 6238 §5.2) and the step is what the
//! store has to write down before anybody is let in. It counts no failures:
//! that is [`crate::throttle`].

mod parameters;
mod secret;
mod token;
mod uri;
mod verify;

pub use parameters::{Digits, OutOfRange, Period, Step, TotpParameters, Window};
pub use secret::TotpSecret;
pub use token::TotpToken;
pub use uri::uri;
pub use verify::{Match, Verdict, verify, verify_any};
