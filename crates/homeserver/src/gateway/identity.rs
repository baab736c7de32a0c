//! Whom an access token names, as the homeserver says.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::StatusCode;
use myelin_ambient::Timestamp;
use ruma::{OwnedUserId, UserId};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Ask, Gateway};
use crate::{AccessToken, Context, Error, Identity, Resolved};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

/// How long an answer is believed: long enough for the requests of one
/// operation, short enough for a logout.
const LIFETIME: Duration = Duration::from_secs(5);

/// Tokens that are remembered at most.
const LIMIT: usize = 10_000;

/// Tokens that the homeserver knew a moment ago. Only what was found is
/// remembered.
#[derive(Debug, Default)]
pub(super) struct KnownTokens(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By digest.
    tokens: HashMap<[u8; 32], (Identity, Timestamp)>,
    /// How often something was forgotten.
    forgotten: u64,
}

/// Forgets every token when it is dropped.
pub(super) struct Forgetting<'a>(&'a KnownTokens);

impl KnownTokens {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, token: &AccessToken, now: Timestamp) -> Option<Identity> {
        let known = self.lock();
        let (identity, until) = known.tokens.get(&digest(token))?;
        // A clock that was set back makes nothing valid for longer.
        let fresh = now < *until && until.saturating_since(now) <= LIFETIME;
        fresh.then(|| identity.clone())
    }

    fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// Remembers an answer, unless something was forgotten since it was asked
    /// for: it may be the answer of before.
    fn keep(&self, token: &AccessToken, identity: &Identity, now: Timestamp, forgotten: u64) {
        let mut known = self.lock();
        if known.tokens.len() >= LIMIT {
            known.tokens.retain(|_, (_, until)| now < *until);
        }
        if known.tokens.len() < LIMIT && known.forgotten == forgotten {
            known.tokens.insert(digest(token), (identity.clone(), now + LIFETIME));
        }
    }

    /// Forgets everybody of this user: an operation may have ended any token.
    pub(super) fn forget(&self, user: &UserId) {
        let mut known = self.lock();
        known.forgotten += 1;
        known.tokens.retain(|_, (identity, _)| identity.user != user);
    }

    /// Forgets everybody when a request is done that ends tokens, of a user
    /// whom perhaps nobody has asked for; also when its client goes away.
    pub(super) fn forgetting(&self) -> Forgetting<'_> {
        Forgetting(self)
    }
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        let mut known = self.0.lock();
        known.forgotten += 1;
        known.tokens.clear();
    }
}

fn digest(token: &AccessToken) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}

impl Gateway {
    pub(super) async fn resolve(
        &self,
        token: &AccessToken,
        context: &Context,
    ) -> Result<Resolved, Error> {
        let now = self.options.clock.now();
        if let Some(identity) = self.tokens.find(token, now) {
            return Ok(Resolved::Identity(identity));
        }
        let forgotten = self.tokens.forgotten();
        let answer = self.send(Ask::get(WHOAMI).with_token(token), Some(context)).await?;
        if answer.status() != StatusCode::OK {
            return answer.refusal().map(Resolved::Refused);
        }
        let body = answer.object()?;
        let user = self.own_user(body.get("user_id"))?;
        let device_id = body.get("device_id").and_then(Value::as_str).map(Into::into);
        let identity = Identity { user, device_id };
        self.tokens.keep(token, &identity, now, forgotten);
        Ok(Resolved::Identity(identity))
    }

    /// A user ID of this homeserver, from an answer of it.
    pub(super) fn own_user(&self, value: Option<&Value>) -> Result<OwnedUserId, Error> {
        value
            .and_then(Value::as_str)
            .and_then(|text| UserId::parse(text).ok())
            .filter(|user| user.server_name() == self.options.server_name)
            .ok_or_else(|| {
                Error::Unexpected("the homeserver names no user of this server".to_owned())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn identity(name: &str) -> Identity {
        Identity { user: format!("@{name}:example.org").try_into().unwrap(), device_id: None }
    }

    #[test]
    fn a_token_is_remembered_for_seconds() {
        let (tokens, token) = (KnownTokens::default(), AccessToken::new("t"));
        tokens.keep(&token, &identity("alice"), NOW, 0);
        assert_eq!(tokens.find(&token, NOW), Some(identity("alice")));
        assert_eq!(tokens.find(&AccessToken::new("u"), NOW), None);
        assert_eq!(tokens.find(&token, NOW + LIFETIME), None);
        assert_eq!(tokens.find(&token, NOW - Duration::from_hours(1)), None);
    }

    #[test]
    fn after_an_operation_no_token_of_the_user_is_known() {
        let tokens = KnownTokens::default();
        for (token, name) in [("a", "alice"), ("b", "alice"), ("c", "bob")] {
            tokens.keep(&AccessToken::new(token), &identity(name), NOW, 0);
        }
        tokens.forget(&identity("alice").user);
        let known = |token| tokens.find(&AccessToken::new(token), NOW).is_some();
        assert_eq!(["a", "b", "c"].map(known), [false, false, true]);
    }

    #[test]
    fn an_answer_from_before_a_logout_is_not_remembered() {
        let (tokens, token) = (KnownTokens::default(), AccessToken::new("t"));
        let before = tokens.forgotten();
        drop(tokens.forgetting());
        tokens.keep(&token, &identity("alice"), NOW, before);
        assert_eq!(tokens.find(&token, NOW), None);
        tokens.keep(&token, &identity("alice"), NOW, tokens.forgotten());
        assert_eq!(tokens.find(&token, NOW), Some(identity("alice")));
    }

    #[test]
    fn the_memory_is_bounded() {
        let tokens = KnownTokens::default();
        for number in 0..LIMIT + 10 {
            tokens.keep(&AccessToken::new(number.to_string()), &identity("alice"), NOW, 0);
        }
        assert_eq!(tokens.lock().tokens.len(), LIMIT);
    }
}
