//! How the steps look.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use myelin_two_factor::{Authenticator, Status};
use zeroize::Zeroizing;

use super::{PATH, START, state::SignIn};
use crate::{
    pages::{
        Visit, qr,
        reply::{Frame, page},
        sign_on::{Link, links},
        target::Target,
        trouble::Trouble,
    },
    two_factor,
};

#[derive(Template)]
#[template(path = "sign_in_password.html")]
struct Password<'a> {
    frame: Frame,
    action: String,
    trouble: Option<Trouble>,
    redirect_url: &'a str,
    user: &'a str,
    /// Where the sign-in leads.
    place: String,
    providers: Vec<Link>,
}

pub(super) async fn password(
    visit: &Visit,
    target: &Target,
    user: &str,
    trouble: Option<Trouble>,
) -> Response {
    let place = target.website().unwrap_or_else(|| target.app());
    let status = status(trouble.as_ref());
    let frame = Frame::new(visit);
    let (action, redirect_url) = (visit.link(PATH), target.as_str());
    let providers = links(visit, redirect_url).await;
    page(visit, status, &Password { frame, action, trouble, redirect_url, user, place, providers })
}

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct Code<'a> {
    frame: Frame,
    action: String,
    trouble: Option<Trouble>,
    user: &'a str,
    recovery: bool,
    /// Where the other kind of code is asked for; none if there is none.
    other: Option<String>,
    restart: String,
}

pub(super) fn code(
    visit: &Visit,
    sign_in: &SignIn,
    recovery: bool,
    trouble: Option<Trouble>,
) -> Response {
    let other = match (recovery, sign_in.factors.recoverable()) {
        (true, _) => Some(visit.link(PATH)),
        (false, true) => Some(visit.link(&format!("{PATH}?with=recovery"))),
        (false, false) => None,
    };
    let template = Code {
        frame: Frame::new(visit),
        action: visit.link(PATH),
        user: sign_in.factors.user.as_str(),
        recovery,
        other,
        restart: restart(visit, &sign_in.target),
        trouble,
    };
    page(visit, status(template.trouble.as_ref()), &template)
}

#[derive(Template)]
#[template(path = "sign_in_set_up.html")]
struct SetUp<'a> {
    frame: Frame,
    action: String,
    trouble: Option<Trouble>,
    user: &'a str,
    /// The QR code and the secret in groups: only right after it was made.
    secret: Option<(Zeroizing<String>, Zeroizing<String>)>,
    /// Whether an authenticator waits for its first code.
    pending: bool,
    restart: String,
}

pub(super) fn set_up(
    visit: &Visit,
    sign_in: &SignIn,
    new: Option<&Authenticator>,
    trouble: Option<Trouble>,
) -> Response {
    let user = &sign_in.factors.user;
    let secret = new.map(|new| {
        let uri = two_factor::uri(&visit.app, user, new);
        let picture = qr::svg(&uri).unwrap_or_default();
        (picture, grouped(&new.secret.to_base32()))
    });
    let is_pending = |a: &myelin_storage::Enrolled| a.status == Status::Pending;
    let template = SetUp {
        frame: Frame::new(visit),
        action: visit.link(PATH),
        user: user.as_str(),
        pending: secret.is_some() || sign_in.factors.authenticators.iter().any(is_pending),
        secret,
        restart: restart(visit, &sign_in.target),
        trouble,
    };
    page(visit, status(template.trouble.as_ref()), &template)
}

/// In groups of four, as people copy it.
pub(in super::super) fn grouped(secret: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(secret.len() * 2));
    for (index, character) in secret.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            text.push(' ');
        }
        text.push(character);
    }
    text
}

#[derive(Template)]
#[template(path = "sign_in_codes.html")]
struct Codes<'a> {
    frame: Frame,
    action: String,
    trouble: Option<Trouble>,
    user: &'a str,
    list: &'a [Zeroizing<String>],
}

pub(super) fn codes(
    visit: &Visit,
    sign_in: &SignIn,
    codes: &[Zeroizing<String>],
    trouble: Option<Trouble>,
) -> Response {
    let user = sign_in.factors.user.as_str();
    let status = status(trouble.as_ref());
    let (frame, action) = (Frame::new(visit), visit.link(PATH));
    page(visit, status, &Codes { frame, action, trouble, user, list: codes })
}

#[derive(Template)]
#[template(path = "sign_in_confirm.html")]
struct Confirm<'a> {
    frame: Frame,
    action: String,
    user: &'a str,
    website: Option<String>,
    app: String,
    url: &'a str,
    restart: String,
}

/// Asks whether the person means to be led there.
pub(super) fn confirm(visit: &Visit, sign_in: &SignIn) -> Response {
    let SignIn { session: _, factors, target } = sign_in;
    let template = Confirm {
        frame: Frame::new(visit),
        action: visit.link(PATH),
        user: factors.user.as_str(),
        website: target.website(),
        app: target.app(),
        url: target.as_str(),
        restart: restart(visit, target),
    };
    page(visit, StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "sign_in_back.html")]
struct Back {
    frame: Frame,
    place: String,
    address: Zeroizing<String>,
}

/// Leads the browser on to the client. A redirect would need the form's page to
/// allow its target, which no browser can be told of an address such as
/// `http://[::1]:8080`; and it would leave no page behind where an app opens.
pub(super) fn back(visit: &Visit, target: &Target, address: String) -> Response {
    let place = target.website().unwrap_or_else(|| target.app());
    let address = Zeroizing::new(address);
    page(visit, StatusCode::OK, &Back { frame: Frame::new(visit), place, address })
}

/// Where this sign-in began.
fn restart(visit: &Visit, target: &Target) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("redirectUrl", target.as_str())
        .finish();
    visit.link(&format!("{START}?{query}"))
}

fn status(trouble: Option<&Trouble>) -> StatusCode {
    trouble.map_or(StatusCode::OK, |trouble| trouble.status)
}
