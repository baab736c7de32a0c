//! The first upload of cross-signing keys, and one that changes nothing, ask
//! for no proof: clients do it silently right after a login.
//!
//! [Client-Server API, Uploading cross-signing keys](https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3keysdevice_signingupload)

use http::StatusCode;
use ruma::UserId;
use serde_json::{Map, Value, json};

use super::{Ask, Gateway};
use crate::{Context, Error, Identity, Operation, OperationRequest, Silent, access_token};

const QUERY: &str = "/_matrix/client/v3/keys/query";

/// The keys of an upload, and where `keys/query` shows them.
const KEYS: [(&str, &str); 3] = [
    ("master_key", "master_keys"),
    ("self_signing_key", "self_signing_keys"),
    ("user_signing_key", "user_signing_keys"),
];

impl Gateway {
    /// Performs an upload that needs no proof. The gateway decides that itself,
    /// by the keys that the homeserver has; what the homeserver would let pass
    /// is another question, to which nobody listens.
    pub(super) async fn try_silently(
        &self,
        request: &OperationRequest,
        context: &Context,
    ) -> Result<Silent, Error> {
        let (Operation::UploadSigningKeys, Some(identity)) = (request.operation, &request.identity)
        else {
            return Ok(Silent::NeedsProof);
        };
        if !self.changes_nothing(request, identity, context).await? {
            return Ok(Silent::NeedsProof);
        }
        let answer = self.forward_operation(request, None, context).await?;
        // An older homeserver asks for proof all the same.
        if answer.challenge()?.is_some() {
            return Ok(Silent::NeedsProof);
        }
        answer.into_response(&self.options.base_url).map(Silent::Done)
    }

    async fn changes_nothing(
        &self,
        request: &OperationRequest,
        identity: &Identity,
        context: &Context,
    ) -> Result<bool, Error> {
        let Ok(token) = access_token(&request.head.headers, &request.head.uri) else {
            return Ok(false);
        };
        let user = &*identity.user;
        let body = Map::from_iter([("device_keys".to_owned(), json!({user.as_str(): []}))]);
        let answer = self.send(Ask::post(QUERY, &body).with_token(&token), Some(context)).await?;
        if answer.status() != StatusCode::OK {
            return Ok(false);
        }
        let known = answer.object()?;
        if !tells_the_keys(&known, user) {
            let text = "the homeserver does not say which keys a user has";
            return Err(Error::Unexpected(text.to_owned()));
        }
        Ok(replaces_no_key(&known, user, &request.body))
    }
}

/// Whether an answer of `keys/query` is about this user. It names the devices
/// of whoever was asked for, if there are none too; a list of keys that is
/// empty may be left out.
fn tells_the_keys(known: &Map<String, Value>, user: &UserId) -> bool {
    let devices = known.get("device_keys").and_then(|keys| keys.get(user.as_str()));
    let are_keys = |list: &str| match known.get(list) {
        None | Some(Value::Null) => true,
        Some(keys) => keys.is_object() && keys.get(user.as_str()).is_none_or(Value::is_object),
    };
    devices.is_some_and(Value::is_object) && KEYS.iter().all(|(_, list)| are_keys(list))
}

/// Whether every key that is uploaded is the first, or the one that is there.
fn replaces_no_key(known: &Map<String, Value>, user: &UserId, upload: &Map<String, Value>) -> bool {
    let has = |list| known.get(list).and_then(|keys: &Value| keys.get(user.as_str()));
    // Without a master key there is no cross-signing yet.
    if has("master_keys").is_none() {
        return true;
    }
    KEYS.iter().all(|(uploaded, list)| {
        let Some(uploaded) = upload.get(*uploaded).filter(|key| !key.is_null()) else {
            return true;
        };
        let same = |part| has(list).and_then(|key| key.get(part)) == uploaded.get(part);
        same("keys") && same("usage") && same("user_id")
    })
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    fn key(id: &str) -> Value {
        json!({"user_id": "@a:b", "usage": ["master"], "keys": {(format!("ed25519:{id}")): id}})
    }

    fn passes(known: Value, upload: Value) -> bool {
        let map = |value: Value| value.as_object().unwrap().clone();
        replaces_no_key(&map(known), user_id!("@a:b"), &map(upload))
    }

    #[test]
    fn a_first_upload_and_an_identical_one_pass() {
        let upload = json!({"master_key": key("X")});
        assert!(passes(json!({}), upload.clone()));
        assert!(passes(json!({"master_keys": {"@other:b": key("Y")}}), upload.clone()));
        let mut signed = key("X");
        signed["signatures"] = json!({"@a:b": {"ed25519:DEV": "sig"}});
        assert!(passes(json!({"master_keys": {"@a:b": signed}}), upload));
    }

    #[test]
    fn another_key_or_one_more_needs_proof() {
        let known = json!({"master_keys": {"@a:b": key("X")}});
        assert!(!passes(known.clone(), json!({"master_key": key("Y")})));
        assert!(!passes(known.clone(), json!({"self_signing_key": key("Z")})));
        assert!(!passes(known, json!({"master_key": "X"})));
    }
}
