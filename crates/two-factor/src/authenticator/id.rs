//! The public identifier of an authenticator.

use std::fmt;

use myelin_ambient::Entropy;

use crate::id;

/// What every identifier begins with.
const PREFIX: &str = "t_";

/// The public identifier of an authenticator: `t_` and 16 URL-safe characters.
///
/// It is no secret and grants nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthenticatorId(String);

impl AuthenticatorId {
    /// A new identifier.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(id::generate(PREFIX, entropy))
    }

    /// Reads an identifier; `None` if `text` is not of its form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        id::parse(PREFIX, text).map(Self)
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
