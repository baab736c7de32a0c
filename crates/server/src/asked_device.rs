//! The device that a login asks for, from its first request to its last.

use myelin_homeserver::{Device, Refusal};
use ruma::api::error::ErrorKind;
use serde_json::{Map, Value};

use crate::{login::ENDPOINT, uia::string};

/// The device that a login asks for, as far as it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct AskedDevice(Map<String, Value>);

impl AskedDevice {
    const KEYS: [&str; 3] = ["device_id", "initial_device_display_name", "refresh_token"];

    pub(crate) fn read(body: &Map<String, Value>) -> Result<Self, Refusal> {
        string(body, Self::KEYS[0])?;
        string(body, Self::KEYS[1])?;
        if !matches!(body.get(Self::KEYS[2]), None | Some(Value::Null | Value::Bool(_))) {
            let message = "`refresh_token` must be true or false.";
            return Err(Refusal::bad_request(&ErrorKind::BadJson, message));
        }
        let given = |key: &&str| Some(((*key).to_owned(), body.get(*key)?.clone()));
        let given = Self::KEYS.iter().filter_map(given).filter(|(_, value)| !value.is_null());
        Ok(Self(given.collect()))
    }

    /// Whether all that is repeated here is as it was in the first stage.
    pub(crate) fn agrees_with(&self, memo: Option<&str>) -> bool {
        let first = memo.map(Self::from_memo).unwrap_or_default();
        self.0.iter().all(|(key, value)| first.0.get(key) == Some(value))
    }

    /// With the endpoint: a page that confirms it has to say what it is.
    pub(crate) fn to_memo(&self) -> String {
        let mut memo = self.0.clone();
        memo.insert("endpoint".to_owned(), ENDPOINT.into());
        Value::Object(memo).to_string()
    }

    pub(crate) fn from_memo(memo: &str) -> Self {
        Self(serde_json::from_str(memo).unwrap_or_default())
    }
}

impl From<AskedDevice> for Device {
    fn from(AskedDevice(asked): AskedDevice) -> Self {
        let text = |key| asked.get(key).and_then(Value::as_str).map(str::to_owned);
        Self {
            device_id: text("device_id").map(Into::into),
            initial_display_name: text("initial_device_display_name"),
            refresh_token: asked.get("refresh_token").and_then(Value::as_bool).unwrap_or(false),
        }
    }
}
