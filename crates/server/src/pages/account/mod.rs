//! The account page: what protects the account, and changes to it.
//!
//! One signs in to it as to a client, with both factors. That shows, and changes
//! nothing: every change takes a fresh proof of its own. What may be changed and
//! how is decided where every other route decides it.

mod change;
mod events;
mod kept;
mod overview;
mod perform;
mod proof;
mod session;
mod set_up;

use axum::response::Response;
use http::StatusCode;

use self::session::SignedIn;
use super::{
    Problem, Visit, cookies::Cookie, reply::see_other, sign_in, target::Target, trouble::Trouble,
};
use crate::App;

/// Where the account page is.
const PATH: &str = "/account";
/// Where a change to it is asked for.
pub(super) const CHANGE: &str = "/account/change";

pub(super) use change::{ask, change};
pub(super) use session::enter;

/// `GET /account`
pub(super) async fn show(visit: &mut Visit) -> Result<Response, Problem> {
    match SignedIn::find(visit).await? {
        Some(signed_in) => overview::overview(visit, &signed_in).await,
        None => Ok(sign_in_first(visit)),
    }
}

/// `POST /account`: signs out of it.
pub(super) async fn submit(visit: &mut Visit) -> Result<Response, Problem> {
    if visit.form()?.text("do") != "sign-out" {
        return Err(Problem::Malformed);
    }
    if let Some(id) = session::id(visit) {
        visit.app.store().end_web_session(&id).await?;
    }
    visit.jar.set(Cookie::Account, None);
    Ok(see_other(visit, &visit.link(PATH)))
}

/// Leads to the sign-in page, and from there back to this one.
fn sign_in_first(visit: &Visit) -> Response {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("redirectUrl", &address(&visit.app))
        .finish();
    see_other(visit, &visit.link(&format!("{}?{query}", sign_in::START)))
}

/// Whether a sign-in leads to the account page. No token is made for it.
pub(super) fn is_here(app: &App, target: &Target) -> bool {
    target.as_str() == address(app)
}

fn address(app: &App) -> String {
    app.settings().public_url.join(PATH).map(String::from).unwrap_or_default()
}

fn status(trouble: Option<&Trouble>) -> StatusCode {
    trouble.map_or(StatusCode::OK, |trouble| trouble.status)
}
