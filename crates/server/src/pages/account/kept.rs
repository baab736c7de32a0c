//! What is shown once and has to be kept: recovery codes, an app password.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use myelin_two_factor::{AppPassword, Name, RecoveryCode};
use zeroize::Zeroizing;

use super::{CHANGE, PATH, SignedIn, status};
use crate::pages::{
    Problem, Visit,
    assets::Asset,
    reply::{Allow, Frame, page_with, see_other, text_file},
    trouble::Trouble,
};

#[derive(Template)]
#[template(path = "account_codes.html")]
struct Set<'a> {
    frame: Frame,
    action: String,
    script: String,
    trouble: Option<Trouble>,
    user: &'a str,
    codes: &'a [Zeroizing<String>],
    /// All of them, for the forms that need them once more.
    joined: Zeroizing<String>,
}

/// Shows new recovery codes.
pub(super) fn codes(
    visit: &Visit,
    signed_in: &SignedIn,
    codes: &[Zeroizing<String>],
    trouble: Option<Trouble>,
) -> Response {
    let template = Set {
        frame: Frame::new(visit),
        action: visit.link(CHANGE),
        script: Asset::Keep.path(),
        user: signed_in.factors.user.as_str(),
        joined: joined(codes, " "),
        codes,
        trouble,
    };
    let allow = Allow { scripts: true, forms: true };
    page_with(visit, status(template.trouble.as_ref()), &template, allow)
}

fn joined(codes: &[Zeroizing<String>], separator: &str) -> Zeroizing<String> {
    let length = codes.iter().map(|code| code.len() + separator.len()).sum();
    // Room for all of it: a string that grows leaves copies of the codes.
    let mut text = Zeroizing::new(String::with_capacity(length));
    for code in codes {
        text.push_str(code);
        text.push_str(separator);
    }
    text
}

/// The codes that a form of ours brings back: nobody keeps them in between.
fn brought(visit: &Visit) -> Result<Vec<Zeroizing<String>>, Problem> {
    let text = visit.form()?.text("codes");
    let code = |text| RecoveryCode::parse(text).map(|code| code.to_text());
    text.split_ascii_whitespace()
        .take(100)
        .map(code)
        .collect::<Option<_>>()
        .ok_or(Problem::Malformed)
}

/// Goes on once the codes are said to be saved.
pub(super) fn saved(visit: &Visit, signed_in: &SignedIn) -> Result<Response, Problem> {
    if visit.form()?.find("saved").is_some() {
        return Ok(see_other(visit, &visit.link(PATH)));
    }
    let trouble = Trouble::not_ticked(visit);
    Ok(codes(visit, signed_in, &brought(visit)?, Some(trouble)))
}

/// The codes as a file.
pub(super) fn download(visit: &Visit, signed_in: &SignedIn) -> Result<Response, Problem> {
    let codes = brought(visit)?;
    let (user, t) = (&signed_in.factors.user, visit.texts);
    let lines = joined(&codes, "\r\n");
    let text = format!("{} {user}\r\n\r\n{}", t.codes_for, lines.as_str());
    Ok(text_file(visit, text, "recovery-codes.txt"))
}

#[derive(Template)]
#[template(path = "account_app_password.html")]
struct Shown<'a> {
    frame: Frame,
    script: String,
    back: String,
    user: &'a str,
    name: &'a str,
    password: &'a str,
}

/// Shows a new app password.
pub(super) fn app_password(
    visit: &Visit,
    signed_in: &SignedIn,
    name: &Name,
    password: &AppPassword,
) -> Response {
    let template = Shown {
        frame: Frame::new(visit),
        script: Asset::Keep.path(),
        back: visit.link(PATH),
        user: signed_in.factors.user.as_str(),
        name: name.as_str(),
        password: password.expose(),
    };
    page_with(visit, StatusCode::OK, &template, Allow { scripts: true, forms: false })
}
