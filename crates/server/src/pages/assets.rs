//! The files that pages load: the style sheet, the scripts, the logo.
//!
//! Their addresses hold a digest of their content, so that a browser keeps
//! them for ever and never shows an old one.

use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use super::Logo;
use crate::App;

/// A file that comes with the program.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asset {
    /// How every page looks.
    Style,
    /// What stands for every page in a list of them.
    Icon,
    /// Tells a client that its fallback page is done.
    AuthDone,
    /// Copies and prints what is shown once.
    Keep,
}

impl Asset {
    const ALL: [Self; 4] = [Self::Style, Self::Icon, Self::AuthDone, Self::Keep];

    /// Where it is.
    pub(crate) fn path(self) -> String {
        let (name, kind) = match self {
            Self::Style => ("style", "css"),
            Self::Icon => ("icon", "svg"),
            Self::AuthDone => ("auth-done", "js"),
            Self::Keep => ("keep", "js"),
        };
        address(name, kind, self.content().as_bytes())
    }

    const fn content(self) -> &'static str {
        match self {
            Self::Style => include_str!("assets/style.css"),
            Self::Icon => include_str!("assets/icon.svg"),
            Self::AuthDone => include_str!("assets/auth-done.js"),
            Self::Keep => include_str!("assets/keep.js"),
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Style => "text/css; charset=utf-8",
            Self::Icon => "image/svg+xml",
            Self::AuthDone | Self::Keep => "text/javascript; charset=utf-8",
        }
    }
}

/// Where the logo is.
pub(crate) fn logo_path(logo: &Logo) -> String {
    let kind = logo.media_type().trim_start_matches("image/").trim_end_matches("+xml");
    address("logo", kind, logo.bytes())
}

fn address(name: &str, kind: &str, content: &[u8]) -> String {
    let digest = HEXLOWER.encode(&Sha256::digest(content)[..8]);
    format!("/account/assets/{name}-{digest}.{kind}")
}

/// `GET /account/assets/{name}`
pub(crate) fn serve(app: &App, path: &str) -> Response {
    if let Some(asset) = Asset::ALL.into_iter().find(|asset| asset.path() == path) {
        return file(asset.content().into(), asset.media_type());
    }
    match &app.settings().pages.logo {
        Some(logo) if logo_path(logo) == path => {
            let mut response = file(logo.bytes().to_vec(), logo.media_type());
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, LOGO_POLICY);
            response
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// An SVG that is opened by itself is a document: one that can do nothing.
const LOGO_POLICY: HeaderValue =
    HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'");

fn file(content: Vec<u8>, media_type: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content).into_response()
}
