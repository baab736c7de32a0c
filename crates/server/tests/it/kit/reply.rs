//! An answer of the server.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

/// What a client got. The checks return the reply, so that they read in a row.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body arrives").to_bytes().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.shown()))
    }

    /// A string of the body.
    #[track_caller]
    pub(crate) fn string(&self, key: &str) -> String {
        let value = self.json()[key].as_str().map(str::to_owned);
        value.unwrap_or_else(|| panic!("no {key}: {}", self.shown()))
    }

    /// The UIA session.
    #[track_caller]
    pub(crate) fn session(&self) -> String {
        self.string("session")
    }

    /// A header, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("the header is ASCII"))
    }

    /// The strings of a list in the body.
    #[track_caller]
    pub(crate) fn strings(&self, key: &str) -> Vec<String> {
        let list = self.json()[key].as_array().cloned();
        let list = list.unwrap_or_else(|| panic!("no list {key}: {}", self.shown()));
        list.iter().map(|item| item.as_str().expect("a string").to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.shown());
        self
    }

    #[track_caller]
    pub(crate) fn refuses(self, status: u16, errcode: &str) -> Self {
        let reply = self.is(status);
        assert_eq!(reply.json()["errcode"], errcode, "{}", reply.shown());
        reply
    }

    /// A 401 that asks for a stage and finds no fault.
    #[track_caller]
    pub(crate) fn challenges(self, completed: &[&str]) -> Self {
        let reply = self.is(401);
        let json = reply.json();
        assert!(json.get("errcode").is_none(), "{}", reply.shown());
        assert_eq!(reply.completed(), completed, "{}", reply.shown());
        reply
    }

    /// The stages that are completed.
    pub(crate) fn completed(&self) -> Vec<String> {
        match self.json().get("completed") {
            None => Vec::new(),
            Some(_) => self.strings("completed"),
        }
    }

    /// What every wrong, replayed, malformed or misplaced code gets.
    #[track_caller]
    pub(crate) fn looks_wrong(self) -> Self {
        let reply = self.refuses(401, "M_FORBIDDEN");
        let text = reply.string("error");
        assert!(
            text.starts_with("That is not right, or it has been used, or it cannot come now."),
            "{text}"
        );
        reply
    }

    /// A wait: how long, in milliseconds.
    #[track_caller]
    pub(crate) fn waits(self) -> u64 {
        let reply = self.refuses(429, "M_LIMIT_EXCEEDED");
        let millis = reply.json()["retry_after_ms"].as_u64();
        let millis = millis.unwrap_or_else(|| panic!("no time: {}", reply.shown()));
        let seconds = millis.div_ceil(1000).to_string();
        assert_eq!(reply.header("retry-after"), seconds, "{}", reply.shown());
        millis
    }

    fn shown(&self) -> String {
        format!("{} {}", self.status, self.text())
    }
}
