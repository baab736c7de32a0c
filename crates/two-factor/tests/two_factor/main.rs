//! The claims of this crate, one file per subject.

mod app_passwords;
mod authenticators;
mod codes;
mod otpauth;
mod recovery_codes;
mod redaction;
mod rfc_vectors;
mod throttling;
mod throttling_properties;
mod tokens;

use myelin_ambient::{SeededEntropy, Timestamp};
use myelin_two_factor::{Digits, TotpParameters, TotpSecret, TotpToken, Window};

/// Some moment: the first second of step 59,833,333.
const NOW: Timestamp = Timestamp::from_millis(1_794_999_990_000);

/// The moment `secs` seconds after the epoch.
const fn at_secs(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

/// Parameters that accept `steps` on either side of the current one.
fn with_window(steps: u8) -> TotpParameters {
    TotpParameters { window: Window::new(steps).expect("a valid window"), ..Default::default() }
}

/// A secret that is the same for the same seed.
fn secret(seed: u64) -> TotpSecret {
    TotpSecret::generate(&SeededEntropy::new(seed))
}

/// A six-digit token.
fn token(text: &str) -> TotpToken {
    TotpToken::parse(text, Digits::default()).expect("a well-formed token")
}
