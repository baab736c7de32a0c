//! What is kept of a recovery code.

use std::fmt;

use myelin_ambient::Entropy;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The salt of one set of recovery codes. It is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoverySalt([u8; 16]);

impl RecoverySalt {
    /// A new salt.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// A salt that was generated earlier.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The argon2id hash of a recovery code.
///
/// It is wiped when dropped, cannot be serialised, compares in constant time,
/// and does not show itself in debug output.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryHash([u8; 32]);

impl RecoveryHash {
    /// A hash that was made earlier.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for encryption.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) const fn as_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl ConstantTimeEq for RecoveryHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for RecoveryHash {
    /// Takes the same time whatever the bytes are.
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for RecoveryHash {}

impl fmt::Debug for RecoveryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("RecoveryHash(redacted)")
    }
}

/// The index of the unused code that has this hash; `None` if there is none.
///
/// Every hash is compared, and the time does not tell which one matched.
#[must_use]
pub fn find(hash: &RecoveryHash, unused: &[(u32, RecoveryHash)]) -> Option<u32> {
    let mut found = Choice::from(0);
    let mut index = 0;
    for (candidate, other) in unused {
        let same = hash.ct_eq(other);
        index.conditional_assign(candidate, same);
        found |= same;
    }
    bool::from(found).then_some(index)
}
