//! Pages on their way out: their frame, and the headers that all of them have.

use askama::Template;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

use super::{
    Problem,
    assets::{Asset, logo_path},
    texts::Texts,
    visit::Visit,
};

/// What every page shows and every form carries.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) t: &'static Texts,
    /// The server's name.
    pub(crate) server: String,
    pub(crate) logo: Option<String>,
    pub(crate) style: String,
    pub(crate) icon: String,
    /// The token of the page's forms.
    pub(crate) csrf: String,
}

impl Frame {
    /// The frame of an answer to this visit. To be made after the last change
    /// of the visit's cookies.
    pub(crate) fn new(visit: &Visit) -> Self {
        let settings = visit.app.settings();
        Self {
            t: visit.texts,
            server: settings.pages.title.clone().unwrap_or_else(|| settings.issuer.clone()),
            logo: settings.pages.logo.as_ref().map(logo_path),
            style: Asset::Style.path(),
            icon: Asset::Icon.path(),
            csrf: visit.form_token(),
        }
    }
}

/// What a page may do besides what every page may.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allow {
    /// Run scripts that are files of ours.
    pub(crate) scripts: bool,
    /// Send forms, although it runs scripts.
    pub(crate) forms: bool,
}

/// A page.
pub(crate) fn page(visit: &Visit, status: StatusCode, template: &impl Template) -> Response {
    page_with(visit, status, template, Allow::default())
}

/// A page that may do more.
pub(crate) fn page_with(
    visit: &Visit,
    status: StatusCode,
    template: &impl Template,
    allow: Allow,
) -> Response {
    let Ok(html) = template.render() else {
        // Only a formatter of ours could fail, and none does.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy(allow));
    finish(visit, response)
}

/// Sends the browser on, with GET.
pub(crate) fn see_other(visit: &Visit, to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => see_elsewhere(visit, to),
        Err(_) => problem(visit, &Problem::Malformed),
    }
}

/// Sends the browser on, to an address that the homeserver has made.
pub(crate) fn see_elsewhere(visit: &Visit, to: HeaderValue) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, to);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy(Allow::default()));
    finish(visit, response)
}

/// What is shown where there is no page.
pub(crate) fn problem(visit: &Visit, problem: &Problem) -> Response {
    let (status, title, text) = problem.tell(visit.texts);
    page(visit, status, &Message { frame: Frame::new(visit), title, text: &text })
}

/// A page that only says something.
#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
}

fn policy(allow: Allow) -> HeaderValue {
    HeaderValue::from_static(match allow {
        Allow { scripts: true, forms: true } => {
            "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        }
        Allow { scripts: true, forms: false } => {
            "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
             form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
        }
        Allow { scripts: false, .. } => {
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
             frame-ancestors 'none'; base-uri 'none'"
        }
    })
}

/// A text that is saved as a file.
pub(crate) fn text_file(visit: &Visit, text: String, name: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy(Allow::default()));
    finish(visit, response)
}

fn finish(visit: &Visit, mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // For browsers that do not know `frame-ancestors`.
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(visit.texts.language));
    for cookie in visit.jar.headers() {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}
