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
//! Nothing is kept before the password is right. From then on it is a session
//! of the flow engine, whose name only this browser has, so that any process
//! can answer the next step. The token is made by the last one.

mod password;
mod second;
mod set_up;
mod state;
mod templates;

use axum::response::Response;
use myelin_storage::{Action, Outcome};

use self::state::{SignIn, Step};
pub(super) use self::templates::grouped;
use super::{Problem, Visit, account, cookies::Cookie, reply::see_other, target::Target};
use crate::{error::Error, login_token};

/// Where the steps of a sign-in are.
const PATH: &str = "/account/sign-in";
/// Where it begins, with the client's address.
pub(super) const START: &str = "/_matrix/client/v3/login/sso/redirect";

/// `GET /login/sso/redirect` and `/login/sso/redirect/{idpId}`. There is one
/// identity provider, this server, so it does not matter which is named.
pub(super) fn start(visit: &Visit) -> Result<Response, Problem> {
    let text = visit.query.text("redirectUrl");
    let target = Target::parse(text, &visit.app.settings().pages).ok_or(Problem::BadTarget)?;
    Ok(templates::password(visit, &target, "", None))
}

/// `GET /_matrix/static/client/login/`: the page that homeservers have for
/// clients that cannot log in by themselves.
pub(super) fn fallback(visit: &Visit) -> Result<Response, Problem> {
    match visit.query.find("redirectUrl") {
        Some(_) => start(visit),
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

/// Goes on once everything is passed: back to a client that is known; else the
/// person is asked.
async fn onwards(visit: &mut Visit, sign_in: SignIn) -> Result<Response, Problem> {
    let known = sign_in.target.is_known(&visit.app.settings().pages);
    if known || account::is_here(&visit.app, &sign_in.target) {
        return back(visit, sign_in).await;
    }
    Ok(see_other(visit, &visit.link(PATH)))
}

/// Ends the sign-in, and sends the browser back with a login token.
async fn back(visit: &mut Visit, sign_in: SignIn) -> Result<Response, Problem> {
    let app = visit.app.clone();
    let now = app.now();
    let SignIn { session, factors, target } = sign_in;
    app.settings().check_policy(&factors.user, factors.protect())?;
    let flows = state::gate(visit).flows(Some(&factors), &session);
    let executable = session.admit_execution(&state::binding(), &flows, now);
    let executable = executable.map_err(|_| Problem::Over)?;
    let ended = app.store().execute_session(executable, Some(&factors), now).await?;
    let Outcome::Committed(_proof) = ended else { return Err(Problem::Over) };
    visit.jar.set(Cookie::SignIn, None);
    if account::is_here(&app, &target) {
        return account::enter(visit, &factors).await;
    }
    let event = state::gate(visit).event(factors.user.clone(), Action::LoginTokenIssued, now);
    let lifetime = app.settings().sign_in_token_lifetime;
    let token = match login_token::issue(&app, lifetime, factors.epoch, event).await {
        Err(Error::Refused(_)) => return Err(Problem::Over),
        issued => issued?,
    };
    Ok(templates::back(visit, &target, target.with_token(&token)))
}
