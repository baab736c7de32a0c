//! What a setting is.

/// A setting.
pub(super) struct Key {
    /// Its section and name: `totp.digits`.
    pub(super) path: &'static str,
    /// The environment variable that overrides it.
    pub(super) variable: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// What it is without being set.
    pub(super) default: Default,
    /// Another key that says the same in another way: setting one in a
    /// stronger source unsets the other.
    pub(super) instead_of: Option<&'static str>,
    /// What it does, its unit, its limits. One or more lines.
    pub(super) about: &'static str,
}

/// What a setting holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A path. In a file it is relative to the file.
    Path,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
    /// Texts; in an environment variable with commas between.
    List,
}

/// What a setting is without being set.
pub(super) enum Default {
    /// This, as TOML.
    Is(&'static str),
    /// It depends, as the words say; the other text is an example, as TOML.
    Depends(&'static str, &'static str),
}

/// A setting that no other key says in another way.
pub(super) const fn key(
    path: &'static str,
    variable: &'static str,
    kind: Kind,
    default: Default,
    about: &'static str,
) -> Key {
    Key { path, variable, kind, default, instead_of: None, about }
}
