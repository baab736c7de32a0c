//! What a session is bound to.

use ruma::UserId;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::SessionId;

/// The operation that a session was opened for, as one digest.
///
/// It covers the user, the HTTP method, the endpoint without its version
/// prefix, the path parameters, and the request body without `auth`. A session
/// answers only to a request with the same binding: what was confirmed is what
/// is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding([u8; 32]);

impl Binding {
    /// Binds to one operation of one user (`None` while no user is known).
    ///
    /// `endpoint` is the path template without its prefix, such as
    /// `devices/{deviceId}`, so that `r0` and `v3` bind alike.
    #[must_use]
    pub fn new(
        user: Option<&UserId>,
        method: &str,
        endpoint: &str,
        path_parameters: &[&str],
        body: &Map<String, Value>,
    ) -> Self {
        // Each part is preceded by its length: no two lists of parts read alike.
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(if user.is_some() { b"user" } else { b"nobody" });
        part(user.map_or("", UserId::as_str).as_bytes());
        part(method.as_bytes());
        part(endpoint.as_bytes());
        for parameter in path_parameters {
            part(parameter.as_bytes());
        }
        part(canonical(body).as_bytes());
        Self(hash.finalize().into())
    }

    /// The digest. Where the body may hold a password it is to be kept nowhere:
    /// only a session's own [`Bound`] is.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The binding as the session of this name keeps it.
    pub(crate) fn keyed(&self, session: &SessionId) -> Bound {
        let hash = Sha256::new().chain_update(session.as_str()).chain_update(self.0);
        Bound(hash.finalize().into())
    }
}

/// A [`Binding`] as a session keeps it: hashed with the session's name.
///
/// The body of a request may hold a password. A store keeps only a digest of
/// the name, so a copy of the store gives nothing to guess the body with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound([u8; 32]);

impl Bound {
    /// From the bytes of [`Self::as_bytes`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What a store keeps.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The body without `auth`, with its keys sorted at every level.
fn canonical(body: &Map<String, Value>) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => sorted_map(map),
            Value::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    fn sorted_map(map: &Map<String, Value>) -> Value {
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        Value::Object(
            entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect(),
        )
    }
    let mut body = body.clone();
    body.remove("auth");
    sorted_map(&body).to_string()
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::json;

    use super::*;

    fn bind(
        user: Option<&UserId>,
        method: &str,
        endpoint: &str,
        path: &[&str],
        body: &Value,
    ) -> Binding {
        Binding::new(user, method, endpoint, path, body.as_object().unwrap())
    }

    #[test]
    fn key_order_and_auth_do_not_matter() {
        let one = json!({"a": {"x": 1, "y": 2}, "b": 2, "auth": {"type": "m.login.dummy"}});
        let other = json!({"b": 2, "a": {"y": 2, "x": 1}});
        assert_eq!(
            bind(None, "POST", "register", &[], &one),
            bind(None, "POST", "register", &[], &other)
        );
    }

    #[test]
    fn every_part_of_the_request_matters() {
        let alice = user_id!("@alice:localhost");
        let body = json!({"devices": ["A"]});
        let bindings = [
            bind(Some(alice), "POST", "delete_devices", &[], &body),
            bind(Some(user_id!("@bob:localhost")), "POST", "delete_devices", &[], &body),
            bind(None, "POST", "delete_devices", &[], &body),
            bind(Some(alice), "PUT", "delete_devices", &[], &body),
            bind(Some(alice), "POST", "account/deactivate", &[], &body),
            bind(Some(alice), "POST", "delete_devices", &["A"], &body),
            bind(Some(alice), "POST", "delete_devices", &["A", ""], &body),
            bind(Some(alice), "POST", "delete_devices", &[], &json!({"devices": ["B"]})),
            bind(Some(alice), "POST", "delete_devices", &[], &json!({"devices": ["A"], "x": null})),
        ];
        for (index, binding) in bindings.iter().enumerate() {
            assert!(!bindings[index + 1..].contains(binding), "binding {index} is not unique");
        }
    }
}
