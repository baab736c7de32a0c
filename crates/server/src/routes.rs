//! The one table of what Myelin answers itself, and of what is gated.
//!
//! The router dispatches by it, the path check refuses by it, and
//! `myelin routes` prints it. What is not in it goes to the homeserver, except
//! what [`REFUSED`] and [`REFUSED_CLIENT_API`] keep from it.

use http::Method;
use myelin_homeserver::Operation;
use myelin_uia::Stage;

/// What a request of a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `GET /login`
    LoginTypes,
    /// `POST /login`
    Login,
    /// An operation of the homeserver that needs proof.
    Protected(Operation),
    /// `POST /login/get_token`: a login token of our own, after proof.
    LoginToken,
    /// `GET /account/two-factor`
    Status,
    /// `POST /account/two-factor/totp`, after proof.
    Begin,
    /// `POST /account/two-factor/totp/{id}/confirm`
    Confirm,
    /// `PUT /account/two-factor/totp/{id}`
    Rename,
    /// `DELETE /account/two-factor/totp/{id}`, after proof.
    Remove,
    /// `POST /account/two-factor/recovery`, after proof.
    Regenerate,
    /// `GET /account/two-factor/app-passwords`
    AppPasswords,
    /// `POST /account/two-factor/app-passwords`, after proof.
    CreateAppPassword,
    /// `DELETE /account/two-factor/app-passwords/{id}`
    RevokeAppPassword,
    /// `GET /capabilities`: the homeserver's, and `m.two_factor`.
    Capabilities,
    /// A page for people.
    Page(Page),
}

/// The pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// A file that pages load.
    Asset,
    /// Where a client sends a person to sign in.
    SignInStart,
    /// The page for clients that cannot log in by themselves.
    SignInFallback,
    /// The steps of a sign-in.
    SignIn,
    /// Where a sign-in goes on at the homeserver's single sign-on.
    SignOn,
    /// Where it comes back from there.
    SignedOn,
    /// The fallback page of a stage.
    Fallback(Stage),
    /// A user's own account.
    Account,
    /// A change to it.
    AccountChange,
}

impl Action {
    /// Whether User-Interactive Authentication stands before it.
    pub const fn is_gated(self) -> bool {
        match self {
            Self::Login
            | Self::Protected(_)
            | Self::LoginToken
            | Self::Begin
            | Self::Remove
            | Self::Regenerate
            | Self::CreateAppPassword => true,
            Self::LoginTypes
            | Self::Status
            | Self::Confirm
            | Self::Rename
            | Self::AppPasswords
            | Self::RevokeAppPassword
            | Self::Capabilities
            | Self::Page(_) => false,
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Route {
    /// The HTTP method.
    pub method: Method,
    /// The path after the prefix, or a whole path where it begins with `/`;
    /// `{…}` stands for one segment.
    pub endpoint: &'static str,
    /// What it is for.
    pub action: Action,
}

/// The prefixes under which homeservers answer the same endpoint. A gate on
/// one is a gate on all.
pub const PREFIXES: [&str; 5] = [
    "/_matrix/client/v3/",
    "/_matrix/client/r0/",
    "/_matrix/client/v1/",
    "/_matrix/client/unstable/",
    "/_matrix/client/api/v1/",
];

const fn route(method: Method, endpoint: &'static str, action: Action) -> Route {
    Route { method, endpoint, action }
}

const fn page(method: Method, endpoint: &'static str, page: Page) -> Route {
    route(method, endpoint, Action::Page(page))
}

/// The table.
pub static ROUTES: [Route; 42] = [
    route(Method::GET, "login", Action::LoginTypes),
    route(Method::POST, "login", Action::Login),
    route(Method::POST, "register", Action::Protected(Operation::Register)),
    route(Method::POST, "account/password", Action::Protected(Operation::ChangePassword)),
    route(Method::POST, "account/deactivate", Action::Protected(Operation::Deactivate)),
    route(Method::POST, "account/3pid/add", Action::Protected(Operation::AddThirdParty)),
    route(Method::POST, "account/3pid", Action::Protected(Operation::AddThirdPartyDeprecated)),
    route(Method::DELETE, "devices/{deviceId}", Action::Protected(Operation::DeleteDevice)),
    route(Method::POST, "delete_devices", Action::Protected(Operation::DeleteDevices)),
    route(
        Method::POST,
        "keys/device_signing/upload",
        Action::Protected(Operation::UploadSigningKeys),
    ),
    // MSC3967's and MSC3882's endpoints before they became stable.
    route(
        Method::POST,
        "org.matrix.msc3967/keys/device_signing/upload",
        Action::Protected(Operation::UploadSigningKeys),
    ),
    route(Method::POST, "login/get_token", Action::LoginToken),
    route(Method::POST, "org.matrix.msc3882/login/token", Action::LoginToken),
    route(Method::GET, "account/two-factor", Action::Status),
    route(Method::POST, "account/two-factor/totp", Action::Begin),
    route(Method::POST, "account/two-factor/totp/{id}/confirm", Action::Confirm),
    route(Method::PUT, "account/two-factor/totp/{id}", Action::Rename),
    route(Method::DELETE, "account/two-factor/totp/{id}", Action::Remove),
    route(Method::POST, "account/two-factor/recovery", Action::Regenerate),
    route(Method::GET, "account/two-factor/app-passwords", Action::AppPasswords),
    route(Method::POST, "account/two-factor/app-passwords", Action::CreateAppPassword),
    route(Method::DELETE, "account/two-factor/app-passwords/{id}", Action::RevokeAppPassword),
    route(Method::GET, "capabilities", Action::Capabilities),
    page(Method::GET, "login/sso/redirect", Page::SignInStart),
    page(Method::GET, "login/sso/redirect/{idpId}", Page::SignInStart),
    page(Method::GET, "/_matrix/static/client/login", Page::SignInFallback),
    page(Method::GET, "/_matrix/static/client/login/", Page::SignInFallback),
    page(Method::GET, "auth/m.login.sso/fallback/web", Page::Fallback(Stage::Sso)),
    page(Method::POST, "auth/m.login.sso/fallback/web", Page::Fallback(Stage::Sso)),
    page(Method::GET, "auth/m.login.2fa.totp/fallback/web", Page::Fallback(Stage::Totp)),
    page(Method::POST, "auth/m.login.2fa.totp/fallback/web", Page::Fallback(Stage::Totp)),
    page(Method::GET, "auth/m.login.2fa.recovery/fallback/web", Page::Fallback(Stage::Recovery)),
    page(Method::POST, "auth/m.login.2fa.recovery/fallback/web", Page::Fallback(Stage::Recovery)),
    page(Method::GET, "/account/sign-in", Page::SignIn),
    page(Method::POST, "/account/sign-in", Page::SignIn),
    page(Method::GET, "/account/sign-on", Page::SignOn),
    page(Method::GET, "/account/sign-on/return", Page::SignedOn),
    page(Method::GET, "/account", Page::Account),
    page(Method::POST, "/account", Page::Account),
    page(Method::GET, "/account/change", Page::AccountChange),
    page(Method::POST, "/account/change", Page::AccountChange),
    page(Method::GET, "/account/assets/{name}", Page::Asset),
];

/// Other methods of paths in the table that a homeserver answers, and that
/// open nothing.
pub static PASSED: [(Method, &str); 3] = [
    (Method::GET, "devices/{deviceId}"),
    (Method::PUT, "devices/{deviceId}"),
    (Method::GET, "account/3pid"),
];

/// Ways around the gate that an administrator may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The homeserver's administration, whose tokens and shared secrets open
    /// every account.
    Admin,
    /// Login by QR code (MSC4108): a device that is logged in lets in another.
    QrLogin,
    /// The homeserver's single sign-on, which ends on a page of ours: not to be
    /// opened by its name, but by [`crate::SignOn`].
    SignOn,
}

impl Switch {
    /// Every switch that has a name in the configuration's list of them.
    pub const ALL: [Self; 2] = [Self::Admin, Self::QrLogin];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::QrLogin => "qr_login",
            Self::SignOn => "sso",
        }
    }

    /// The switch of the list with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|switch| switch.as_str() == name)
    }
}

/// Paths that never reach the homeserver.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// This path and all below it, in lower case; `*` stands for one segment.
    pub path: &'static str,
    /// What opens it.
    pub unless: Option<Switch>,
}

const fn refused(path: &'static str, unless: Option<Switch>) -> Refused {
    Refused { path, unless }
}

/// What would get around the second factor and has no gate, outside of the
/// client-server API.
pub static REFUSED: [Refused; 20] = [
    // The part of the gateway that runs inside Synapse.
    refused("/_synapse/client/myelin", None),
    // A login page of the homeserver's own.
    refused("/_matrix/static/client/login", None),
    // OAuth at the homeserver issues tokens.
    refused("/.well-known/openid-configuration", None),
    refused("/_tuwunel/oidc", None),
    refused("/_continuwuity/oidc", None),
    refused("/_continuwuity/oauth2", None),
    refused("/_conduwuit/oauth2", None),
    // Single sign-on at the homeserver ends in a token of its own. Where it is a
    // first factor, it begins on a page of ours and ends there: what lies between
    // is open, and what begins it elsewhere is not. With SAML and CAS, whoever makes
    // a link to the provider would say where the token goes.
    refused("/_synapse/client/pick_idp", None),
    refused("/_synapse/client/saml2", None),
    refused("/_matrix/saml2", None),
    refused("/_synapse/client/oidc", Some(Switch::SignOn)),
    refused("/_synapse/client/pick_username", Some(Switch::SignOn)),
    refused("/_synapse/client/new_user_consent", Some(Switch::SignOn)),
    refused("/_synapse/client/sso_register", Some(Switch::SignOn)),
    refused("/_synapse/client/rendezvous", Some(Switch::QrLogin)),
    refused("/_synapse/admin", Some(Switch::Admin)),
    refused("/_tuwunel", Some(Switch::Admin)),
    refused("/_conduwuit", Some(Switch::Admin)),
    refused("/_continuwuity", Some(Switch::Admin)),
    refused("/_dendrite/admin", Some(Switch::Admin)),
];

/// What the paths of the client-server API begin with.
pub const CLIENT_API: &str = "/_matrix/client/";

/// The same below [`CLIENT_API`], without that prefix.
pub static REFUSED_CLIENT_API: [Refused; 10] = [
    // OAuth and single sign-on at the homeserver issue tokens.
    refused("*/auth_metadata", None),
    refused("*/auth_issuer", None),
    refused("unstable/*/auth_metadata", None),
    refused("unstable/*/auth_issuer", None),
    refused("*/login/sso", None),
    refused("*/login/cas", None),
    refused("*/*/login/sso", None),
    refused("*/*/login/cas", None),
    refused("*/rendezvous", Some(Switch::QrLogin)),
    refused("unstable/*/rendezvous", Some(Switch::QrLogin)),
];

/// What a reverse proxy may send to the homeserver without Myelin.
#[derive(Clone, Copy, Debug)]
pub struct Straight {
    /// The path, literally; with `below`, its beginning.
    pub path: &'static str,
    /// Whether one or more further segments follow it.
    pub below: bool,
}

const fn straight(path: &'static str, below: bool) -> Straight {
    Straight { path, below }
}

/// The busy paths on which nobody logs in and nothing is gated. A proxy that
/// sends these straight to the homeserver, and **everything else** to Myelin,
/// opens no way around the gate: what is unknown or oddly spelt is not here.
pub static STRAIGHT: [Straight; 13] = [
    straight("/_matrix/client/r0/sync", false),
    straight("/_matrix/client/v3/sync", false),
    straight("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", false),
    straight("/_matrix/client/v3/keys/query", false),
    straight("/_matrix/client/v3/keys/claim", false),
    straight("/_matrix/client/r0/rooms", true),
    straight("/_matrix/client/v1/rooms", true),
    straight("/_matrix/client/v3/rooms", true),
    straight("/_matrix/client/v1/media", true),
    straight("/_matrix/media/r0", true),
    straight("/_matrix/media/v3", true),
    straight("/_matrix/federation", true),
    straight("/_matrix/key", true),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_ours_and_nothing_refused_goes_straight() {
        let ours = ROUTES.iter().flat_map(|route| {
            let prefixes: &[&str] = if route.endpoint.starts_with('/') { &[""] } else { &PREFIXES };
            prefixes.iter().map(|prefix| format!("{prefix}{}", route.endpoint))
        });
        // `*` is there for a version.
        let below = REFUSED_CLIENT_API.iter().flat_map(|refused| {
            ["r0", "v1", "v3", "unstable"]
                .map(|version| format!("/_matrix/client/{}", refused.path.replace('*', version)))
        });
        let refused = REFUSED.iter().map(|refused| refused.path.to_owned()).chain(below);
        for path in ours.chain(refused) {
            for straight in &STRAIGHT {
                let overlaps = path
                    .split('/')
                    .zip(straight.path.split('/'))
                    .all(|(ours, other)| ours == other || ours.starts_with('{'));
                let longer = straight.path.split('/').count() > path.split('/').count();
                assert!(!overlaps || longer, "{path} and {}", straight.path);
            }
        }
    }
}
