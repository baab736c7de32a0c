//! Public identifiers: a prefix that says of what, and random characters.

use data_encoding::BASE64URL_NOPAD;
use myelin_ambient::Entropy;

/// Random bytes in an identifier.
const RANDOM_BYTES: usize = 12;

/// Characters that the random bytes become.
const RANDOM_CHARS: usize = 16;

/// A new identifier. It is random (96 bits) so that it says nothing about how
/// many there are.
pub(crate) fn generate(prefix: &str, entropy: &dyn Entropy) -> String {
    format!("{prefix}{}", BASE64URL_NOPAD.encode(&entropy.bytes::<RANDOM_BYTES>()))
}

/// The text, if it is of an identifier's form.
pub(crate) fn parse(prefix: &str, text: &str) -> Option<String> {
    let random = text.strip_prefix(prefix)?;
    let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (random.len() == RANDOM_CHARS && random.bytes().all(url_safe)).then(|| text.to_owned())
}
