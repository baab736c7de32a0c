//! Two threads that work on the file, each with a connection of its own: one
//! answers those who read, the other commits those who write, as a group, so
//! that they share the wait for the disk.
//!
//! ```text
//!   BEGIN IMMEDIATE
//!     SAVEPOINT, request 1, RELEASE
//!     SAVEPOINT, request 2 (a refusal), ROLLBACK TO
//!     …
//!   COMMIT
//!   answer them all
//! ```
//!
//! No write is answered before it is committed, and no read sees it before. A
//! write that fails takes only its own changes with it; if the group fails as a
//! whole, every request of it is answered with an error. Then the connection is
//! closed, which rolls back whatever was open, and the next request gets a new
//! one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    thread,
};

use tokio::sync::mpsc;
use tracing::{debug_span, error};

use super::{
    Connection,
    request::{Request, WAIT, ask, finish, given_up},
};
use crate::{Error, settled::Settled, work::Work};

/// Requests in one group at most.
const GROUP: usize = 256;

/// Requests that wait at most; beyond it, callers wait to wait.
const QUEUE: usize = 1024;

/// Hands requests to the threads, which end with the last one of these.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    reader: mpsc::Sender<Box<dyn Request>>,
    writer: mpsc::Sender<Box<dyn Request>>,
}

impl Backend {
    /// Opens the file and starts the threads.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            reader: spawn("sqlite-reader", path, Connection::open_to_read, look)?,
            writer: spawn("sqlite-writer", path, Connection::open, transact)?,
        })
    }

    /// Reads. All statements of one read see the same moment.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, T> + Send + 'static,
    {
        let read = ask(&self.reader, move |c| finish(work(c)).map(Settled::Commit));
        tokio::time::timeout(WAIT, read).await.unwrap_or_else(|_| Err(given_up()))
    }

    /// Writes, as one transaction: waits until `work` is committed, or rolled
    /// back. It goes on if the caller goes away.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, Settled<T>> + Send + 'static,
    {
        ask(&self.writer, move |c| finish(work(c))).await
    }
}

/// How a thread opens a connection.
type Open = fn(&Path) -> Result<Connection, rusqlite::Error>;

/// How a thread serves a group; with an error, the connection is broken.
type Serve = fn(&mut Connection, &mut [Box<dyn Request>]) -> Result<(), rusqlite::Error>;

fn spawn(
    name: &str,
    path: &Path,
    open: Open,
    serve: Serve,
) -> Result<mpsc::Sender<Box<dyn Request>>, Error> {
    let (sender, mut requests) = mpsc::channel(QUEUE);
    let mut connection = Some(open(path)?);
    let path = path.to_owned();
    let serve_all = move || {
        loop {
            let mut group = Vec::new();
            // Waits for one, and takes what is there.
            if requests.blocking_recv_many(&mut group, GROUP) == 0 {
                return;
            }
            // A panic ends the group and not the thread. Its requests are
            // dropped, which their callers notice.
            let served = catch_unwind(AssertUnwindSafe(|| {
                serve_group(connection.take().map_or_else(|| open(&path), Ok), group, serve)
            }));
            connection = served.unwrap_or(None);
        }
    };
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(serve_all).map_err(|cause| Error::Unavailable(cause.into()))?;
    Ok(sender)
}

/// Answers a group; returns the connection unless it is broken.
fn serve_group(
    connection: Result<Connection, rusqlite::Error>,
    mut group: Vec<Box<dyn Request>>,
    serve: Serve,
) -> Option<Connection> {
    // A broken one is closed before anybody hears of it: nothing is half done.
    let served = connection.and_then(|mut connection| {
        serve(&mut connection, &mut group)?;
        Ok(connection)
    });
    if let Err(cause) = &served {
        error!(error = cause as &dyn std::error::Error, "a group of requests failed");
    }
    for request in &mut group {
        request.answer(match &served {
            Ok(_) => Ok(()),
            Err(cause) => Err(Error::Unavailable(cause.to_string().into())),
        });
    }
    served.ok()
}

/// Answers each as soon as it is read. The file is locked once for all of them.
fn look(c: &mut Connection, reads: &mut [Box<dyn Request>]) -> Result<(), rusqlite::Error> {
    c.run("BEGIN")?;
    for read in reads {
        // There is nothing to undo for the others.
        let _ = catch_unwind(AssertUnwindSafe(|| read.run(c)));
        read.answer(Ok(()));
    }
    // An error of the disk has ended it already.
    if c.raw().is_autocommit() { Ok(()) } else { c.run("COMMIT") }
}

/// Does what the group writes, and commits it.
fn transact(c: &mut Connection, writes: &mut [Box<dyn Request>]) -> Result<(), rusqlite::Error> {
    let _span = debug_span!("group", requests = writes.len()).entered();
    c.run("BEGIN IMMEDIATE")?;
    for write in writes {
        c.run("SAVEPOINT request")?;
        // Where SQLite has given up the whole transaction (a full disk), the
        // savepoint is gone, and with this error the group is.
        if !write.run(c) {
            c.run("ROLLBACK TO request")?;
        }
        c.run("RELEASE request")?;
    }
    c.run("COMMIT")
}

#[cfg(test)]
mod tests {
    use std::{
        path::PathBuf,
        task::{Context, Waker},
    };

    use tempfile::TempDir;
    use tokio::sync::oneshot;

    use super::{super::query, *};

    fn backend() -> (TempDir, PathBuf, Backend) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.execute_batch("CREATE TABLE notes (note TEXT)").unwrap();
        let db = Backend::open(&path).unwrap();
        (folder, path, db)
    }

    /// Notes `note`, then runs `statement`.
    async fn note(
        db: &Backend,
        note: &'static str,
        statement: &'static str,
        settle: fn(()) -> Settled<()>,
    ) -> Result<(), Error> {
        db.write(move |c| {
            Box::pin(async move {
                query("INSERT INTO notes VALUES ($1)").bind(note).execute(&mut *c).await?;
                query(statement).fetch_all(c).await?;
                Ok(settle(()))
            })
        })
        .await
    }

    fn notes(path: &Path) -> Vec<String> {
        let raw = rusqlite::Connection::open(path).unwrap();
        let mut query = raw.prepare("SELECT note FROM notes ORDER BY note").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Keeps the writer busy until this is dropped, so that what is asked in
    /// the meantime is taken together.
    async fn hold(db: &Backend) -> std::sync::mpsc::Sender<()> {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let db = db.clone();
        tokio::spawn(async move {
            let waiting = db.write(move |_| {
                Box::pin(async move {
                    let _ = begun.send(());
                    let _ = held.recv();
                    Ok(Settled::Commit(()))
                })
            });
            waiting.await
        });
        begins.await.unwrap();
        release
    }

    #[tokio::test]
    async fn refusal_and_failure_take_only_their_own_writes_with_them() {
        let (_folder, path, db) = backend();
        let held = hold(&db).await;
        let (first, refused, failed, last, ()) = tokio::join!(
            note(&db, "first", "SELECT 1", Settled::Commit),
            note(&db, "refused", "SELECT 1", Settled::RollBack),
            note(&db, "failed", "SELECT nonsense", Settled::Commit),
            note(&db, "last", "SELECT 1", Settled::Commit),
            async { drop(held) },
        );
        assert!(first.is_ok() && refused.is_ok() && failed.is_err() && last.is_ok());
        assert_eq!(notes(&path), ["first", "last"]);
    }

    #[tokio::test]
    async fn group_that_lost_its_transaction_fails_whole_and_the_next_one_works() {
        let (_folder, path, db) = backend();
        let held = hold(&db).await;
        // What SQLite does by itself when the disk is full.
        let (before, lost, after, ()) = tokio::join!(
            note(&db, "before", "SELECT 1", Settled::Commit),
            note(&db, "lost", "ROLLBACK", Settled::Commit),
            note(&db, "after", "SELECT 1", Settled::Commit),
            async { drop(held) },
        );
        assert!(before.is_err() && lost.is_err() && after.is_err());
        assert!(notes(&path).is_empty());

        note(&db, "next", "SELECT 1", Settled::Commit).await.unwrap();
        assert_eq!(notes(&path), ["next"]);
    }

    #[tokio::test]
    async fn read_does_not_see_what_is_not_committed() {
        let (_folder, path, db) = backend();
        let (release, held) = std::sync::mpsc::channel();
        let (written, writes) = oneshot::channel();
        let other = db.clone();
        let write = tokio::spawn(async move {
            let waiting = other.write(move |c| {
                Box::pin(async move {
                    query("INSERT INTO notes VALUES ('written')").execute(c).await?;
                    let _ = written.send(());
                    let _ = held.recv();
                    Ok(Settled::Commit(()))
                })
            });
            waiting.await
        });
        writes.await.unwrap();
        let seen = db.read(|c| {
            Box::pin(async move { Ok(query("SELECT 1 FROM notes").fetch_all(c).await?.len()) })
        });
        assert_eq!(seen.await.unwrap(), 0);
        release.send(()).unwrap();
        write.await.unwrap().unwrap();
        assert_eq!(notes(&path), ["written"]);
    }

    #[tokio::test]
    async fn read_that_panics_takes_no_other_with_it() {
        let (_folder, path, db) = backend();
        let (release, held) = std::sync::mpsc::channel::<()>();
        // All are queued while the first is at work.
        let (first, panicked, other, ()) = tokio::join!(
            db.read(move |_| Box::pin(async move { Ok(held.recv().is_err()) })),
            db.read(|_| Box::pin(async { if true { panic!("on purpose") } else { Ok(()) } })),
            db.read(|c| Box::pin(async move { Ok(query("SELECT 1").fetch_all(c).await?.len()) })),
            async { drop(release) },
        );
        assert!(first.is_ok() && panicked.is_err() && other.is_ok());
        let failed = db.read(|c| {
            Box::pin(async move { Ok(query("SELECT nonsense").fetch_all(c).await?.len()) })
        });
        assert!(failed.await.is_err());

        note(&db, "next", "SELECT 1", Settled::Commit).await.unwrap();
        let read = db.read(|c| {
            Box::pin(async move { Ok(query("SELECT 1 FROM notes").fetch_all(c).await?.len()) })
        });
        assert_eq!(read.await.unwrap(), 1);
        assert_eq!(notes(&path), ["next"]);
    }

    #[tokio::test]
    async fn panic_ends_its_group_and_not_the_thread() {
        let (_folder, path, db) = backend();
        let held = hold(&db).await;
        let (before, panicked, ()) = tokio::join!(
            note(&db, "before", "SELECT 1", Settled::Commit),
            note(&db, "panicked", "SELECT 1", |()| panic!("on purpose")),
            async { drop(held) },
        );
        assert!(before.is_err() && panicked.is_err());

        note(&db, "next", "SELECT 1", Settled::Commit).await.unwrap();
        assert_eq!(notes(&path), ["next"]);
    }

    #[tokio::test]
    async fn request_goes_on_when_its_caller_goes_away() {
        let (_folder, path, db) = backend();
        let mut queued = Box::pin(note(&db, "abandoned", "SELECT 1", Settled::Commit));
        let mut context = Context::from_waker(Waker::noop());
        assert!(queued.as_mut().poll(&mut context).is_pending());
        drop(queued);

        note(&db, "next", "SELECT 1", Settled::Commit).await.unwrap();
        assert_eq!(notes(&path), ["abandoned", "next"]);
    }
}
