//! Requests that need proof.

use serde_json::{Value, json};

/// A request, without its `auth`.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Value,
}

impl Operation {
    pub(crate) fn new(method: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), body }
    }

    pub(crate) fn delete_devices(devices: &[&str]) -> Self {
        Self::new("POST", "delete_devices", json!({"devices": devices}))
    }

    pub(crate) fn delete_device(device: &str) -> Self {
        Self::new("DELETE", format!("devices/{device}"), json!({}))
    }

    pub(crate) fn change_password(new: &str) -> Self {
        let body = json!({"new_password": new, "logout_devices": false});
        Self::new("POST", "account/password", body)
    }

    pub(crate) fn deactivate() -> Self {
        Self::new("POST", "account/deactivate", json!({}))
    }

    pub(crate) fn login_token() -> Self {
        Self::new("POST", "/_matrix/client/v1/login/get_token", json!({}))
    }

    pub(crate) fn begin(name: &str) -> Self {
        Self::new("POST", "account/two-factor/totp", json!({"name": name}))
    }

    pub(crate) fn remove(authenticator: &str) -> Self {
        Self::new("DELETE", format!("account/two-factor/totp/{authenticator}"), json!({}))
    }

    pub(crate) fn regenerate() -> Self {
        Self::new("POST", "account/two-factor/recovery", json!({}))
    }

    /// Every operation behind the flows of a user's own account that changes
    /// nothing which the others need.
    pub(crate) fn repeatable() -> Vec<Self> {
        vec![
            Self::delete_devices(&["NOSUCH"]),
            Self::delete_device("NOSUCH"),
            Self::login_token(),
            Self::begin("Tablet"),
            Self::regenerate(),
        ]
    }

    /// The body with this `auth`.
    pub(crate) fn with_auth(&self, auth: &Value) -> Value {
        let mut body = self.body.clone();
        body["auth"] = auth.clone();
        body
    }
}
