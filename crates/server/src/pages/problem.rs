//! Why there is no page, and what to do next.

use http::StatusCode;
use myelin_homeserver::Refusal;

use super::texts::{Texts, fill};
use crate::error::Error;

/// What a visitor is told instead.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It is no request that one of our pages makes.
    Malformed,
    /// The form belongs to another visit, or to another site.
    Stale,
    /// What it is about has ended.
    Over,
    /// There is no such page.
    NotFound,
    /// The client's address may not be followed.
    BadTarget,
    /// No client waits for this sign-in.
    NoTarget,
    /// It is refused, for this reason.
    Refused(Refusal),
    /// Something of ours does not work.
    Broken(Error),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => Self::Refused(refusal),
            broken => Self::Broken(broken),
        }
    }
}

impl From<myelin_storage::Error> for Problem {
    fn from(error: myelin_storage::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl From<myelin_homeserver::Error> for Problem {
    fn from(error: myelin_homeserver::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl Problem {
    /// The status, the heading, and what to do.
    pub(crate) fn tell(&self, texts: &'static Texts) -> (StatusCode, &'static str, String) {
        let (status, title, text) = match self {
            Self::Malformed => {
                (StatusCode::BAD_REQUEST, texts.malformed_title, texts.malformed_text)
            }
            Self::Stale => (StatusCode::FORBIDDEN, texts.stale_title, texts.stale_text),
            Self::Over => (StatusCode::GONE, texts.over_title, texts.over_text),
            Self::NotFound => (StatusCode::NOT_FOUND, texts.not_found_title, texts.not_found_text),
            Self::BadTarget => {
                (StatusCode::BAD_REQUEST, texts.bad_target_title, texts.bad_target_text)
            }
            Self::NoTarget => (StatusCode::OK, texts.no_target_title, texts.no_target_text),
            Self::Refused(refusal) => {
                let reason = [("reason", refusal.message.as_str())];
                return (refusal.status, texts.refused_title, fill(texts.refused_text, &reason));
            }
            Self::Broken(error) => {
                // The span around it carries the request's id.
                tracing::error!(error = error as &dyn std::error::Error, "page failed");
                (StatusCode::SERVICE_UNAVAILABLE, texts.broken_title, texts.broken_text)
            }
        };
        (status, title, text.to_owned())
    }
}
