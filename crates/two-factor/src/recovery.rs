//! Recovery codes: the way in when the authenticator is lost.
//!
//! A code has 80 random bits. It is shown once, as
//! `XXXX-XXXX-XXXX-XXXX` in Crockford's base32, and kept only as an argon2id
//! hash. All codes of one set share one salt, so that an attempt costs one
//! evaluation whatever the number of codes left. The salt keeps sets apart,
//! and random codes of one set need nothing to keep them apart. The key that
//! `keyed` storage asks for is the store's: it encrypts the hashes with its
//! keyring, which can be rotated, and a key inside the hash could not.
//!
//! That a code works once is the store's promise: it deletes or marks the
//! code that [`find`] named in the same transaction.

mod code;
mod hash;

pub use code::RecoveryCode;
pub use hash::{RecoveryHash, RecoverySalt, find};

use myelin_ambient::Entropy;

use crate::limits::RECOVERY_CODES;

/// A new set of codes, to be shown once. It replaces every earlier one.
#[derive(Debug)]
pub struct RecoverySet {
    /// The salt of all hashes of the set.
    pub salt: RecoverySalt,
    /// The codes. A code's index in the store is its place here.
    pub codes: Vec<RecoveryCode>,
}

/// A new set of [`RECOVERY_CODES`] codes.
#[must_use]
pub fn generate_set(entropy: &dyn Entropy) -> RecoverySet {
    RecoverySet {
        salt: RecoverySalt::generate(entropy),
        codes: (0..RECOVERY_CODES).map(|_| RecoveryCode::generate(entropy)).collect(),
    }
}

impl RecoverySet {
    /// The hashes, in the order of the codes. Slow: one evaluation per code,
    /// about a tenth of a second in all. Not to be called where other tasks
    /// wait for the thread.
    #[must_use]
    pub fn hashes(&self) -> Vec<RecoveryHash> {
        self.codes.iter().map(|code| code.hash(&self.salt)).collect()
    }
}
