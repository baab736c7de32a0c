//! Who has to have a second factor.

use std::{fmt, str::FromStr};

use myelin_homeserver::Refusal;
use ruma::UserId;
use wildmatch::WildMatch;

use crate::{NativeLogin, Settings, texts};

/// Users, by a pattern of their whole ID: `*` stands for any text, `?` for one
/// character.
#[derive(Clone, Debug)]
pub struct UserPattern(WildMatch);

impl fmt::Display for UserPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is no pattern of user IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern of user IDs begins with `@` or `*`, such as @*:example.org")]
pub struct NotAPattern;

impl FromStr for UserPattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        // A local part alone would match nobody, and so protect nobody.
        if text.starts_with(['@', '*']) { Ok(Self(WildMatch::new(text))) } else { Err(NotAPattern) }
    }
}

/// Who has to have a second factor.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// These users.
    pub required_for: Vec<UserPattern>,
    /// But never these.
    pub exempt: Vec<UserPattern>,
}

impl Policy {
    /// Whether this user has to have a second factor.
    pub fn requires(&self, user: &UserId) -> bool {
        let among = |patterns: &[UserPattern]| {
            patterns.iter().any(|pattern| pattern.0.matches(user.as_str()))
        };
        among(&self.required_for) && !among(&self.exempt)
    }
}

impl Settings {
    /// Refuses a login with the password alone to whom the policy requires to
    /// have a second factor.
    pub(crate) fn check_policy(&self, user: &UserId, protected: bool) -> Result<(), Refusal> {
        if protected || !self.policy.requires(user) {
            return Ok(());
        }
        let page = self.public_url.join("account").map_or_else(|_| String::new(), String::from);
        Err(Refusal::forbidden(format!("{} {page}", texts::REQUIRED)))
    }

    /// Refuses a login with a password where the client is to open the sign-in
    /// page, as it is from `level` on.
    pub(crate) fn check_native(&self, level: NativeLogin) -> Result<(), Refusal> {
        if self.native_login < level { Ok(()) } else { Err(Refusal::forbidden(texts::BY_PAGE)) }
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    fn policy(required_for: &[&str], exempt: &[&str]) -> Policy {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Policy { required_for: patterns(required_for), exempt: patterns(exempt) }
    }

    #[test]
    fn a_pattern_means_the_whole_user_id() {
        let policy = policy(&["@a*:example.org"], &[]);
        assert!(policy.requires(user_id!("@alice:example.org")));
        assert!(!policy.requires(user_id!("@bob:example.org")));
        assert!(!policy.requires(user_id!("@alice:example.org.evil.example")));
    }

    #[test]
    fn exempt_wins() {
        let policy = policy(&["*"], &["@bot-?:example.org"]);
        assert!(policy.requires(user_id!("@alice:example.org")));
        assert!(!policy.requires(user_id!("@bot-1:example.org")));
        assert!(policy.requires(user_id!("@bot-12:example.org")));
    }

    #[test]
    fn nobody_is_required_by_default() {
        assert!(!Policy::default().requires(user_id!("@alice:example.org")));
    }

    #[test]
    fn a_local_part_is_no_pattern() {
        assert_eq!("alice".parse::<UserPattern>().unwrap_err(), NotAPattern);
    }
}
