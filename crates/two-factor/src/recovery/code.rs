//! One recovery code and its spelling.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use myelin_ambient::Entropy;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{RecoveryHash, RecoverySalt};
use crate::limits::{RECOVERY_LANES, RECOVERY_MEMORY_KIB, RECOVERY_PASSES};

/// Crockford's base32: no `I`, `L`, `O` or `U`.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Random bytes in a code: 80 bits.
const BYTES: usize = 10;

/// Characters of a code, without hyphens: five bits each.
const CHARS: usize = 16;

/// Characters between two hyphens.
const GROUP: usize = 4;

/// A recovery code.
///
/// It is wiped when dropped, cannot be serialised, and does not show itself in
/// debug output.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RecoveryCode([u8; BYTES]);

impl RecoveryCode {
    /// A new code.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut code = Self([0; BYTES]);
        entropy.fill(&mut code.0);
        code
    }

    /// Reads what a client sent: ASCII spaces and hyphens and the case are
    /// ignored, `O` is read as `0`, `I` and `L` as `1`, and exactly 16
    /// Crockford characters must remain.
    ///
    /// `None` means malformed. A malformed code is a failed attempt but not a
    /// guess: it is compared with nothing and not counted.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut values = Zeroizing::new([0; CHARS]);
        let mut free = values.iter_mut();
        for byte in text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
            *free.next()? = value_of(byte)?;
        }
        if free.next().is_some() {
            return None;
        }
        Some(Self::from_values(&values))
    }

    /// Packs sixteen values of five bits, most significant first.
    fn from_values(values: &[u8; CHARS]) -> Self {
        let mut bits = Zeroizing::new(0_u128);
        for value in values {
            *bits = *bits << 5 | u128::from(*value);
        }
        let bytes = Zeroizing::new(bits.to_be_bytes());
        let mut code = Self([0; BYTES]);
        code.0.copy_from_slice(&bytes[bytes.len() - BYTES..]);
        code
    }

    /// The sixteen values of five bits, most significant first.
    fn to_values(&self) -> Zeroizing<[u8; CHARS]> {
        let mut bits = Zeroizing::new(0_u128);
        for byte in self.0 {
            *bits = *bits << 8 | u128::from(byte);
        }
        let mut values = Zeroizing::new([0; CHARS]);
        for value in values.iter_mut().rev() {
            *value = (*bits & 31) as u8;
            *bits >>= 5;
        }
        values
    }

    /// The text to show: `XXXX-XXXX-XXXX-XXXX`.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for all of it: a string that grows leaves copies of the code.
        let mut text = Zeroizing::new(String::with_capacity(CHARS + CHARS / GROUP));
        for (place, value) in self.to_values().iter().enumerate() {
            if place > 0 && place % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(*value)]));
        }
        text
    }

    /// The argon2id hash (RFC 9106) with the parameters of [`crate::limits`].
    /// Slow, about ten milliseconds, and 7 MiB of memory.
    ///
    /// # Panics
    ///
    /// When there is no memory, as any allocation does.
    #[must_use]
    pub fn hash(&self, salt: &RecoverySalt) -> RecoveryHash {
        let parameters = Params::new(RECOVERY_MEMORY_KIB, RECOVERY_PASSES, RECOVERY_LANES, None)
            .expect("invariant: the limits are valid argon2 parameters");
        let mut hash = RecoveryHash::from_bytes([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(&self.0, salt.as_bytes(), hash.as_mut())
            .expect("invariant: the lengths are valid, and there is memory");
        hash
    }
}

/// The value of a Crockford character in either case.
fn value_of(byte: u8) -> Option<u8> {
    let canonical = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    // The table is read whole, so that the time does not tell the character.
    let mut value = None;
    for (candidate, symbol) in (0..).zip(ALPHABET) {
        if *symbol == canonical {
            value = Some(candidate);
        }
    }
    value
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("RecoveryCode(redacted)")
    }
}
