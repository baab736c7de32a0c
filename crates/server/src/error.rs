//! The one place where an error becomes a response.

use axum::response::{IntoResponse, Response};
use myelin_homeserver::Refusal;

/// Why a request got no answer of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The client is told why.
    #[error("refused: {}", .0.message)]
    Refused(Refusal),
    /// The client is asked for a stage, or for another try.
    #[error("challenged")]
    Challenged(Box<Response>),
    /// The database does not answer.
    #[error(transparent)]
    Storage(#[from] myelin_storage::Error),
    /// The homeserver does not answer.
    #[error(transparent)]
    Homeserver(#[from] myelin_homeserver::Error),
    /// Others changed the same user's factors so often in between that no
    /// decision held.
    #[error("too many attempts at the same time for one user")]
    Contended,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Challenged(response) => *response,
            failure => {
                // The span around it carries the request's id. The client
                // learns nothing of the cause.
                tracing::error!(error = &failure as &dyn std::error::Error, "request failed");
                Refusal::unavailable().into_response()
            }
        }
    }
}
