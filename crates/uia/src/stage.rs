//! The stages, and the one place where their names are spelled.

use ruma::api::client::uiaa::AuthType;

/// One step of a flow.
///
/// [Client-Server API, User-Interactive Authentication](https://spec.matrix.org/v1.16/client-server-api/#user-interactive-authentication-api)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// `m.login.password`
    Password,
    /// `m.login.2fa.totp`: an RFC 6238 code of an active authenticator.
    Totp,
    /// `m.login.2fa.recovery`: an unused recovery code.
    Recovery,
    /// `m.login.token`: a single-use token that a passed flow has earned.
    Token,
    /// `m.login.sso`: both factors, passed on a page of the server's own.
    Sso,
    /// An app password, which is enough alone and only for a login. It has no
    /// name on the wire: no client can offer it as a stage.
    AppPassword,
    /// `m.login.dummy`: always passes; registration only.
    Dummy,
    /// `m.login.registration_token`; registration only.
    RegistrationToken,
}

impl Stage {
    /// Every stage that has a name on the wire.
    pub const ALL: [Self; 7] = [
        Self::Password,
        Self::Totp,
        Self::Recovery,
        Self::Token,
        Self::Sso,
        Self::Dummy,
        Self::RegistrationToken,
    ];

    /// The stage's `type` on the wire; empty where it has none.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "m.login.password",
            Self::Totp => "m.login.2fa.totp",
            Self::Recovery => "m.login.2fa.recovery",
            Self::Token => "m.login.token",
            Self::Sso => "m.login.sso",
            Self::AppPassword => "",
            Self::Dummy => "m.login.dummy",
            Self::RegistrationToken => "m.login.registration_token",
        }
    }

    /// The stage with this `type`, if a client can name it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == name)
    }
}

impl From<Stage> for AuthType {
    fn from(stage: Stage) -> Self {
        Self::from(stage.as_str())
    }
}
