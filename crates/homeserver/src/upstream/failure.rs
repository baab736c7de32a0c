//! What becomes of a request that the homeserver does not answer.

use std::{error::Error as _, fmt::Write as _};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use ruma::api::error::ErrorKind;

use super::connection::Broken;
use crate::{Error, Refusal};

/// Why a forwarded request gets no answer of the homeserver's.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client is told why.
    Refused(Refusal),
    /// The homeserver did not answer.
    Unreachable(Error),
    /// The homeserver took too long.
    TooLate,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Broken> for Failure {
    fn from(error: Broken) -> Self {
        Self::Unreachable(unreachable(&error))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Unreachable(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "not forwarded");
                let text = "The homeserver does not answer. Try again later.";
                Refusal::new(StatusCode::BAD_GATEWAY, &ErrorKind::Unknown, text).into_response()
            }
            Self::TooLate => {
                tracing::warn!("the homeserver takes too long to answer");
                let text = "The homeserver takes too long to answer. Try again later.";
                let status = StatusCode::GATEWAY_TIMEOUT;
                Refusal::new(status, &ErrorKind::Unknown, text).into_response()
            }
        }
    }
}

/// The error with its causes in one line. They speak of connections and of
/// HTTP, not of what a message says.
pub(super) fn unreachable(error: &Broken) -> Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    match error {
        Broken::Connect(_) => Error::Unasked(text),
        Broken::Talk(_) => Error::Unreachable(text),
    }
}
