//! Connections that are kept open.
//!
//! The pool that comes with sqlx asks the database after every use whether the
//! connection is still good, which doubles the round trips of a verb that is
//! one statement. Here only a connection is asked that was left in the middle
//! of something, or that has not been used for a while.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

use deadpool::{
    Runtime,
    managed::{self, Metrics, Object, PoolError, QueueMode, RecycleResult},
};
use sqlx::{Connection as _, postgres::PgConnectOptions};
use tokio::{runtime::Handle, task::JoinSet};

use super::{Connection, ready};
use crate::Error;

/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(5);

/// After this long without use, a connection is asked whether it is alive
/// before it is used.
const IDLE: Duration = Duration::from_secs(1);

/// No connection is kept longer: what the database set aside for it is given
/// back.
const AGE: Duration = Duration::from_mins(30);

/// The connections of one database.
#[derive(Clone)]
pub(super) struct Pool(managed::Pool<Opener>);

impl Pool {
    /// Opens the first connection, so that an address that leads nowhere is
    /// noticed at once.
    pub(super) async fn open(options: PgConnectOptions, connections: u32) -> Result<Self, Error> {
        let pool = managed::Pool::builder(Opener { options, runtime: Handle::current() })
            .max_size(connections.max(1) as usize)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .recycle_timeout(Some(WAIT))
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .expect("invariant: a runtime is named for the timeouts");
        let pool = Self(pool);
        pool.acquire().await?.done();
        Ok(pool)
    }

    /// Waits for a connection.
    pub(super) async fn acquire(&self) -> Result<Lease, sqlx::Error> {
        let connection = self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            _ => sqlx::Error::PoolTimedOut,
        })?;
        Ok(Lease(Some(connection)))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.0.status()).finish()
    }
}

/// Opens connections in one runtime: what they wait for wakes it, even if those
/// who use them are busy.
struct Opener {
    options: PgConnectOptions,
    runtime: Handle,
}

impl managed::Manager for Opener {
    type Type = Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Connection, sqlx::Error> {
        let options = self.options.clone();
        // Whoever gives up waiting takes it along: a database that does not
        // answer is not left with more and more of them.
        let mut opening = JoinSet::new();
        opening.spawn_on(async move { ready(&options).await }, &self.runtime);
        match opening.join_next().await {
            Some(Ok(opened)) => opened,
            _ => Err(sqlx::Error::WorkerCrashed),
        }
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        metrics: &Metrics,
    ) -> RecycleResult<sqlx::Error> {
        if metrics.age() > AGE {
            return Err(managed::RecycleError::message("it is old"));
        }
        if metrics.last_used() > IDLE {
            connection.ping().await?;
        }
        Ok(())
    }
}

/// A connection that goes back to the pool.
pub(super) struct Lease(Option<Object<Opener>>);

impl Lease {
    /// Gives back a connection with which nothing is under way.
    pub(super) fn done(mut self) {
        self.0 = None;
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0.as_deref().expect("invariant: it is given back once")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        self.0.as_deref_mut().expect("invariant: it is given back once")
    }
}

impl Drop for Lease {
    /// The caller went away or had an error: a transaction may be open and an
    /// answer unread. Asking the connection ends both, or shows that it is
    /// broken; until then nobody else gets it, and what it holds is held.
    fn drop(&mut self) {
        let Some(mut connection) = self.0.take() else { return };
        let Ok(runtime) = Handle::try_current() else {
            return drop(Object::take(connection));
        };
        runtime.spawn(async move {
            if tokio::time::timeout(WAIT, connection.ping()).await.is_ok_and(|it| it.is_ok()) {
                drop(connection);
            } else {
                drop(Object::take(connection));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, net::TcpListener, time::timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_not_answered_is_given_up_with_its_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
        assert!(Pool::open(options, 1).await.is_err());

        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = Vec::new();
        let closed = timeout(WAIT, stream.read_to_end(&mut sent)).await;
        assert!(closed.is_ok(), "the socket is still open");
    }
}
