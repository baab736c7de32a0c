//! `myelin routes`

use myelin_homeserver::Operation;
use myelin_server::routes::{
    Action, CLIENT_API, PREFIXES, Page, REFUSED, REFUSED_CLIENT_API, ROUTES, Switch,
};
use serde_json::json;

use super::{print, proxies};
use crate::{
    args::{Proxied, RoutesFormat},
    failure::Failure,
};

/// Prints the table of what Myelin answers itself, or a reverse proxy's
/// configuration that sends it there.
pub(super) fn run(format: RoutesFormat, proxied: &Proxied) -> Result<(), Failure> {
    match format {
        RoutesFormat::Table => table(),
        RoutesFormat::Json => json(),
        RoutesFormat::Nginx => print(proxies::nginx(proxied)),
        RoutesFormat::Caddy => print(proxies::caddy(proxied)),
        RoutesFormat::Traefik => print(proxies::traefik(proxied)),
        RoutesFormat::Haproxy => print(proxies::haproxy(proxied)),
    }
}

fn table() -> Result<(), Failure> {
    print(
        "Myelin answers the first of these itself, under each of the prefixes, and refuses the \
         second; all else is the homeserver's.\n",
    )?;
    for prefix in PREFIXES {
        print(format_args!("  {prefix}"))?;
    }
    let width = ROUTES.iter().map(|route| route.endpoint.len()).max().unwrap_or(0);
    print(format_args!("\n{:6}  {:width$}  {:5}  WHAT", "METHOD", "ENDPOINT", "GATED"))?;
    for route in &ROUTES {
        let gated = if route.action.is_gated() { "yes" } else { "no" };
        let (method, endpoint, what) =
            (route.method.as_str(), route.endpoint, describe(route.action));
        print(format_args!("{method:6}  {endpoint:width$}  {gated:5}  {what}"))?;
    }
    let width = refused().map(|(path, _)| path.len()).max().unwrap_or(0);
    print(format_args!("\n{:width$}  UNLESS", "REFUSED, WITH ALL BELOW"))?;
    for (path, unless) in refused() {
        print(format_args!("{path:width$}  {}", unless.unwrap_or("-")))?;
    }
    Ok(())
}

/// What never reaches the homeserver, and the name of the switch that opens it.
/// `*` stands for one segment.
fn refused() -> impl Iterator<Item = (String, Option<&'static str>)> {
    let below = REFUSED_CLIENT_API.iter().map(|refused| (CLIENT_API, refused));
    let all = REFUSED.iter().map(|refused| ("", refused)).chain(below);
    all.map(|(prefix, refused)| {
        (format!("{prefix}{}", refused.path), refused.unless.map(opened_by))
    })
}

fn opened_by(switch: Switch) -> &'static str {
    match switch {
        Switch::Admin => "homeserver.pass=admin",
        Switch::QrLogin => "homeserver.pass=qr_login",
        Switch::SignOn => "homeserver.sso",
    }
}

fn json() -> Result<(), Failure> {
    let route = |route: &myelin_server::routes::Route| {
        json!({
            "method": route.method.as_str(),
            "endpoint": route.endpoint,
            "gated": route.action.is_gated(),
            "description": describe(route.action),
        })
    };
    let routes: Vec<_> = ROUTES.iter().map(route).collect();
    let refused: Vec<_> =
        refused().map(|(path, unless)| json!({"path": path, "unless": unless})).collect();
    let table = json!({"prefixes": PREFIXES, "routes": routes, "refused": refused});
    print(format_args!("{table:#}"))
}

const fn describe(action: Action) -> &'static str {
    match action {
        Action::LoginTypes => "the types of login",
        Action::Login => "log in",
        Action::Protected(operation) => describe_operation(operation),
        Action::LoginToken => "a token to log in on another device",
        Action::Status => "which second factors there are",
        Action::Begin => "begin to set up an authenticator",
        Action::Confirm => "confirm an authenticator with its first code",
        Action::Rename => "rename an authenticator",
        Action::Remove => "remove an authenticator",
        Action::Regenerate => "new recovery codes",
        Action::AppPasswords => "which app passwords there are",
        Action::CreateAppPassword => "make an app password",
        Action::RevokeAppPassword => "revoke an app password",
        Action::Capabilities => "the homeserver's capabilities, and m.two_factor",
        Action::Page(page) => describe_page(page),
    }
}

const fn describe_page(page: Page) -> &'static str {
    match page {
        Page::Asset => "what the pages load",
        Page::SignInStart => "the sign-in page, for a client",
        Page::SignInFallback => "the same, in its old place",
        Page::SignIn => "the steps of a sign-in",
        Page::Fallback(_) => "a stage, on a page",
        Page::SignOn => "goes on at the homeserver's single sign-on",
        Page::SignedOn => "comes back from the homeserver's single sign-on",
        Page::Account => "a user's own account",
        Page::AccountChange => "a change to it, after proof",
    }
}

const fn describe_operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Register => "register",
        Operation::ChangePassword => "change the password",
        Operation::Deactivate => "deactivate the account",
        Operation::AddThirdParty => "add an email address or a phone number",
        Operation::AddThirdPartyDeprecated => "the same, in its old form",
        Operation::DeleteDevice => "delete a device",
        Operation::DeleteDevices => "delete devices",
        Operation::UploadSigningKeys => "replace the cross-signing keys",
    }
}
