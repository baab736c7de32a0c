//! Connections to the homeserver, kept for the next request.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use http::{Request, StatusCode, Uri};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep},
};
use tower::BoxError;

use super::{
    UpstreamOptions,
    connect::Connector,
    connection::{Broken, Connection, Unanswered},
};

/// The connections that nobody uses, the one used last at the end.
pub(super) struct Pool {
    connector: Connector,
    uri: Uri,
    limit: usize,
    idle_timeout: Duration,
    /// How long an answer may stand still.
    patience: Duration,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
    /// Which runtime wakes who works on it.
    runtime: Id,
}

impl Pool {
    pub(super) fn new(connector: Connector, options: &UpstreamOptions) -> Arc<Self> {
        let uri = Uri::builder()
            .scheme(options.url.scheme.clone())
            .authority(options.url.authority.clone())
            .path_and_query("/")
            .build()
            .expect("invariant: all three parts are there");
        let pool = Arc::new(Self {
            connector,
            uri,
            limit: options.idle_connections,
            idle_timeout: options.idle_timeout,
            patience: options.forward_timeout,
            idle: Mutex::default(),
        });
        tokio::spawn(retire(Arc::downgrade(&pool), options.idle_timeout));
        pool
    }

    /// Sends a request on a connection that stands, or on a new one. What one
    /// that stood would not take goes to the next.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<Body>,
    ) -> Result<Response, Broken> {
        loop {
            let kept = self.take().await;
            let is_kept = kept.is_some();
            let connection = match kept {
                Some(connection) => connection,
                None => {
                    Box::pin(Connection::open(self.connector.clone(), self.uri.clone())).await?
                }
            };
            match connection.ask(request).await {
                Ok((response, connection)) => return Ok(self.answered(response, connection).await),
                Err(Unanswered { unsent: Some(again), .. }) if is_kept => request = *again,
                Err(Unanswered { error, .. }) => return Err(Broken::Talk(error)),
            }
        }
    }

    /// Gives the answer its connection, for as long as it is read.
    async fn answered(
        self: &Arc<Self>,
        response: Response<Incoming>,
        connection: Connection,
    ) -> Response {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            connection.leave();
            return response.map(Body::new);
        }
        let (parts, body) = response.into_parts();
        let from = Some((connection, Arc::clone(self)));
        let mut answer = Answer { body, from, patience: self.patience, waiting: None };
        if answer.body.is_end_stream() {
            poll_fn(|cx| {
                answer.release(cx);
                Poll::Ready(())
            })
            .await;
        }
        Response::from_parts(parts, Body::new(answer))
    }

    /// A connection that still stands.
    async fn take(&self) -> Option<Connection> {
        loop {
            let Idle { mut connection, since, .. } = self.pop()?;
            if since.elapsed() < self.idle_timeout
                && poll_fn(|cx| Poll::Ready(connection.is_free(cx))).await
            {
                return Some(connection);
            }
        }
    }

    fn pop(&self) -> Option<Idle> {
        let here = Handle::current().id();
        let mut idle = self.idle();
        let place = idle.iter().rposition(|idle| idle.runtime == here)?;
        Some(idle.remove(place))
    }

    fn put(&self, connection: Connection) {
        let runtime = Handle::current().id();
        let mut idle = self.idle();
        idle.push(Idle { connection, since: Instant::now(), runtime });
        if idle.len() > self.limit {
            idle.remove(0);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what nobody has used for long, until the pool is gone.
async fn retire(pool: Weak<Pool>, after: Duration) {
    loop {
        sleep(after).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.idle().retain(|idle| idle.since.elapsed() < after);
    }
}

/// The body of an answer. When it is read to its end, its connection is free.
struct Answer {
    body: Incoming,
    from: Option<(Connection, Arc<Pool>)>,
    patience: Duration,
    /// Until when more is waited for; none while it comes.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    /// Whether nothing has come for too long.
    fn stands_still(&mut self, cx: &mut Context<'_>) -> bool {
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        waiting.as_mut().poll(cx).is_ready()
    }

    fn release(&mut self, cx: &mut Context<'_>) {
        let Some((mut connection, pool)) = self.from.take() else { return };
        if connection.is_free(cx) {
            pool.put(connection);
        } else {
            // It was answered before the whole request was sent, which may go on.
            connection.leave();
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending()
            && let Some((connection, _)) = &mut self.from
        {
            connection.work(cx);
            frame = Pin::new(&mut self.body).poll_frame(cx);
        }
        if frame.is_pending() {
            let still = self.stands_still(cx).then(|| "the answer stands still".into());
            return still.map_or(Poll::Pending, |error| Poll::Ready(Some(Err(error))));
        }
        self.waiting = None;
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.release(cx);
        }
        frame.map_err(BoxError::from)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
