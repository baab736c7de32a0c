//! How long an answer is waited for: from when the request last moved.
//!
//! An upload may take hours on a slow line; a homeserver that says nothing for
//! minutes after it is not coming back.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
};
use http_body_util::BodyExt as _;

/// Whether a request has moved since this was last asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Option<Arc<AtomicBool>>);

impl Progress {
    /// Watches a request's body, if it has one.
    pub(super) fn watch(request: Request) -> (Request, Self) {
        if request.body().is_end_stream() {
            return (request, Self(None));
        }
        let moved = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&moved);
        let noting = |body: Body| {
            Body::new(body.map_frame(move |frame| {
                seen.store(true, Ordering::Relaxed);
                frame
            }))
        };
        (request.map(noting), Self(Some(moved)))
    }

    /// What `answer` yields; none if nothing moves for as long as `patience`.
    pub(super) async fn within<T>(
        &self,
        patience: Duration,
        mut answer: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
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
