//! How the embedded homeserver is set up.

use std::{
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

use myelin_ambient::{Clock, Entropy};
use myelin_storage::Accounts;
use ruma::OwnedServerName;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::PasswordParameters;
use crate::BodyLimits;

/// How long an access token lives for a client that can refresh it.
///
/// Short enough that a stolen one is soon useless; a client renews it in one
/// small request.
pub const DEFAULT_ACCESS_TOKEN_LIFETIME: Duration = Duration::from_mins(5);

/// What the embedded homeserver needs.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// The part after the colon of its users' IDs.
    pub server_name: OwnedServerName,
    /// Where accounts are kept.
    pub accounts: Arc<dyn Accounts>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where tokens, device IDs and salts come from.
    pub entropy: Arc<dyn Entropy>,
    /// Who may register.
    pub registration: RegistrationPolicy,
    /// How long an access token lives if the client asked for a refresh token.
    /// A token without one lives until the device is logged out.
    pub access_token_lifetime: Duration,
    /// How new passwords are hashed.
    pub password_hash: PasswordParameters,
    /// What is waited for of a request.
    pub body: BodyLimits,
}

impl EmbeddedOptions {
    /// The defaults: nobody can register.
    pub fn new(
        server_name: OwnedServerName,
        accounts: Arc<dyn Accounts>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            server_name,
            accounts,
            clock,
            entropy,
            registration: RegistrationPolicy::Closed,
            access_token_lifetime: DEFAULT_ACCESS_TOKEN_LIFETIME,
            password_hash: PasswordParameters::default(),
            body: BodyLimits::default(),
        }
    }
}

/// Who may register.
#[derive(Clone, Debug)]
pub enum RegistrationPolicy {
    /// Anyone (`m.login.dummy`).
    Open,
    /// Whoever knows one of these tokens (`m.login.registration_token`).
    Token(Vec<RegistrationToken>),
    /// Nobody.
    Closed,
}

impl RegistrationPolicy {
    /// Whether `token` is one of the tokens. It takes the same time wherever
    /// they differ and whichever it is.
    pub(super) fn accepts(&self, token: &str) -> bool {
        let Self::Token(tokens) = self else { return false };
        let digest = Sha256::digest(token);
        let found = tokens.iter().fold(Choice::from(0), |found, known| {
            found | Sha256::digest(known.0.as_bytes()).ct_eq(&digest)
        });
        found.into()
    }
}

/// A token that lets people register.
#[derive(Clone)]
pub struct RegistrationToken(Zeroizing<String>);

impl RegistrationToken {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
    }
}

impl Debug for RegistrationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("RegistrationToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_registration_token_is_accepted() {
        let policy = RegistrationPolicy::Token(["one", "two"].map(RegistrationToken::new).into());
        assert!(policy.accepts("one") && policy.accepts("two"));
        for wrong in ["", "on", "onee", "ONE", "one two"] {
            assert!(!policy.accepts(wrong), "{wrong}");
        }
    }

    #[test]
    fn no_token_is_accepted_where_none_is_asked_for() {
        for policy in [
            RegistrationPolicy::Open,
            RegistrationPolicy::Closed,
            RegistrationPolicy::Token(vec![]),
        ] {
            assert!(!policy.accepts(""));
        }
    }
}
