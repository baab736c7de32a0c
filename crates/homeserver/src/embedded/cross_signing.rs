//! `POST /keys/device_signing/upload`.
//!
//! The keys are kept and given to nobody: there are no rooms here, so their
//! signatures are not checked either.

use axum::response::Response;
use myelin_storage::Action;
use ruma::{
    UserId,
    api::{client::keys::upload_signing_keys::v3, error::ErrorKind},
    encryption::{CrossSigningKey, KeyUsage},
    serde::Raw,
};
use serde_json::{Map, Value};

use super::{
    failure::{Failure, answer},
    request::parse,
    state::State,
};
use crate::{Context, Error, Identity, OperationRequest, Refusal, Silent};

const MASTER: &str = "master_key";

/// Keys by the names of their fields, as they were uploaded.
type Keys = Map<String, Value>;

/// Reads and checks the keys of a request.
fn uploaded(user: &UserId, request: &OperationRequest) -> Result<Keys, Refusal> {
    let typed: v3::Request = parse(request)?;
    let mut keys = Keys::new();
    for (field, usage, key) in [
        (MASTER, KeyUsage::Master, typed.master_key),
        ("self_signing_key", KeyUsage::SelfSigning, typed.self_signing_key),
        ("user_signing_key", KeyUsage::UserSigning, typed.user_signing_key),
    ] {
        let Some(key) = key else { continue };
        check(field, user, &usage, &key)?;
        // As it was sent, with what others may have signed or added.
        keys.insert(field.to_owned(), request.body[field].clone());
    }
    Ok(keys)
}

fn check(
    field: &str,
    user: &UserId,
    usage: &KeyUsage,
    key: &Raw<CrossSigningKey>,
) -> Result<(), Refusal> {
    let key = key.deserialize().map_err(|_| {
        let text = format!("`{field}` is not a cross-signing key.");
        Refusal::bad_request(&ErrorKind::BadJson, text)
    })?;
    let problem = if key.user_id != user {
        "belongs to another user"
    } else if !key.usage.contains(usage) {
        "is meant for another usage"
    } else if key.keys.len() != 1 {
        "has to hold exactly one public key"
    } else {
        return Ok(());
    };
    Err(Refusal::bad_request(&ErrorKind::InvalidParam, format!("`{field}` {problem}.")))
}

/// The keys that the user has after an upload.
fn merged(existing: Option<&Keys>, uploaded: &Keys) -> Keys {
    let has_new_master = |existing: &&Keys| {
        uploaded.get(MASTER).is_some_and(|master| existing.get(MASTER) != Some(master))
    };
    // What an old master key has signed is worth nothing under a new one.
    let mut keys = existing.filter(|keys| !has_new_master(keys)).cloned().unwrap_or_default();
    keys.extend(uploaded.clone());
    keys
}

impl State {
    /// Refuses keys that could not be uploaded with proof either.
    pub(super) async fn check_signing_keys(
        &self,
        identity: &Identity,
        request: &OperationRequest,
    ) -> Result<(), Failure> {
        let keys = uploaded(&identity.user, request)?;
        if keys.contains_key(MASTER) || self.signing_keys(&identity.user).await?.is_some() {
            return Ok(());
        }
        let text = "The first upload needs a `master_key`.";
        Err(Refusal::bad_request(&ErrorKind::MissingParam, text).into())
    }

    /// Does what the specification lets pass without proof: the first upload,
    /// and one that changes nothing.
    pub(super) async fn upload_signing_keys_silently(
        &self,
        identity: &Identity,
        request: &OperationRequest,
        context: &Context,
    ) -> Result<Silent, Failure> {
        let user = &identity.user;
        let keys = uploaded(user, request)?;
        let mut existing = self.signing_keys(user).await?;
        if existing.is_none() && keys.contains_key(MASTER) {
            if self.store_signing_keys(user, &keys, true, context).await? {
                return Ok(Silent::Done(answer(v3::Response::new())?));
            }
            // Another upload was first, so this one is not: it is compared.
            existing = self.signing_keys(user).await?;
        }
        match existing {
            Some(existing) if merged(Some(&existing), &keys) == existing => {
                Ok(Silent::Done(answer(v3::Response::new())?))
            }
            _ => Ok(Silent::NeedsProof),
        }
    }

    /// Uploads keys for whom it is proven.
    pub(super) async fn upload_signing_keys(
        &self,
        identity: &Identity,
        request: &OperationRequest,
        context: &Context,
    ) -> Result<Response, Failure> {
        self.check_signing_keys(identity, request).await?;
        let user = &identity.user;
        let existing = self.signing_keys(user).await?;
        let keys = merged(existing.as_ref(), &uploaded(user, request)?);
        self.store_signing_keys(user, &keys, false, context).await?;
        answer(v3::Response::new())
    }

    async fn signing_keys(&self, user: &UserId) -> Result<Option<Keys>, Error> {
        let Some(text) = self.accounts.cross_signing(user).await? else { return Ok(None) };
        let invalid = |_| Error::Unexpected("stored cross-signing keys cannot be read".to_owned());
        serde_json::from_str(&text).map(Some).map_err(invalid)
    }

    async fn store_signing_keys(
        &self,
        user: &UserId,
        keys: &Keys,
        first_only: bool,
        context: &Context,
    ) -> Result<bool, Error> {
        let fields: Vec<_> = keys.keys().map(String::as_str).collect();
        let event =
            self.event(user, Action::CrossSigningUploaded, context, Some(fields.join(", ")));
        let text = serde_json::to_string(keys).expect("invariant: a JSON map serialises");
        Ok(self.accounts.set_cross_signing(user, &text, first_only, event).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(value: Value) -> Keys {
        let Value::Object(keys) = value else { panic!("no object") };
        keys
    }

    #[test]
    fn keys_are_added_to_those_of_the_same_master_key() {
        let existing = keys(json!({"master_key": "m", "self_signing_key": "s"}));
        let upload = keys(json!({"user_signing_key": "u"}));
        let expected = json!({"master_key": "m", "self_signing_key": "s", "user_signing_key": "u"});
        assert_eq!(merged(Some(&existing), &upload), keys(expected));
    }

    #[test]
    fn a_new_master_key_leaves_nothing_of_the_old() {
        let existing = keys(json!({"master_key": "m", "self_signing_key": "s"}));
        let upload = keys(json!({"master_key": "n"}));
        assert_eq!(merged(Some(&existing), &upload), upload);
    }
}
