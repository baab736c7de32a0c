//! What is asked of a thread, and how it is answered.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::Connection;
use crate::{Error, settled::Settled, work::Work};

/// How long a read waits for its answer, and a write for its place in the
/// queue, where the disk does not answer. A write that has its place is done.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// Does the work of a verb, which waits for nothing but its statements: on
/// SQLite these are done when they are asked.
pub(super) fn finish<T>(work: Work<'_, T>) -> Result<T, Error> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("invariant: no statement on SQLite is waited for"),
    }
}

pub(super) async fn ask<T, F>(thread: &mpsc::Sender<Box<dyn Request>>, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection) -> Result<Settled<T>, Error> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let span = Span::current();
    let asked = Asked { work: Some(work), result: None, reply: Some(reply), span };
    thread.send_timeout(Box::new(asked), WAIT).await.map_err(|_| given_up())?;
    answer.await.map_err(|_| given_up())?
}

/// The thread did not get to it, or stopped in the middle of it.
pub(super) fn given_up() -> Error {
    Error::Unavailable("the request was given up".into())
}

/// One request on its way through a group.
pub(super) trait Request: Send {
    /// Does the work; whether what it wrote is to be kept.
    fn run(&mut self, c: &mut Connection) -> bool;

    /// Answers, once. Nobody may be waiting any more.
    fn answer(&mut self, group: Result<(), Error>);
}

struct Asked<T, F> {
    work: Option<F>,
    result: Option<Result<T, Error>>,
    reply: Option<oneshot::Sender<Result<T, Error>>>,
    span: Span,
}

impl<T, F> Request for Asked<T, F>
where
    T: Send,
    F: FnOnce(&mut Connection) -> Result<Settled<T>, Error> + Send,
{
    fn run(&mut self, c: &mut Connection) -> bool {
        let work = self.work.take().expect("invariant: a request runs once");
        let (keep, result) = match self.span.in_scope(|| work(c)) {
            Ok(Settled::Commit(value)) => (true, Ok(value)),
            Ok(Settled::RollBack(value)) => (false, Ok(value)),
            Err(error) => (false, Err(error)),
        };
        self.result = Some(result);
        keep
    }

    fn answer(&mut self, group: Result<(), Error>) {
        let Some(reply) = self.reply.take() else { return };
        let _ = reply.send(match (self.result.take(), group) {
            // Its own error says more than the group's.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(result), Ok(())) => result,
            (None, Ok(())) => Err(given_up()),
        });
    }
}
