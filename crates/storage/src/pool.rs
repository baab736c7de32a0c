//! Connections that are kept open, for one database or the other.
//!
//! The pool that comes with sqlx asks the database after every use whether the
//! connection is still good, which doubles the round trips of a verb that is
//! one statement. Here only a connection is asked that was left in the middle
//! of something, or that has not been used for a while.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    pin::Pin,
    time::Duration,
};

use deadpool::{
    Runtime,
    managed::{self, Metrics, Object, PoolError, QueueMode, RecycleResult},
};
use sqlx::Connection;

use crate::Error;

/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(5);

/// After this long without use, a connection is asked whether it is alive
/// before it is used.
const IDLE: Duration = Duration::from_secs(1);

/// No connection is kept longer: what the database set aside for it is given
/// back.
const AGE: Duration = Duration::from_mins(30);

/// Opens one.
pub(crate) type Open<C> = fn(
    &<C as Connection>::Options,
) -> Pin<Box<dyn Future<Output = Result<C, sqlx::Error>> + Send + '_>>;

/// The connections of one database.
pub(crate) struct Pool<C: Connection + 'static>(managed::Pool<Opener<C>>);

impl<C: Connection + 'static> Pool<C> {
    /// Opens the first connection, so that an address that leads nowhere is
    /// noticed at once.
    pub(crate) async fn open(
        options: C::Options,
        connections: u32,
        open: Open<C>,
    ) -> Result<Self, Error> {
        let pool = managed::Pool::builder(Opener { options, open })
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
    pub(crate) async fn acquire(&self) -> Result<Lease<C>, Error> {
        let connection = self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            _ => sqlx::Error::PoolTimedOut,
        })?;
        Ok(Lease(Some(connection)))
    }
}

impl<C: Connection + 'static> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Connection + 'static> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.0.status()).finish()
    }
}

struct Opener<C: Connection + 'static> {
    options: C::Options,
    open: Open<C>,
}

impl<C: Connection + 'static> managed::Manager for Opener<C> {
    type Type = C;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<C, sqlx::Error> {
        (self.open)(&self.options).await
    }

    async fn recycle(&self, connection: &mut C, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
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
pub(crate) struct Lease<C: Connection + 'static>(Option<Object<Opener<C>>>);

impl<C: Connection + 'static> Lease<C> {
    /// Gives back a connection with which nothing is under way.
    pub(crate) fn done(mut self) {
        self.0 = None;
    }
}

impl<C: Connection + 'static> Deref for Lease<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.0.as_deref().expect("invariant: it is given back once")
    }
}

impl<C: Connection + 'static> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C {
        self.0.as_deref_mut().expect("invariant: it is given back once")
    }
}

impl<C: Connection + 'static> Drop for Lease<C> {
    /// The caller went away or had an error: a transaction may be open and an
    /// answer unread. Asking the connection ends both, or shows that it is
    /// broken; until then nobody else gets it, and what it holds is held.
    fn drop(&mut self) {
        let Some(mut connection) = self.0.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
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
