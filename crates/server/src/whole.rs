//! Answers of the homeserver that Myelin adds to, and so has to read.

use std::time::Duration;

use axum::{
    body::{Bytes, to_bytes},
    extract::Request,
};
use http::{HeaderValue, header, response::Parts};
use myelin_homeserver::Context;
use tokio::time::{error::Elapsed, timeout};

use crate::App;

/// How long the homeserver may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why an answer could not be read.
pub(crate) struct Unreadable;

impl From<Elapsed> for Unreadable {
    fn from(_: Elapsed) -> Self {
        Self
    }
}

/// The homeserver's whole answer, of at most `limit` bytes and in no coding,
/// whatever the client understands.
pub(crate) async fn whole(
    app: &App,
    context: &Context,
    mut request: Request,
    limit: usize,
) -> Result<(Parts, Bytes), Unreadable> {
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for name in [header::IF_MODIFIED_SINCE, header::IF_NONE_MATCH, header::IF_RANGE, header::RANGE]
    {
        headers.remove(name);
    }
    let answer = async {
        let (parts, body) = app.homeserver().forward(request, context).await.into_parts();
        let body = to_bytes(body, limit).await.map_err(|_| Unreadable)?;
        Ok((parts, body))
    };
    timeout(PATIENCE, answer).await?
}
