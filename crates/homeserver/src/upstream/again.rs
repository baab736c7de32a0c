//! Requests that met a connection which the homeserver was just closing.
//!
//! One that was not sent yet is sent on another connection by the
//! pool. One that was, and that nobody has answered, may have been heard or
//! not: RFC 9110 §9.2.2 lets a proxy repeat it only if that makes no difference.

use std::{error::Error, io::ErrorKind};

use axum::{
    body::{Body, HttpBody as _},
    response::Response,
};
use http::Request;

use super::{Upstream, connection::Broken};

impl Upstream {
    /// Sends a request; once more if it was lost and may be repeated.
    pub(super) async fn request(&self, request: Request<Body>) -> Result<Response, Broken> {
        let again = repeated(&request);
        match (self.0.pool.send(request).await, again) {
            (Err(error), Some(again)) if is_lost(&error) => {
                match Box::pin(self.0.pool.send(again)).await {
                    // The first may have been heard.
                    Err(Broken::Connect(_)) => Err(error),
                    answer => answer,
                }
            }
            (answer, _) => answer,
        }
    }
}

/// The same request again, if it is idempotent and has no body.
fn repeated(request: &Request<Body>) -> Option<Request<Body>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(Body::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

/// Whether a connection that stood has ended before an answer came.
fn is_lost(error: &Broken) -> bool {
    let Broken::Talk(error) = error else { return false };
    let error: &(dyn Error + 'static) = error;
    std::iter::successors(Some(error), |error| (*error).source()).any(is_end)
}

fn is_end(error: &(dyn Error + 'static)) -> bool {
    let hyper = error.downcast_ref::<hyper::Error>();
    let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    hyper.is_some_and(hyper::Error::is_incomplete_message)
        || matches!(io, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}
