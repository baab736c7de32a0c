//! The homeserver's own single sign-on, in the place of the password.
//!
//! ```text
//!   a page of ours ─▶ start ─▶ homeserver ─▶ identity provider ─▶ homeserver ─▶ back
//! ```
//!
//! The homeserver brings the browser back with a login token, which is spent here
//! and leads to no device: it names the user of a sign-in, and nothing more. What
//! comes after it, a second factor above all, is asked for as after a password.

use std::time::Duration;

use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;
use http::{StatusCode, header};
use myelin_homeserver::IdentityProvider;
use myelin_uia::Stage;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::timeout;
use url::form_urlencoded;

use super::{
    Problem, Visit, cookies::Cookie, reply::see_elsewhere, sign_in, target::Target, texts::fill,
};

const START: &str = "/account/sign-on";
const BACK: &str = "/account/sign-on/return";

/// How long a page waits to hear who the providers are.
const PATIENCE: Duration = Duration::from_secs(3);

/// A provider to continue with.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) label: String,
    pub(super) address: String,
}

/// The providers to continue with on the way to `target`. Where the homeserver
/// does not say, there is the password.
pub(super) async fn links(visit: &Visit, target: &str) -> Vec<Link> {
    if !visit.app.signs_on() {
        return Vec::new();
    }
    let asking = visit.app.homeserver().identity_providers(&visit.context);
    let Ok(Ok(providers)) = timeout(PATIENCE, asking).await else {
        tracing::warn!("the homeserver does not say who its identity providers are");
        return Vec::new();
    };
    let link = |IdentityProvider { id, name }: IdentityProvider| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("provider", &id).append_pair("redirect_url", target);
        query.append_pair("from", &from(visit));
        Link {
            label: fill(visit.texts.sign_on_with, &[("name", &name)]),
            address: visit.link(&format!("{START}?{}", query.finish())),
        }
    };
    providers.into_iter().map(link).collect()
}

/// `GET /account/sign-on`: sends the browser to the homeserver, from a page of ours.
///
/// # Security
///
/// An identity provider may ask for nothing. So a link of somebody else's leads to
/// the sign-in page, and no further without the person.
pub(super) async fn start(visit: &mut Visit) -> Result<Response, Problem> {
    let target = target(visit)?;
    if !is_same(visit.query.text("from"), &from(visit)) {
        return Ok(sign_in::offer(visit, &target).await);
    }
    let providers = visit.app.homeserver().identity_providers(&visit.context).await?;
    let mut providers = providers.into_iter();
    let provider = providers.find(|provider| provider.id == visit.query.text("provider"));
    let provider = provider.ok_or(Problem::NotFound)?;
    if visit.jar.value(Cookie::SignOn).is_none() {
        let secret = BASE64URL_NOPAD.encode(&visit.app.entropy().bytes::<24>());
        visit.jar.set(Cookie::SignOn, Some(secret));
    }
    let state = state(visit, &target).ok_or(Problem::Stale)?;
    let back = visit.app.settings().public_url.join(&visit.link(BACK));
    let mut back = back.map_err(|_| Problem::Malformed)?;
    back.query_pairs_mut()
        .append_pair("redirect_url", target.as_str())
        .append_pair("state", &state);
    let sign_on = visit.app.homeserver().sign_on(&provider, &back, &visit.context).await?;
    let mut response = see_elsewhere(visit, sign_on.location);
    for cookie in sign_on.cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `GET /account/sign-on/return`: the homeserver has brought the browser back.
///
/// # Security
///
/// Only the browser that has left from here comes back to this target: with an
/// address that somebody else has made, a person could be signed in as them.
pub(super) async fn back(visit: &mut Visit) -> Result<Response, Problem> {
    let target = target(visit)?;
    let expected = state(visit, &target).ok_or(Problem::Stale)?;
    if !is_same(visit.query.text("state"), &expected) {
        return Err(Problem::Stale);
    }
    visit.jar.set(Cookie::SignOn, None);
    let (app, context) = (visit.app.clone(), visit.context.clone());
    // As a password: it asks as much of the homeserver.
    app.take_password(&context)?;
    let token = visit.query.text("loginToken");
    let user = match app.homeserver().check_login_token(token, &context).await? {
        Ok(user) => user,
        Err(refusal) if refusal.status == StatusCode::FORBIDDEN => return Err(Problem::Over),
        Err(refusal) => return Err(refusal.into()),
    };
    app.give_password_back(&context);
    let factors = app.store().lookup_factors(&user).await?;
    sign_in::begin(visit, factors, target, Stage::Token).await
}

fn target(visit: &Visit) -> Result<Target, Problem> {
    if !visit.app.signs_on() {
        return Err(Problem::NotFound);
    }
    let text = visit.query.text("redirect_url");
    Target::parse(text, &visit.app.settings().pages).ok_or(Problem::BadTarget)
}

/// What only a page of ours can know, in this browser.
fn from(visit: &Visit) -> String {
    let mut hash = Sha256::new_with_prefix("myelin sign-on link\n");
    hash.update(visit.jar.value(Cookie::Visit).unwrap_or_default());
    BASE64URL_NOPAD.encode(&hash.finalize())
}

fn is_same(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

/// What only this browser can bring back, only with this target, and only once;
/// none where it has not left from here.
fn state(visit: &Visit, target: &Target) -> Option<String> {
    let mut hash = Sha256::new_with_prefix("myelin sign-on\n");
    hash.update(visit.jar.value(Cookie::SignOn)?);
    hash.update("\n");
    hash.update(target.as_str());
    Some(BASE64URL_NOPAD.encode(&hash.finalize()))
}
