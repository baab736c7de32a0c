//! What the homeserver answered, read as strictly as a request.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use myelin_ambient::Timestamp;
use ruma::api::error::ErrorKind;
use serde_json::{Map, Value, json};

use super::examine::parse_date;
use crate::{Error, Refusal, upstream::json_object};

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer(Response<Bytes>);

impl Answer {
    pub(super) const fn new(response: Response<Bytes>) -> Self {
        Self(response)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// A header of which there is one, as text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// When it was answered, by the homeserver's clock.
    pub(super) fn date(&self) -> Option<Timestamp> {
        parse_date(self.header(&header::DATE)?)
    }

    /// A string of the body, empty if there is none; for people.
    pub(super) fn text(&self, key: &str) -> String {
        let body = self.object().unwrap_or_default();
        body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] for anything else.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Error> {
        json_object(&self.0)
    }

    /// Whether it asks for User-Interactive Authentication; then the body.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] for a 401 of which nobody can tell.
    pub(super) fn challenge(&self) -> Result<Option<Map<String, Value>>, Error> {
        if self.status() != StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let body = self.object()?;
        // Whatever holds a session must not reach a client.
        let is_challenge = body.contains_key("flows") || body.contains_key("session");
        Ok(is_challenge.then_some(body))
    }

    /// A Matrix error, to be told to a client.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] for what is no Matrix error, and for a failure of
    /// the homeserver's own.
    pub(super) fn refusal(&self) -> Result<Refusal, Error> {
        let status = self.status();
        let body = self.object()?;
        let text = |key| body.get(key).and_then(Value::as_str);
        let Some(errcode) = text("errcode").filter(|_| status.is_client_error()) else {
            let status = status.as_u16();
            return Err(Error::Unexpected(format!("the homeserver answers {status}")));
        };
        let wait = body.get("retry_after_ms").and_then(Value::as_u64).map(Duration::from_millis);
        Ok(Refusal {
            status,
            errcode: errcode.to_owned(),
            message: text("error").unwrap_or("The homeserver refuses this.").to_owned(),
            retry_after: wait,
            soft_logout: body.get("soft_logout").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// The answer as a response, with the gateway's address in the place of the
    /// homeserver's.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] for what is no JSON object, unless its status says that
    /// it was refused: then nobody knows what was done.
    pub(super) fn into_response(self, base_url: &str) -> Result<Response, Error> {
        let mut body = match self.object() {
            Err(_) if self.status().is_client_error() => {
                let (errcode, text) =
                    (ErrorKind::Unknown.errcode(), "The homeserver refuses this.");
                Map::from_iter([
                    ("errcode".to_owned(), json!(errcode)),
                    ("error".to_owned(), json!(text)),
                ])
            }
            object => object?,
        };
        name_gateway(&mut body, base_url);
        hide_own_stages(&mut body);
        let mut response = Response::new(Body::from(Value::Object(body).to_string()));
        *response.status_mut() = self.status();
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(wait) = self.0.headers().get(header::RETRY_AFTER) {
            response.headers_mut().insert(header::RETRY_AFTER, wait.clone());
        }
        Ok(response)
    }
}

/// `well_known` of a login: a client that believed the homeserver's would go
/// around the gateway from then on.
fn name_gateway(body: &mut Map<String, Value>, base_url: &str) {
    let Some(said) = body.get_mut("well_known") else { return };
    let mut said = said.as_object().cloned().unwrap_or_default();
    point_to_gateway(&mut said, base_url);
    body.insert("well_known".to_owned(), Value::Object(said));
}

/// Makes what a homeserver says to be discovered lead to the gateway, and to it
/// alone.
pub fn point_to_gateway(said: &mut Map<String, Value>, base_url: &str) {
    said.insert("m.homeserver".to_owned(), json!({"base_url": base_url}));
    // An OAuth issuer would be another way to a token.
    said.retain(|key, _| key != "m.authentication" && key != "org.matrix.msc2965.authentication");
}

/// The stages of the module are between it and the gateway.
fn hide_own_stages(body: &mut Map<String, Value>) {
    let is_own = |stage: &Value| stage.as_str().is_some_and(|name| name.starts_with("org.myelin."));
    if let Some(Value::Array(flows)) = body.get_mut("flows") {
        flows.retain(|flow| {
            let stages = flow.get("stages").and_then(Value::as_array);
            !stages.is_some_and(|stages| stages.iter().any(is_own))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        let mut response = Response::new(Bytes::from_static(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Answer::new(response)
    }

    #[test]
    fn only_a_matrix_error_is_a_refusal() {
        let refusal = answer(429, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1500}"#);
        assert_eq!(refusal.refusal().unwrap().retry_after, Some(Duration::from_millis(1500)));
        for (status, body) in [
            (403, "<html>"),
            (403, "{}"),
            (500, r#"{"errcode":"M_UNKNOWN"}"#),
            (200, r#"{"errcode":"M_FORBIDDEN"}"#),
            (403, r#"{"errcode":"M_A","errcode":"M_B"}"#),
        ] {
            assert!(answer(status, body).refusal().is_err(), "{status} {body}");
        }
    }

    #[test]
    fn only_a_401_with_flows_or_a_session_is_a_challenge() {
        let is_challenge = |status, body| answer(status, body).challenge().unwrap().is_some();
        assert!(is_challenge(401, r#"{"flows":[],"session":"s"}"#));
        assert!(is_challenge(401, r#"{"errcode":"M_FORBIDDEN","session":"s"}"#));
        assert!(!is_challenge(401, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#));
        assert!(!is_challenge(200, r#"{"flows":[]}"#));
        assert!(answer(401, "<html>").challenge().is_err());
    }

    #[tokio::test]
    async fn the_gateways_address_stands_in_a_login_response() {
        let body =
            r#"{"user_id":"@a:b","well_known":{"m.homeserver":{"base_url":"http://127.0.0.1:1"}}}"#;
        let response = answer(200, body).into_response("https://matrix.example.org").unwrap();
        let bytes = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(
            text.contains("https://matrix.example.org") && !text.contains("127.0.0.1"),
            "{text}"
        );
    }
}
