//! Why a request gets no answer of its own, and how an answer is written.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use ruma::api::{OutgoingResponse, OutgoingResponseExt};

use crate::{Error, Refusal};

/// Why a request gets no answer of its own.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client is told why.
    Refused(Refusal),
    /// Something broke.
    Broken(Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<myelin_storage::Error> for Failure {
    fn from(error: myelin_storage::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Broken(error) => {
                // The span around it carries the request's id. The client
                // learns nothing of the cause.
                tracing::error!(error = &error as &dyn std::error::Error, "request failed");
                Refusal::unavailable().into_response()
            }
        }
    }
}

/// What was proven is void by now.
pub(super) fn changed() -> Refusal {
    Refusal::forbidden("The account was changed meanwhile. Start again.")
}

/// Writes a response of the client-server API.
pub(super) fn answer(response: impl OutgoingResponse) -> Result<Response, Failure> {
    let response = response
        .try_into_http_response::<Vec<u8>>()
        .map_err(|error| Error::Unexpected(format!("a response cannot be written: {error}")))?;
    Ok(response.map(Body::from))
}

/// Writes a response that holds tokens: nobody may keep it.
pub(super) fn secret_answer(response: impl OutgoingResponse) -> Result<Response, Failure> {
    let mut response = answer(response)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
