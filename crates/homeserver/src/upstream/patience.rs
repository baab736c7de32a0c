//! How long an answer is waited for: from when the request last moved.
//!
//! An upload may take hours on a slow line; a homeserver that says nothing for
//! minutes after it is not coming back.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Error,
    body::{Body, Bytes, HttpBody},
    extract::Request,
};
use hyper::body::{Frame, SizeHint};

/// Whether a request has moved since this was last asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Option<Arc<AtomicBool>>);

/// A body that notes when it moves.
struct Noting {
    body: Body,
    moved: Arc<AtomicBool>,
}

impl Progress {
    /// Watches a request's body, if it has one.
    pub(super) fn watch(request: Request) -> (Request, Self) {
        if request.body().is_end_stream() {
            return (request, Self(None));
        }
        let moved = Arc::new(AtomicBool::new(false));
        let noting = |body| Body::new(Noting { body, moved: Arc::clone(&moved) });
        (request.map(noting), Self(Some(moved)))
    }

    /// What `answer` yields; none if nothing moves for as long as `patience`.
    pub(super) async fn within<T>(
        &self,
        patience: Duration,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        let mut answer = pin!(answer);
        loop {
            match tokio::time::timeout(patience, answer.as_mut()).await {
                Ok(answer) => return Some(answer),
                Err(_) if self.has_moved() => {}
                Err(_) => return None,
            }
        }
    }

    fn has_moved(&self) -> bool {
        self.0.as_ref().is_some_and(|moved| moved.swap(false, Ordering::Relaxed))
    }
}

impl HttpBody for Noting {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.moved.store(true, Ordering::Relaxed);
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
