//! The pool, and how a verb gets a connection of it.

use sqlx::Connection as _;

use super::{Connection, Pool, pass_stage::Stages};
use crate::{Error, settled::Settled, work::Work};

/// The connections of one database, and the stages that wait to be passed.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) pool: Pool,
    pub(super) stages: Stages,
}

impl Backend {
    pub(super) fn new(pool: Pool) -> Self {
        Self { stages: Stages::new(&pool), pool }
    }

    /// Reads. Each statement sees one moment; no two see the same.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, T> + Send,
    {
        self.statement(work).await
    }

    /// Writes, as one statement, which is its own transaction: nothing is sent
    /// to begin and to commit.
    pub(super) async fn statement<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, T> + Send,
    {
        let mut connection = self.pool.acquire().await?;
        let result = work(&mut connection).await?;
        connection.done();
        Ok(result)
    }

    /// Writes, as one transaction. It is rolled back if the caller goes away.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, Settled<T>> + Send + 'static,
    {
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        let value = match work(&mut transaction).await? {
            Settled::Commit(value) => {
                transaction.commit().await?;
                value
            }
            Settled::RollBack(value) => {
                transaction.rollback().await?;
                value
            }
        };
        connection.done();
        Ok(value)
    }
}
