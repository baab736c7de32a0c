//! Settings as they were typed: the right kinds of values, nothing checked.

use std::path::PathBuf;

use serde::Deserialize;
use zeroize::Zeroizing;

/// A whole file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Typed {
    pub(super) server_name: Option<String>,
    pub(super) listen: Option<Vec<String>>,
    pub(super) public_url: Option<String>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) database: Database,
    pub(super) keys: Keys,
    pub(super) homeserver: Homeserver,
    pub(super) registration: Registration,
    pub(super) policy: Policy,
    pub(super) login: Login,
    pub(super) pages: Pages,
    pub(super) totp: Totp,
    pub(super) app_passwords: AppPasswords,
    pub(super) sessions: Sessions,
    pub(super) limits: Limits,
    pub(super) proxy: Proxy,
    pub(super) log: Log,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Database {
    pub(super) url: Option<Zeroizing<String>>,
    pub(super) url_file: Option<PathBuf>,
    pub(super) connections: Option<u32>,
    pub(super) migrate: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Keys {
    pub(super) file: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Homeserver {
    pub(super) kind: Option<String>,
    pub(super) url: Option<String>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) pass: Option<Vec<String>>,
    pub(super) sso: Option<String>,
    pub(super) access_token_lifetime: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Registration {
    pub(super) mode: Option<String>,
    pub(super) tokens_file: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Policy {
    pub(super) required_for: Option<Vec<String>>,
    pub(super) exempt: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Login {
    pub(super) native: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Pages {
    pub(super) title: Option<String>,
    pub(super) logo: Option<PathBuf>,
    pub(super) known_clients: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Totp {
    pub(super) issuer: Option<String>,
    pub(super) digits: Option<u8>,
    pub(super) period: Option<String>,
    pub(super) window: Option<u8>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AppPasswords {
    pub(super) allowed: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sessions {
    pub(super) lifetime: Option<String>,
    pub(super) login_token_lifetime: Option<String>,
    pub(super) sign_in_token_lifetime: Option<String>,
    pub(super) per_address: Option<u32>,
    pub(super) per_user: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) body: Option<u64>,
    pub(super) body_timeout: Option<String>,
    pub(super) wrong_passwords: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Proxy {
    pub(super) trusted: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) level: Option<String>,
    pub(super) format: Option<String>,
}
