//! Requests whose body nobody has read to its end.
//!
//! In HTTP/1 the rest would be read as the next request, so the connection
//! ends with the answer. RFC 9112 §9.6: that has to be said, or a proxy that
//! shares the connection among its clients sends somebody else's request into
//! it, which is lost.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Error,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::Response,
};
use http::{HeaderValue, Version, header};
use hyper::body::{Frame, SizeHint};

/// Answers a request by `answer`, and says so if the connection ends with it.
pub(crate) async fn unread(
    request: Request,
    answer: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return answer(request).await;
    }
    let ended = Arc::new(AtomicBool::new(false));
    let watched = |body| Body::new(Watched { body, ended: Arc::clone(&ended) });
    let mut response = answer(request.map(watched)).await;
    if !ended.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body that notes its end.
struct Watched {
    body: Body,
    ended: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // Who knows the length asks for no more than that.
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.ended.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
