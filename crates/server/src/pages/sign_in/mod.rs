//! Signing in on a page (`m.login.sso`).
//!
//! [Client-Server API, SSO client login](https://spec.matrix.org/v1.16/client-server-api/#sso-client-loginauthentication).
//!
//! ```text
//!   redirect ─▶ password ─┬──────────────▶ ready ─▶ where to? ─▶ back, with a token
//!                         ├─▶ code ───────▶ ▲
//!                         └─▶ set up, confirm, save the codes
//! ```
//!
//! In the place of the password there may be the homeserver's own single sign-on.
//! Nothing is kept before either is passed. From then on it is a session
//! of the flow engine, whose name only this browser has, so that any process
//! can answer the next step. The token is made by the last one.

mod password;
mod second;
mod set_up;
mod state;
mod templates;

use axum::response::Response;
use myelin_storage::{
    Action::{LoginTokenIssued, PasswordPassed, SignOnPassed},
    Factors,
};
use myelin_uia::Stage;

use self::state::Step;
pub(super) use self::{state::SignIn, templates::grouped};
use super::{Problem, Visit, account, fallback, reply::see_other, target::Target};
use crate::{App, error::Error, login_token};

/// Where the steps of a sign-in are.
const PATH: &str = "/account/sign-in";
/// Where it begins, with the client's address.
pub(super) const START: &str = "/_matrix/client/v3/login/sso/redirect";

/// `GET /login/sso/redirect` and `/login/sso/redirect/{idpId}`. Whichever provider
/// is named, the page offers every way that there is.
pub(super) async fn start(visit: &Visit) -> Result<Response, Problem> {
    let text = visit.query.text("redirectUrl");
    let target = Target::parse(text, &visit.app.settings().pages).ok_or(Problem::BadTarget)?;
    Ok(offer(visit, &target).await)
}

/// The first page.
pub(super) async fn offer(visit: &Visit, target: &Target) -> Response {
    templates::password(visit, target, "", None).await
}

/// `GET /_matrix/static/client/login/`: the page that homeservers have for
/// clients that cannot log in by themselves.
pub(super) async fn fallback(visit: &Visit) -> Result<Response, Problem> {
    match visit.query.find("redirectUrl") {
        Some(_) => start(visit).await,
        None => Err(Problem::NoTarget),
    }
}

/// `GET /account/sign-in`: where the sign-in of this browser stands.
pub(super) async fn show(visit: &mut Visit) -> Result<Response, Problem> {
    let sign_in = SignIn::current(visit).await?;
    Ok(match sign_in.step(visit) {
        Step::Code => {
            templates::code(visit, &sign_in, visit.query.text("with") == "recovery", None)
        }
        Step::SetUp => templates::set_up(visit, &sign_in, None, None),
        Step::Ready => templates::confirm(visit, &sign_in),
    })
}

/// `POST /account/sign-in`: the next step.
pub(super) async fn submit(visit: &mut Visit) -> Result<Response, Problem> {
    match visit.form()?.text("step") {
        "password" => password::submit(visit).await,
        "code" => second::submit(visit, false).await,
        "recovery" => second::submit(visit, true).await,
        "set-up" => set_up::begin(visit).await,
        "confirm" => set_up::confirm(visit).await,
        "saved" => set_up::saved(visit).await,
        "go" => {
            let sign_in = SignIn::current(visit).await?;
            back(visit, sign_in).await
        }
        _ => Err(Problem::Malformed),
    }
}

/// Goes on with a user who has just passed the first stage.
pub(super) async fn begin(
    visit: &mut Visit,
    factors: Factors,
    target: Target,
    first: Stage,
) -> Result<Response, Problem> {
    let session = state::pass(visit, &factors, &target, first, None)?;
    let sign_in = SignIn { session, factors, target };
    let action = if first == Stage::Token { SignOnPassed } else { PasswordPassed };
    let event = sign_in.factors.protect().then(|| sign_in.event(visit, action));
    sign_in.keep(visit, sign_in.factors.epoch, event).await?;
    if sign_in.step(visit) == Step::Ready {
        return onwards(visit, sign_in).await;
    }
    Ok(see_other(visit, &visit.link(PATH)))
}

/// Goes on once everything is passed: back to a client that is known, or to the
/// page of ours that waits for it; else the person is asked.
async fn onwards(visit: &mut Visit, sign_in: SignIn) -> Result<Response, Problem> {
    if let Some(waiting) = waiting(&visit.app, &sign_in.target) {
        return Ok(see_other(visit, &visit.link(waiting)));
    }
    let known = sign_in.target.is_known(&visit.app.settings().pages);
    if known || account::is_here(&visit.app, &sign_in.target) {
        return back(visit, sign_in).await;
    }
    Ok(see_other(visit, &visit.link(PATH)))
}

/// The page of ours that a sign-in leads to and that spends it, if it is one.
fn waiting<'t>(app: &App, target: &'t Target) -> Option<&'t str> {
    if !app.signs_on() {
        return None;
    }
    let origin = app.settings().public_url.origin().ascii_serialization();
    let page = target.as_str().strip_prefix(&origin)?;
    let path = page.split('?').next()?;
    matches!(path, account::CHANGE | fallback::SSO).then_some(page)
}

/// The sign-in of this browser that leads to this address of ours, if everything
/// is passed in it.
pub(super) async fn ready(visit: &Visit, address: &str) -> Result<Option<SignIn>, Problem> {
    if !visit.app.signs_on() {
        return Ok(None);
    }
    match SignIn::current(visit).await {
        Ok(sign_in) => {
            let is_ready = sign_in.target.as_str() == address && sign_in.step(visit) == Step::Ready;
            Ok(is_ready.then_some(sign_in))
        }
        Err(Problem::Over) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Ends the sign-in, and sends the browser back with a login token.
async fn back(visit: &mut Visit, sign_in: SignIn) -> Result<Response, Problem> {
    let app = visit.app.clone();
    let (factors, target) = (sign_in.factors.clone(), sign_in.target.clone());
    app.settings().check_policy(&factors.user, factors.protect())?;
    let event = sign_in.event(visit, LoginTokenIssued);
    let epoch = sign_in.spend(visit).await?.epoch;
    if account::is_here(&app, &target) {
        return account::enter(visit, &factors).await;
    }
    let lifetime = app.settings().sign_in_token_lifetime;
    let token = match login_token::issue(&app, lifetime, epoch, event).await {
        Err(Error::Refused(_)) => return Err(Problem::Over),
        issued => issued?,
    };
    Ok(templates::back(visit, &target, target.with_token(&token)))
}
