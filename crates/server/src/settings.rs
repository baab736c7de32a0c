//! What an administrator can set about the server, validated.

use std::time::Duration;

use ipnet::IpNet;
use myelin_homeserver::BodyLimits;
use myelin_two_factor::TotpParameters;
use url::Url;

use crate::{Policy, routes::Switch};

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name that authenticator apps show; the server's name unless set.
    pub issuer: String,
    /// Where clients reach Myelin, as they write it. Every link is made from it,
    /// never from what a request says.
    pub public_url: Url,
    /// Who has to have a second factor.
    pub policy: Policy,
    /// Wrong passwords that one address may try in a minute.
    pub wrong_passwords_per_minute: u32,
    /// What is let through to the homeserver although it leads around the gate.
    pub passed: Vec<Switch>,
    /// Whether the pages are there that clients open for `m.login.sso`.
    pub has_pages: bool,
    /// How codes are made and how much drift is forgiven.
    pub totp: TotpParameters,
    /// How long a UIA session lives.
    pub session_lifetime: Duration,
    /// How long a login token lives.
    pub login_token_lifetime: Duration,
    /// Whether users can make app passwords, and programs log in with them.
    pub app_passwords: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What is waited for of a request that Myelin answers itself.
    pub body: BodyLimits,
}

impl Settings {
    /// The defaults, with this issuer.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            public_url: Url::parse("http://localhost:8008").expect("invariant: it is a URL"),
            policy: Policy::default(),
            wrong_passwords_per_minute: 60,
            passed: Vec::new(),
            has_pages: false,
            totp: TotpParameters::default(),
            session_lifetime: myelin_uia::DEFAULT_LIFETIME,
            login_token_lifetime: Duration::from_mins(2),
            app_passwords: true,
            trusted_proxies: Vec::new(),
            body: BodyLimits::default(),
        }
    }
}
