//! Reading a body whole: within a size and a time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ruma::api::error::ErrorKind;

use crate::Refusal;

/// How much of a request is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// The largest body, in bytes.
    pub size: usize,
    /// How long it may take to arrive.
    pub time: Duration,
}

impl Default for BodyLimits {
    /// 128 KiB, 30 seconds.
    fn default() -> Self {
        Self { size: 128 * 1024, time: Duration::from_secs(30) }
    }
}

impl BodyLimits {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// `413 M_TOO_LARGE`, `408 M_UNKNOWN` for one that takes too long, and
    /// `400 M_UNKNOWN` for one that ends before it is complete.
    pub async fn read(self, body: Body) -> Result<Bytes, Refusal> {
        match tokio::time::timeout(self.time, Limited::new(body, self.size).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let message = "The request is too large.";
                Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, &ErrorKind::TooLarge, message))
            }
            Ok(Err(_)) => {
                let message = "The request ended before it was complete.";
                Err(Refusal::bad_request(&ErrorKind::Unknown, message))
            }
            Err(_) => {
                let message = "The request took too long to arrive.";
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, &ErrorKind::Unknown, message))
            }
        }
    }
}
