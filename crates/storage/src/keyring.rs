//! The keys that seal secrets, and their text form.
//!
//! A [`Keyring`] holds one current key, which seals, and the older ones, which
//! still open what they sealed. It refuses to know where it is kept: that is
//! [`KeySource`].

mod source;

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use myelin_ambient::Entropy;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use source::{FileKeySource, FixedKeySource, KeySource};

/// Set before a key when its id is derived, so that the id says nothing about
/// any other digest of the key.
const ID_DOMAIN: &[u8] = b"myelin key id v1\0";

/// Bytes of the digest that become the id.
const ID_BYTES: usize = 4;

/// A key: 256 random bits. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; Self::BYTES]);

impl Key {
    const BYTES: usize = 32;

    /// A new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Self([0; Self::BYTES]);
        entropy.fill(&mut key.0);
        key
    }

    /// A key that was generated earlier.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The key's id: 8 hex characters, derived from the key. A wrong key
    /// therefore has a wrong id and is taken for no other.
    pub fn id(&self) -> String {
        let digest = Sha256::new().chain_update(ID_DOMAIN).chain_update(self.0).finalize();
        HEXLOWER.encode(&digest[..ID_BYTES])
    }

    /// The bytes, for the cipher.
    pub(crate) const fn expose(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64.decode(text.as_bytes()).ok()?);
        let mut key = Self([0; Self::BYTES]);
        (bytes.len() == Self::BYTES).then(|| key.0.copy_from_slice(&bytes))?;
        Some(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        write!(f, "Key({}, redacted)", self.id())
    }
}

/// Keys in order: the first is current and seals; all of them open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    current: Key,
    older: Vec<Key>,
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file could not be read.
    #[error("the key file {path} could not be read")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner may read the file.
    #[error("the key file {path} can be read by others (mode {mode:o}): run `chmod 600 {path}`")]
    Exposed {
        /// Which file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no key in the text.
    #[error("the keyring holds no key")]
    Empty,
    /// A line is no key.
    #[error("line {line} of the keyring: {problem}")]
    Line {
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong with it. Never holds a part of a key.
        problem: &'static str,
    },
}

impl Keyring {
    /// A keyring with this key alone.
    pub const fn new(key: Key) -> Self {
        Self { current: key, older: Vec::new() }
    }

    /// A keyring with one new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::new(Key::generate(entropy))
    }

    /// Reads the text of [`Self::to_text`]: one key a line, `<id> <base64>`,
    /// the current one first. Empty lines and lines that begin with `#` are
    /// passed over.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Line`] with the number of the first line that is no
    /// key, or whose id is not its key's, or whose key was there before;
    /// [`KeyringError::Empty`] without any key.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key =
                parse_line(line).map_err(|problem| KeyringError::Line { line: number, problem })?;
            if keys.contains(&key) {
                return Err(KeyringError::Line { line: number, problem: "the key is there twice" });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or(KeyringError::Empty)?;
        Ok(Self { current, older: keys.collect() })
    }

    /// The text that [`Self::parse`] reads. Wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let line = |key: &Key| key.id().len() + 2 + BASE64.encode_len(Key::BYTES);
        // Room for all of it: a string that grows leaves copies of the keys.
        let mut text = Zeroizing::new(String::with_capacity(self.keys().map(line).sum()));
        for key in self.keys() {
            text.push_str(&key.id());
            text.push(' ');
            BASE64.encode_append(&key.0, &mut text);
            text.push('\n');
        }
        text
    }

    /// The keyring with a new current key in front; the others stay, to open
    /// what they sealed.
    #[must_use]
    pub fn rotated(self, entropy: &dyn Entropy) -> Self {
        let older = [vec![self.current], self.older].concat();
        Self { current: Key::generate(entropy), older }
    }

    /// The keyring without the older keys that have these ids. The current
    /// key stays in any case.
    #[must_use]
    pub fn without<S: AsRef<str>>(mut self, ids: &[S]) -> Self {
        self.older.retain(|key| !ids.iter().any(|id| id.as_ref() == key.id()));
        self
    }

    /// The key that seals.
    pub const fn current(&self) -> &Key {
        &self.current
    }

    /// The ids of all keys, the current one first.
    pub fn ids(&self) -> Vec<String> {
        self.keys().map(Key::id).collect()
    }

    /// The key with this id.
    pub fn key(&self, id: &str) -> Option<&Key> {
        self.keys().find(|key| key.id() == id)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

fn parse_line(line: &str) -> Result<Key, &'static str> {
    let (id, encoded) =
        line.split_once(char::is_whitespace).ok_or("there must be an id, a space, and a key")?;
    let key = Key::decode(encoded.trim()).ok_or("the key is not 32 bytes in base64")?;
    if key.id() == id { Ok(key) } else { Err("the id is not this key's: the key is damaged") }
}

#[cfg(test)]
mod tests {
    use myelin_ambient::SeededEntropy;

    use super::*;

    fn keyring(keys: u64) -> Keyring {
        let entropy = SeededEntropy::new(1);
        (1..keys).fold(Keyring::generate(&entropy), |keyring, _| keyring.rotated(&entropy))
    }

    fn problem(text: &str) -> (usize, &'static str) {
        match Keyring::parse(text) {
            Err(KeyringError::Line { line, problem }) => (line, problem),
            other => panic!("a bad line, not {other:?}"),
        }
    }

    #[test]
    fn text_reads_back_with_comments_and_blank_lines() {
        let keyring = keyring(3);
        let text = format!("# my keys\n\n{}# the end", *keyring.to_text());
        assert_eq!(Keyring::parse(&text).unwrap(), keyring);
    }

    #[test]
    fn rotation_puts_the_new_key_first_and_keeps_the_old() {
        let before = keyring(2);
        let after = before.clone().rotated(&SeededEntropy::new(2));
        assert_eq!(after.ids()[1..], before.ids());
        assert_ne!(after.current(), before.current());
    }

    #[test]
    fn without_drops_older_keys_but_never_the_current_one() {
        let keyring = keyring(3);
        let ids = keyring.ids();
        assert_eq!(keyring.clone().without(&ids[1..2]).ids(), [ids[0].clone(), ids[2].clone()]);
        assert_eq!(keyring.without(&ids).ids(), [ids[0].clone()]);
    }

    #[test]
    fn errors_name_the_line() {
        let good = keyring(1).to_text();
        assert_eq!(problem(&format!("{}nonsense", *good)).0, 2);
        assert_eq!(problem("# one\n\n01234567 AAAA").0, 3);
        assert_eq!(problem(&good.repeat(2)), (2, "the key is there twice"));
        assert!(matches!(Keyring::parse("# nothing\n"), Err(KeyringError::Empty)));
    }

    #[test]
    fn damaged_key_does_not_match_its_id() {
        let text = keyring(1).to_text().replacen(|c: char| c.is_ascii_uppercase(), "+", 1);
        assert_eq!(problem(&text), (1, "the id is not this key's: the key is damaged"));
    }

    #[test]
    fn debug_shows_no_key() {
        let keyring = keyring(1);
        let encoded = BASE64.encode(keyring.current().expose());
        let shown = format!("{keyring:?} {keyring:#?}");
        assert!(!shown.contains(&encoded) && shown.contains("redacted"), "{shown}");
    }
}
