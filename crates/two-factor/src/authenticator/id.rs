//! The public identifier of an authenticator.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use myelin_ambient::Entropy;

/// What every identifier begins with.
const PREFIX: &str = "t_";

/// Random bytes in an identifier.
const RANDOM_BYTES: usize = 12;

/// Characters that the random bytes become.
const RANDOM_CHARS: usize = 16;

/// The public identifier of an authenticator: `t_` and 16 URL-safe characters.
///
/// It is no secret and grants nothing. It is random (96 bits) so that it says
/// nothing about how many authenticators there are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthenticatorId(String);

impl AuthenticatorId {
    /// A new identifier.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let random = BASE64URL_NOPAD.encode(&entropy.bytes::<RANDOM_BYTES>());
        Self(format!("{PREFIX}{random}"))
    }

    /// Reads an identifier; `None` if `text` is not of its form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(PREFIX)?;
        let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (random.len() == RANDOM_CHARS && random.bytes().all(url_safe))
            .then(|| Self(text.to_owned()))
    }

    /// The text on the wire and in the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuthenticatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
