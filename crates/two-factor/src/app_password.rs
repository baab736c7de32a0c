//! App passwords: for programs that can send a password and nothing else.
//!
//! It owns how one is spelled and told from a password that somebody has chosen.
//! It refuses to know whose it is and where its digest is kept.

use std::fmt;

use data_encoding::{Encoding, Specification};
use myelin_ambient::Entropy;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::id;

/// What every app password begins with.
const PREFIX: &str = "mapp";

/// Crockford's base32 in lower case: no `i`, `l`, `o` or `u`.
const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

/// Random bytes: 160 bits, so that a plain digest of it tells nothing.
const BYTES: usize = 20;

/// Characters between two hyphens; eight such groups.
const GROUP: usize = 4;

/// An app password: `mapp` and eight groups of four characters, with hyphens
/// between.
///
/// It is wiped when dropped, cannot be serialised, and does not show itself in
/// debug output.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct AppPassword(String);

impl AppPassword {
    /// A new app password.
    ///
    /// # Panics
    ///
    /// Never: the alphabet is valid.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let random = Zeroizing::new(entropy.bytes::<BYTES>());
        let chars = Zeroizing::new(encoding().encode(&*random));
        // Room for all of it: a string that grows leaves copies.
        let mut text = String::with_capacity(PREFIX.len() + chars.len() / GROUP * (GROUP + 1));
        text.push_str(PREFIX);
        for (place, char) in chars.chars().enumerate() {
            if place.is_multiple_of(GROUP) {
                text.push('-');
            }
            text.push(char);
        }
        Self(text)
    }

    /// The password, if it is spelled exactly as an app password is; else it is
    /// one that somebody has chosen, and not to be looked up.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut groups = text.split('-');
        let is_group = |group: &str| {
            group.len() == GROUP && group.bytes().all(|byte| ALPHABET.as_bytes().contains(&byte))
        };
        let well_formed = groups.next() == Some(PREFIX)
            && groups.clone().count() == BYTES * 8 / 5 / GROUP
            && groups.all(is_group);
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The text, to be shown once and to be digested.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

fn encoding() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str(ALPHABET);
    specification.encoding().expect("invariant: there are 32 different symbols")
}

impl fmt::Debug for AppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("AppPassword(redacted)")
    }
}

/// What every identifier begins with.
const ID_PREFIX: &str = "p_";

/// The public identifier of an app password: `p_` and 16 URL-safe characters.
///
/// It is no secret and grants nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppPasswordId(String);

impl AppPasswordId {
    /// A new identifier.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(id::generate(ID_PREFIX, entropy))
    }

    /// Reads an identifier; `None` if `text` is not of its form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        id::parse(ID_PREFIX, text).map(Self)
    }

    /// The text on the wire and in the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppPasswordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
