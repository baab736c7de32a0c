//! A browser, as far as pages without scripts need one: it keeps cookies,
//! sends forms, and follows redirects.

use std::collections::BTreeMap;

use axum::body::Body;
use http::header;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Client, Reply};

/// A browser with cookies of its own.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    client: Client,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Sent with every request.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

/// What it shows.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) reply: Reply,
}

impl Browser {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, cookies: BTreeMap::new(), headers: Vec::new() }
    }

    /// Opens an address.
    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.request("GET", path, None).await
    }

    /// Sends a form's page with these fields, and follows where that leads.
    pub(crate) async fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Page {
        self.submit_nth(page, 0, fields).await
    }

    /// Sends the nth form of a page.
    pub(crate) async fn submit_nth(
        &mut self,
        page: &Page,
        index: usize,
        fields: &[(&str, &str)],
    ) -> Page {
        let (action, hidden) = page.form(index);
        let mut all: Vec<_> = hidden.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        all.extend(fields);
        let page = self.send(&action, &all).await;
        if page.reply.status != 303 {
            return page;
        }
        let to = page.reply.header("location").to_owned();
        self.get(&to).await
    }

    /// Sends fields, and follows nothing.
    pub(crate) async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.request("POST", path, Some(encoded(fields))).await
    }

    /// Sends a request with any body.
    pub(crate) async fn request(&mut self, method: &str, path: &str, body: Option<String>) -> Page {
        let mut request = self.client.request(method, path);
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        if !self.cookies.is_empty() {
            let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
            request = request.header(header::COOKIE, pairs.collect::<Vec<_>>().join("; "));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let reply = self.client.send(request, body.map_or_else(Body::empty, Body::from)).await;
        self.keep(&reply);
        Page { path: path.to_owned(), reply }
    }

    fn keep(&mut self, reply: &Reply) {
        for cookie in reply.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("text");
            assert!(cookie.starts_with("__Host-"), "{cookie}");
            assert!(cookie.contains("; Path=/; HttpOnly; SameSite="), "{cookie}");
            assert!(cookie.contains("; Secure"), "{cookie}");
            let (name, value) = cookie.split_once('=').expect("a cookie");
            let value = value.split(';').next().unwrap_or_default().to_owned();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value);
            }
        }
    }
}

/// `application/x-www-form-urlencoded`
pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Page {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.reply.status, status, "{}", self.reply.text());
        self
    }

    pub(crate) fn html(&self) -> String {
        self.reply.text()
    }

    /// Whether it says this, escaped as it is.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.html().contains(text), "no {text:?} in {}", self.html());
        self
    }

    /// The text between two others.
    #[track_caller]
    pub(crate) fn between(&self, before: &str, after: &str) -> String {
        let html = self.html();
        let (_, rest) = html.split_once(before).unwrap_or_else(|| panic!("no {before} in {html}"));
        rest.split_once(after).expect("an end").0.to_owned()
    }

    /// The action and the hidden fields of the nth form.
    #[track_caller]
    pub(crate) fn form(&self, index: usize) -> (String, Vec<(String, String)>) {
        let html = self.html();
        let form = html.split("<form").nth(index + 1);
        let form = form.unwrap_or_else(|| panic!("no form {index} in {html}"));
        let (head, rest) = form.split_once('>').expect("a form");
        let action = attribute(head, "action").unwrap_or_else(|| self.path.clone());
        let body = rest.split("</form>").next().expect("a form");
        let inputs =
            body.split("<input").skip(1).map(|input| input.split('>').next().unwrap_or_default());
        let hidden = inputs.filter(|input| input.contains("type=\"hidden\"")).map(|input| {
            let named = |name| attribute(input, name).expect("an attribute");
            (named("name"), named("value"))
        });
        (action, hidden.collect())
    }

    /// Where the link with this text or id leads.
    #[track_caller]
    pub(crate) fn link(&self, marker: &str) -> String {
        let html = self.html();
        let found = html
            .split("<a ")
            .skip(1)
            .find(|link| link.split("</a>").next().is_some_and(|link| link.contains(marker)));
        attribute(found.expect("the link"), "href").expect("an address")
    }
}

/// The value of an attribute, unescaped.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let value = rest.split('"').next()?;
    let entities =
        [("&#38;", "&"), ("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'")];
    Some(entities.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to)))
}
