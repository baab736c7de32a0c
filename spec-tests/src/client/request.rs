use std::fmt;

use serde_json::Value;

/// How much of a body a failure shows.
const SHOWN: usize = 2000;

/// A request, as it will stand on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) method: String,
    /// The request target, sent as it is.
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    /// The media type of the body.
    pub(super) kind: &'static str,
}

/// An endpoint under the current prefix: `/login` becomes
/// `/_matrix/client/v3/login`. A whole path stays as it is.
pub(crate) fn path(endpoint: &str) -> String {
    if endpoint.starts_with("/_matrix/") {
        endpoint.to_owned()
    } else {
        format!("/_matrix/client/v3{endpoint}")
    }
}

impl Request {
    /// A request without a body to an endpoint (see [`path`]).
    pub(crate) fn new(method: &str, endpoint: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path(endpoint),
            headers: Vec::new(),
            body: None,
            kind: "application/json",
        }
    }

    /// A request whose target goes out exactly as it is written.
    pub(crate) fn exactly(method: &str, target: &str) -> Self {
        Self { path: target.to_owned(), ..Self::new(method, "") }
    }

    pub(crate) fn get(endpoint: &str) -> Self {
        Self::new("GET", endpoint)
    }

    pub(crate) fn post(endpoint: &str, body: &Value) -> Self {
        Self::new("POST", endpoint).json(body)
    }

    /// With a JSON body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string())
    }

    /// With a body that may be anything.
    pub(crate) fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// With the fields of a form.
    pub(crate) fn form(mut self, fields: &[(String, String)]) -> Self {
        self.kind = "application/x-www-form-urlencoded";
        let pair =
            |(name, value): &(String, String)| format!("{}={}", escaped(name), escaped(value));
        let pairs: Vec<String> = fields.iter().map(pair).collect();
        self.bytes(pairs.join("&"))
    }

    /// With an access token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (name, value) in &self.headers {
            write!(f, " [{name}: {value}]")?;
        }
        if let Some(body) = &self.body {
            write!(f, " {}", shown(body))?;
        }
        Ok(())
    }
}

/// A text as it stands in a form.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// A body for people: the beginning of it if it is long.
pub(super) fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    if body.len() > SHOWN { format!("{text}… ({} bytes)", body.len()) } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_shows_all_that_it_sends() {
        let request = Request::post("/login", &json!({"a": 1})).bearer("t");
        assert_eq!(
            request.to_string(),
            r#"POST /_matrix/client/v3/login [Authorization: Bearer t] {"a":1}"#
        );
    }

    #[test]
    fn a_form_is_sent_escaped() {
        let fields = [("user".to_owned(), "@a:b c".to_owned()), ("x".to_owned(), String::new())];
        let request = Request::post("/login", &json!({})).form(&fields);
        assert_eq!(request.body.unwrap(), b"user=%40a%3Ab%20c&x=");
        assert_eq!(request.kind, "application/x-www-form-urlencoded");
    }

    #[test]
    fn a_whole_path_stays_as_it_is() {
        assert_eq!(path("/_matrix/client/r0//login"), "/_matrix/client/r0//login");
    }

    #[test]
    fn a_long_body_is_cut_and_its_length_named() {
        let text = shown(&[b'x'; 5000]);
        assert!(text.ends_with("… (5000 bytes)") && text.len() < 2100);
    }
}
