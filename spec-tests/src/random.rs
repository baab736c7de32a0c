//! Names that no earlier run has used.
//!
//! Not for secrets: nothing here protects anything but throw-away test users.

use std::hash::{BuildHasher, RandomState};

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `length` random lower-case letters.
pub(crate) fn letters(length: usize) -> String {
    pick(LETTERS, length)
}

/// 32 random bytes in unpadded base64, as a public key is written.
pub(crate) fn key() -> String {
    // 43 characters hold 258 bits: the last one carries only four of them, so
    // it must be one whose two lowest bits are zero.
    pick(BASE64, 42) + "A"
}

fn pick(alphabet: &[u8], length: usize) -> String {
    let keys = RandomState::new();
    (0..length)
        .map(|index| {
            let hash = keys.hash_one(index) % alphabet.len() as u64;
            char::from(alphabet[usize::try_from(hash).unwrap_or_default()])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_differ() {
        assert_ne!(letters(12), letters(12));
        assert_ne!(key(), key());
    }

    #[test]
    fn lengths_are_as_asked() {
        assert_eq!(letters(12).len(), 12);
        assert_eq!(key().len(), 43);
    }
}
