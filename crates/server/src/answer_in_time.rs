//! An answer over HTTP/2 that its client leaves unread.
//!
//! Over HTTP/1.1 the whole connection stands still then, which
//! [`crate::client_stream`] sees. Here the others of its streams go on, and
//! nobody would ask for more of this answer, nor notice that nobody does: what
//! it comes from, a connection to the homeserver perhaps, would be held for ever.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
};
use hyper::body::{Frame, SizeHint};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};

/// A body of which more has to be asked for in time.
struct InTime {
    answer: Arc<Mutex<Answer>>,
    watch: AbortHandle,
}

struct Answer {
    /// None once it has been left unread for too long.
    body: Option<Body>,
    /// Since when its client has all that there was; none while more is waited for.
    given: Option<Instant>,
}

/// Lets go of a body of which a client has a part, and asks for no more for as long
/// as `limit`, or up to twice that.
pub(crate) fn in_time(body: Body, limit: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let answer = Arc::new(Mutex::new(Answer { body: Some(body), given: Some(Instant::now()) }));
    let watched = Arc::clone(&answer);
    let watch = tokio::spawn(async move {
        loop {
            sleep(limit).await;
            let mut answer = lock(&watched);
            if answer.given.is_some_and(|given| given.elapsed() >= limit) {
                answer.body = None;
                return;
            }
        }
    });
    Body::new(InTime { answer, watch: watch.abort_handle() })
}

fn lock(answer: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpBody for InTime {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut answer = lock(&self.answer);
        let Some(body) = &mut answer.body else {
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())));
        };
        let frame = Pin::new(body).poll_frame(cx);
        answer.given = frame.is_ready().then(Instant::now);
        frame.map_err(BoxError::from)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.answer).body.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.answer).body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for InTime {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::BodyExt as _;
    use tokio::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LIMIT: Duration = Duration::from_mins(5);

    struct Parts(Receiver<&'static str>);

    impl HttpBody for Parts {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part.into()))))
        }
    }

    /// A body, and the other end of it.
    fn body() -> (Sender<&'static str>, Body) {
        let (sender, parts) = channel(8);
        (sender, in_time(Body::new(Parts(parts)), LIMIT))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_unread_is_let_go() {
        let (sender, mut body) = body();
        sender.send("a part").await.expect("it is there");
        sender.send("another").await.expect("it is there");
        body.frame().await.expect("a frame").expect("a part");
        sleep(LIMIT * 2).await;
        assert!(sender.is_closed(), "nobody holds the other end");
        body.frame().await.expect("an end").expect_err("it is not whole");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_never_asked_for_is_let_go() {
        let (sender, _body) = body();
        sleep(LIMIT * 2).await;
        assert!(sender.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_more_may_wait_for_long() {
        let (sender, mut body) = body();
        let waiting = tokio::spawn(async move { body.frame().await });
        sleep(LIMIT * 10).await;
        sender.send("at last").await.expect("it is there");
        waiting.await.expect("no panic").expect("a frame").expect("it came");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_is_not_watched_any_more() {
        let (sender, body) = body();
        drop(body);
        tokio::task::yield_now().await;
        assert!(sender.is_closed());
    }
}
