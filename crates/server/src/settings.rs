//! What an administrator can set about the server, validated.

use std::time::Duration;

use ipnet::IpNet;
use myelin_two_factor::TotpParameters;

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name that authenticator apps show; the server's name unless set.
    pub issuer: String,
    /// How codes are made and how much drift is forgiven.
    pub totp: TotpParameters,
    /// How long a UIA session lives.
    pub session_lifetime: Duration,
    /// How long a login token lives.
    pub login_token_lifetime: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The largest body of a request that Myelin answers itself, in bytes.
    pub body_limit: usize,
    /// How long such a body may take to arrive.
    pub body_timeout: Duration,
}

impl Settings {
    /// The defaults, with this issuer.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            totp: TotpParameters::default(),
            session_lifetime: myelin_uia::DEFAULT_LIFETIME,
            login_token_lifetime: Duration::from_mins(2),
            trusted_proxies: Vec::new(),
            body_limit: 128 * 1024,
            body_timeout: Duration::from_secs(30),
        }
    }
}
