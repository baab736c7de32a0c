//! The secret that server and authenticator app share.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use myelin_ambient::Entropy;
use totp_rs::{Builder, Secret, Totp};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::TotpParameters;
use crate::limits::SECRET_BYTES;

/// The shared secret of one authenticator (RFC 4226 §4 R6): 160 bits.
///
/// It is wiped when dropped, cannot be serialised, and does not show itself in
/// debug output.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TotpSecret([u8; SECRET_BYTES]);

impl TotpSecret {
    /// A new secret.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut secret = Self([0; SECRET_BYTES]);
        entropy.fill(&mut secret.0);
        secret
    }

    /// A secret that was generated earlier.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for encryption.
    #[must_use]
    pub const fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// The text that a person can type into an app: 32 characters of base32
    /// (RFC 4648 §6) without padding.
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }

    /// A generator whose time is counted in steps, not in seconds.
    pub(super) fn generator(&self, parameters: &TotpParameters) -> Totp {
        // Not "noncompliant": the types of this crate hold what the checked
        // constructor would check, and more.
        Builder::new()
            .with_digits(parameters.digits.get())
            .with_step_duration(1)
            .with_secret(Secret::new_stack(self.0))
            .build_noncompliant()
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("TotpSecret(redacted)")
    }
}
