//! The one writer: it owns a connection and commits waiting requests as a
//! group, so that they share the wait for the disk.
//!
//! ```text
//!   BEGIN IMMEDIATE
//!     SAVEPOINT, request 1, RELEASE
//!     SAVEPOINT, request 2 (a refusal), ROLLBACK TO
//!     request 3, one command that does the whole or nothing
//!     …
//!   COMMIT
//!   answer them all
//! ```
//!
//! Nothing is answered before it is committed. A request that fails takes only
//! its own writes with it; if a command fails, or the group as a whole fails, every request of it
//! is answered with an error. Then the connection is closed, which rolls back
//! whatever was open, and the next request gets a new one.

use std::io;

use sqlx::{Acquire, ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, Span, debug_span, error};

use super::Connection;
use crate::{Error, settled::Settled, work::Work};

/// Requests in one group at most.
const GROUP: usize = 256;

/// Requests that wait at most; beyond it, callers wait to wait.
const QUEUE: usize = 1024;

/// Hands requests to the task that writes. The task ends with the last one of
/// these.
#[derive(Clone, Debug)]
pub(super) struct Writer(mpsc::Sender<Box<dyn Request>>);

impl Writer {
    /// Starts the task. `options` open the connections after this one.
    pub(super) fn spawn(options: SqliteConnectOptions, connection: Connection) -> Self {
        let (sender, requests) = mpsc::channel(QUEUE);
        tokio::spawn(serve(options, connection, requests));
        Self(sender)
    }

    /// Waits until `work` is committed, or rolled back.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, Settled<T>> + Send + 'static,
    {
        self.send(work, true).await
    }

    /// Waits until `work` is committed: one command that does the whole or
    /// nothing, so it needs no savepoint, and cannot be rolled back alone.
    pub(super) async fn command<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, Settled<T>> + Send + 'static,
    {
        self.send(work, false).await
    }

    async fn send<T, F>(&self, work: F, in_parts: bool) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, Settled<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let span = Span::current();
        let request = Write { work: Some(work), in_parts, result: None, reply, span };
        let gone = || Error::Unavailable(sqlx::Error::WorkerCrashed);
        self.0.send(Box::new(request)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// One request on its way through a group.
trait Request: Send {
    /// Whether it writes in several parts, of which some may have to go again.
    fn is_in_parts(&self) -> bool;

    /// Does the work; whether what it wrote is to be kept.
    fn run<'c>(&'c mut self, c: &'c mut Connection) -> Work<'c, bool>;

    /// Answers, after the group. Nobody may be waiting any more.
    fn answer(self: Box<Self>, group: Result<(), Error>);
}

struct Write<T, F> {
    work: Option<F>,
    in_parts: bool,
    result: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
    span: Span,
}

impl<T, F> Request for Write<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, Settled<T>> + Send + 'static,
{
    fn is_in_parts(&self) -> bool {
        self.in_parts
    }

    fn run<'c>(&'c mut self, c: &'c mut Connection) -> Work<'c, bool> {
        let work = self.work.take().expect("invariant: a request runs once");
        let span = self.span.clone();
        let run = async move {
            let (keep, result) = match work(c).await {
                Ok(Settled::Commit(value)) => (true, Ok(value)),
                Ok(Settled::RollBack(value)) => (false, Ok(value)),
                Err(error) => (false, Err(error)),
            };
            self.result = Some(result);
            Ok(keep)
        };
        Box::pin(run.instrument(span))
    }

    fn answer(self: Box<Self>, group: Result<(), Error>) {
        let Self { result, reply, .. } = *self;
        let unanswered = Err(Error::Unavailable(sqlx::Error::WorkerCrashed));
        let _ = reply.send(match (result, group) {
            // Its own error says more than the group's.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (result, Ok(())) => result.unwrap_or(unanswered),
        });
    }
}

async fn serve(
    options: SqliteConnectOptions,
    connection: Connection,
    mut requests: mpsc::Receiver<Box<dyn Request>>,
) {
    let mut connection = Some(connection);
    loop {
        let mut group = Vec::new();
        // Waits for one, and takes what is there.
        if requests.recv_many(&mut group, GROUP).await == 0 {
            break;
        }
        // A task of its own: a panic ends the group and not the writer. Its
        // requests are dropped, which their callers notice.
        let commit = tokio::spawn(commit(options.clone(), connection.take(), group));
        connection = commit.await.unwrap_or(None);
    }
    if let Some(connection) = connection {
        let _ = connection.close().await;
    }
}

/// Commits a group and answers it; returns the connection unless it is broken.
async fn commit(
    options: SqliteConnectOptions,
    connection: Option<Connection>,
    mut group: Vec<Box<dyn Request>>,
) -> Option<Connection> {
    let span = debug_span!("group", requests = group.len());
    let (connection, result) = run(&options, connection, &mut group).instrument(span).await;
    if let Err(cause) = &result {
        error!(error = cause as &dyn std::error::Error, "a group of writes was rolled back");
    }
    for request in group {
        request.answer(match &result {
            Ok(()) => Ok(()),
            Err(cause) => Err(Error::Unavailable(io::Error::other(cause.to_string()).into())),
        });
    }
    connection
}

async fn run(
    options: &SqliteConnectOptions,
    connection: Option<Connection>,
    group: &mut [Box<dyn Request>],
) -> (Option<Connection>, Result<(), sqlx::Error>) {
    let connection = match connection {
        Some(connection) => Ok(connection),
        None => options.connect().await,
    };
    match connection {
        Err(error) => (None, Err(error)),
        Ok(mut connection) => match transact(&mut connection, group).await {
            Ok(()) => (Some(connection), Ok(())),
            Err(error) => {
                // Closed before anybody hears of it: nothing is half done.
                let _ = connection.close().await;
                (None, Err(error))
            }
        },
    }
}

async fn transact(
    connection: &mut Connection,
    group: &mut [Box<dyn Request>],
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for request in group {
        if !request.is_in_parts() {
            // It may have done a part: it fails, and the group with it.
            if !matches!(request.run(&mut transaction).await, Ok(true)) {
                return Err(sqlx::Error::Protocol("a command failed".to_owned()));
            }
            continue;
        }
        let mut savepoint = transaction.begin().await?;
        // Where SQLite has given up the whole transaction (a full disk), the
        // savepoint is gone, and with this error the group is.
        match request.run(&mut savepoint).await {
            Ok(true) => savepoint.commit().await?,
            _ => savepoint.rollback().await?,
        }
    }
    transaction.commit().await
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    async fn writer() -> (TempDir, SqliteConnectOptions, Writer) {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("test.db"))
            .create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::query("CREATE TABLE notes (note TEXT)").execute(&mut connection).await.unwrap();
        let writer = Writer::spawn(options.clone(), connection);
        (folder, options, writer)
    }

    /// Notes `note`, then runs `statement`.
    async fn note(
        writer: &Writer,
        note: &'static str,
        statement: &'static str,
        settle: fn(()) -> Settled<()>,
    ) -> Result<(), Error> {
        writer
            .write(move |c| {
                Box::pin(async move {
                    let insert = sqlx::query("INSERT INTO notes VALUES ($1)").bind(note);
                    insert.execute(&mut *c).await?;
                    sqlx::query(statement).execute(c).await?;
                    Ok(settle(()))
                })
            })
            .await
    }

    async fn notes(options: &SqliteConnectOptions) -> Vec<String> {
        let mut connection = options.connect().await.unwrap();
        let query = sqlx::query_scalar("SELECT note FROM notes ORDER BY note");
        query.fetch_all(&mut connection).await.unwrap()
    }

    #[tokio::test]
    async fn refusal_and_failure_take_only_their_own_writes_with_them() {
        let (_folder, options, writer) = writer().await;
        // One thread: all three are queued before the writer sees the first.
        let (first, refused, failed, last) = tokio::join!(
            note(&writer, "first", "SELECT 1", Settled::Commit),
            note(&writer, "refused", "SELECT 1", Settled::RollBack),
            note(&writer, "failed", "SELECT nonsense", Settled::Commit),
            note(&writer, "last", "SELECT 1", Settled::Commit),
        );
        assert!(first.is_ok() && refused.is_ok() && failed.is_err() && last.is_ok());
        assert_eq!(notes(&options).await, ["first", "last"]);
    }

    #[tokio::test]
    async fn group_that_lost_its_transaction_fails_whole_and_the_next_one_works() {
        let (_folder, options, writer) = writer().await;
        // What SQLite does by itself when the disk is full.
        let (before, lost, after) = tokio::join!(
            note(&writer, "before", "SELECT 1", Settled::Commit),
            note(&writer, "lost", "ROLLBACK", Settled::Commit),
            note(&writer, "after", "SELECT 1", Settled::Commit),
        );
        assert!(before.is_err() && lost.is_err() && after.is_err());
        assert!(notes(&options).await.is_empty());

        note(&writer, "next", "SELECT 1", Settled::Commit).await.unwrap();
        assert_eq!(notes(&options).await, ["next"]);
    }

    #[tokio::test]
    async fn command_that_fails_leaves_none_of_its_parts() {
        let (_folder, options, writer) = writer().await;
        let command = writer.command(|c| {
            Box::pin(async move {
                let parts = "INSERT INTO notes VALUES ('part'); INSERT INTO nowhere VALUES (1)";
                sqlx::raw_sql(parts).execute(c).await?;
                Ok(Settled::Commit(()))
            })
        });
        let (before, command) =
            tokio::join!(note(&writer, "before", "SELECT 1", Settled::Commit), command);
        assert!(before.is_err() && command.is_err());

        note(&writer, "next", "SELECT 1", Settled::Commit).await.unwrap();
        assert_eq!(notes(&options).await, ["next"]);
    }

    #[tokio::test]
    async fn panic_ends_its_group_and_not_the_writer() {
        let (_folder, options, writer) = writer().await;
        let (before, panicked) = tokio::join!(
            note(&writer, "before", "SELECT 1", Settled::Commit),
            note(&writer, "panicked", "SELECT 1", |()| panic!("on purpose")),
        );
        assert!(before.is_err() && panicked.is_err());

        note(&writer, "next", "SELECT 1", Settled::Commit).await.unwrap();
        assert_eq!(notes(&options).await, ["next"]);
    }

    #[tokio::test]
    async fn request_goes_on_when_its_caller_goes_away() {
        let (_folder, options, writer) = writer().await;
        let queued = note(&writer, "abandoned", "SELECT 1", Settled::Commit);
        let mut queued = Box::pin(queued);
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(queued.as_mut().poll(&mut context).is_pending());
        drop(queued);

        note(&writer, "next", "SELECT 1", Settled::Commit).await.unwrap();
        assert_eq!(notes(&options).await, ["abandoned", "next"]);
    }
}
