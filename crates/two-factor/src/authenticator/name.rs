//! What the user calls an authenticator.

use std::fmt;

use crate::limits::{DEFAULT_NAME, NAME_MAX_CHARS};

/// What the user calls an authenticator: 1 to 64 characters, none of them a
/// control character, and no white space at the ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

/// Why a text is no name. A bad name is refused, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("a name must not be empty")]
    Empty,
    /// It has more than [`NAME_MAX_CHARS`] characters.
    #[error("a name must not have more than {NAME_MAX_CHARS} characters")]
    TooLong,
    /// It holds a control character, such as a line break.
    #[error("a name must not hold control characters")]
    ControlCharacter,
    /// It begins or ends with white space.
    #[error("a name must not begin or end with white space")]
    OuterWhitespace,
}

impl Name {
    /// Reads a name; the default one if there is none.
    ///
    /// # Errors
    ///
    /// [`NameError`] says what is wrong with it.
    pub fn parse(text: Option<&str>) -> Result<Self, NameError> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.chars().nth(NAME_MAX_CHARS).is_some() {
            return Err(NameError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(NameError::ControlCharacter);
        }
        if text.trim() != text {
            return Err(NameError::OuterWhitespace);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    fn default() -> Self {
        Self(DEFAULT_NAME.to_owned())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
