//! Refusals and errors, and the one way in which a refusal becomes a response.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use ruma::api::error::{ErrorKind, UnknownTokenErrorData};
use serde_json::json;

/// A Matrix error that a client is to see.
///
/// [Client-Server API, Standard error response](https://spec.matrix.org/v1.16/client-server-api/#standard-error-response)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The `errcode`.
    pub errcode: String,
    /// The `error`: a sentence that tells a person what to do.
    pub message: String,
    /// How long to wait, where waiting helps.
    pub retry_after: Option<Duration>,
    /// Whether the client keeps its device and only has to log in on it again,
    /// or to refresh its token.
    ///
    /// [Client-Server API, Soft logout](https://spec.matrix.org/v1.16/client-server-api/#soft-logout)
    pub soft_logout: bool,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: StatusCode, kind: &ErrorKind, message: impl Into<String>) -> Self {
        let errcode = kind.errcode().to_string();
        Self { status, errcode, message: message.into(), retry_after: None, soft_logout: false }
    }

    /// `403 M_FORBIDDEN`
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, &ErrorKind::Forbidden, message)
    }

    /// `401 M_MISSING_TOKEN`
    pub fn missing_token(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, &ErrorKind::MissingToken, message)
    }

    /// `401 M_UNKNOWN_TOKEN`, with `soft_logout` where the token has only
    /// expired.
    pub fn unknown_token(message: impl Into<String>, soft_logout: bool) -> Self {
        let kind = ErrorKind::UnknownToken(UnknownTokenErrorData::default());
        Self { soft_logout, ..Self::new(StatusCode::UNAUTHORIZED, &kind, message) }
    }

    /// `503 M_UNKNOWN`: all that a client learns of an [`Error`].
    pub fn unavailable() -> Self {
        let text = "The server cannot answer this right now. Try again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, &ErrorKind::Unknown, text)
    }

    /// `404 M_NOT_FOUND`
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, &ErrorKind::NotFound, message)
    }

    /// `404 M_UNRECOGNIZED`: no such endpoint.
    pub fn unrecognized() -> Self {
        Self::new(StatusCode::NOT_FOUND, &ErrorKind::Unrecognized, "Unrecognized request")
    }

    /// `400` with the given code.
    pub fn bad_request(kind: &ErrorKind, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, message)
    }

    /// `429 M_LIMIT_EXCEEDED`
    pub fn wait(retry_after: Duration, message: impl Into<String>) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self {
            status,
            errcode: "M_LIMIT_EXCEEDED".to_owned(),
            message: message.into(),
            retry_after: Some(retry_after),
            soft_logout: false,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({"errcode": self.errcode, "error": self.message});
        if self.soft_logout {
            body["soft_logout"] = true.into();
        }
        let Some(wait) = self.retry_after else {
            return (self.status, Json(body)).into_response();
        };
        // The header counts whole seconds: rounded up, so that nobody comes
        // back too early.
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        body["retry_after_ms"] = millis.into();
        let mut response = (self.status, Json(body)).into_response();
        let seconds = HeaderValue::from(millis.div_ceil(1000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        response
    }
}

/// Why a homeserver could not be asked. Nobody gets in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer.
    #[error(transparent)]
    Storage(#[from] myelin_storage::Error),
    /// The homeserver does not answer, or not in time.
    #[error("the homeserver does not answer: {0}")]
    Unreachable(String),
    /// The homeserver could not be asked, and so did nothing.
    #[error("the homeserver does not answer: {0}")]
    Unasked(String),
    /// The homeserver answered something that no homeserver should.
    #[error("{0}")]
    Unexpected(String),
}
