//! What an administrator can set about the server, validated.

use std::time::Duration;

use ipnet::IpNet;
use myelin_homeserver::BodyLimits;
use myelin_two_factor::TotpParameters;
use url::Url;

use crate::{PageSettings, Policy, routes::Switch};

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
    /// How they look.
    pub pages: PageSettings,
    /// How codes are made and how much drift is forgiven.
    pub totp: TotpParameters,
    /// How long a UIA session lives.
    pub session_lifetime: Duration,
    /// How long a login token lives.
    pub login_token_lifetime: Duration,
    /// How long the login token lives with which the sign-in page sends a
    /// person back to a client. Long enough for a slow one, no longer.
    pub sign_in_token_lifetime: Duration,
    /// Who can log in with a password in the client, without a page.
    pub native_login: NativeLogin,
    /// What the homeserver's own single sign-on is worth.
    pub sign_on: SignOn,
    /// Whether users can make app passwords, and programs log in with them.
    pub app_passwords: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What is waited for of a request that Myelin answers itself.
    pub body: BodyLimits,
}

/// Who can log in with `m.login.password`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum NativeLogin {
    /// Everyone.
    #[default]
    Everyone,
    /// Who has no second factor; everyone else signs in on the page.
    WithoutSecondFactor,
    /// Nobody: everyone signs in on the page.
    Nobody,
}

/// What the homeserver's own single sign-on is worth at a sign-in on the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignOn {
    /// Nothing: it is not offered.
    #[default]
    Refused,
    /// As much as the password: a second factor comes after it.
    FirstFactor,
    /// Both factors: the identity provider decides.
    Enough,
}

impl Settings {
    /// The defaults, with this issuer.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            public_url: Url::parse("http://localhost:8008").expect("invariant: it is a URL"),
            policy: Policy::default(),
            wrong_passwords_per_minute: 120,
            passed: Vec::new(),
            has_pages: false,
            pages: PageSettings::default(),
            totp: TotpParameters::default(),
            session_lifetime: myelin_uia::DEFAULT_LIFETIME,
            login_token_lifetime: Duration::from_mins(2),
            sign_in_token_lifetime: Duration::from_secs(30),
            native_login: NativeLogin::default(),
            sign_on: SignOn::default(),
            app_passwords: true,
            trusted_proxies: Vec::new(),
            body: BodyLimits::default(),
        }
    }
}
