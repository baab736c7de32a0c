//! A request for a page, read and checked.

use axum::extract::Request;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use myelin_homeserver::Context;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

use super::{
    Problem,
    cookies::{Cookie, Jar},
    fields::Fields,
    texts::{self, Texts},
};
use crate::App;

/// The largest form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;

/// One request for a page. A form has been checked before a handler sees it:
/// it comes from a page that this browser got from us.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) app: App,
    pub(crate) context: Context,
    pub(crate) query: Fields,
    /// What was sent; none where a page is only asked for.
    pub(crate) form: Option<Fields>,
    pub(crate) texts: &'static Texts,
    pub(crate) jar: Jar,
}

impl Visit {
    /// Begins with what cannot fail, so that a problem is told in the
    /// visitor's language and look.
    pub(crate) fn begin(app: &App, context: Context, headers: &HeaderMap, uri: &Uri) -> Self {
        let query = Fields::parse(uri.query().unwrap_or_default().as_bytes()).unwrap_or_default();
        let asked = query.find("ui_locales").and_then(texts::asked_for);
        let texts = asked.unwrap_or_else(|| texts::preferred(headers));
        let mut jar = Jar::read(headers, &app.settings().public_url);
        if jar.value(Cookie::Visit).is_none() {
            let secret = BASE64URL_NOPAD.encode(&app.entropy().bytes::<24>());
            jar.set(Cookie::Visit, Some(secret));
        }
        Self { app: app.clone(), context, query, form: None, texts, jar }
    }

    /// Reads the rest of a request.
    pub(crate) async fn read(&mut self, request: Request) -> Result<(), Problem> {
        let query = request.uri().query().unwrap_or_default();
        if Fields::parse(query.as_bytes()).is_none() {
            return Err(Problem::Malformed);
        }
        if *request.method() == Method::POST {
            self.form = Some(self.checked_form(request).await?);
        }
        Ok(())
    }

    async fn checked_form(&self, request: Request) -> Result<Fields, Problem> {
        let (parts, body) = request.into_parts();
        if !is_own(&parts.headers, &self.app.settings().public_url) {
            return Err(Problem::Stale);
        }
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
        {
            return Err(Problem::Malformed);
        }
        let mut limits = self.app.settings().body;
        limits.size = limits.size.min(FORM_LIMIT);
        let bytes = limits.read(body).await?;
        let form = Fields::parse(&bytes).ok_or(Problem::Malformed)?;
        let expected = self.form_token();
        if !bool::from(form.text("csrf").as_bytes().ct_eq(expected.as_bytes())) {
            return Err(Problem::Stale);
        }
        Ok(form)
    }

    /// What every form carries: only a page that came with these very cookies
    /// can know it.
    pub(crate) fn form_token(&self) -> String {
        let mut hash = Sha256::new_with_prefix("myelin form\n");
        // Whoever begins a sign-on in another tab leaves the forms here valid.
        for cookie in Cookie::ALL.into_iter().filter(|cookie| *cookie != Cookie::SignOn) {
            hash.update(self.jar.value(cookie).unwrap_or_default());
            hash.update("\n");
        }
        BASE64URL_NOPAD.encode(&hash.finalize())
    }

    /// The form that was sent.
    pub(crate) fn form(&self) -> Result<&Fields, Problem> {
        self.form.as_ref().ok_or(Problem::Malformed)
    }

    /// A path of ours, in the language that was asked for in the URL.
    pub(crate) fn link(&self, path: &str) -> String {
        let Some(asked) = self.query.find("ui_locales") else { return path.to_owned() };
        if texts::asked_for(asked).is_none() {
            return path.to_owned();
        }
        let separator = if path.contains('?') { '&' } else { '?' };
        format!("{path}{separator}ui_locales={}", self.texts.language)
    }
}

/// Whether a form was sent by a page of ours, as far as the browser says: a
/// second line behind the form's token.
fn is_own(headers: &HeaderMap, public_url: &Url) -> bool {
    let said = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    match (said("sec-fetch-site"), said("origin")) {
        (Some(site), _) => matches!(site, b"same-origin" | b"none"),
        // Our pages send no referrer, and so most browsers no origin.
        (None, None | Some(b"null")) => true,
        (None, Some(origin)) => origin == public_url.origin().ascii_serialization().as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_site_is_not_ours() {
        let url = "https://example.org".parse().unwrap();
        let own = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (header::HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            is_own(&pairs.collect(), &url)
        };
        assert!(own(&[]));
        assert!(own(&[("origin", "null")]));
        assert!(own(&[("origin", "https://example.org")]));
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(!own(&[("origin", "https://evil.example")]));
        assert!(!own(&[("origin", "http://example.org")]));
        assert!(!own(&[("sec-fetch-site", "cross-site"), ("origin", "https://example.org")]));
        assert!(!own(&[("sec-fetch-site", "same-site")]));
    }
}
