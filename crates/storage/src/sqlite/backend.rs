//! The readers and the writer, and how a verb gets at them.

use sqlx::SqlitePool;

use super::{Connection, Writer};
use crate::{Error, settled::Settled, work::Work};

/// The connections of one database.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    readers: SqlitePool,
    writer: Writer,
}

impl Backend {
    pub(super) const fn new(readers: SqlitePool, writer: Writer) -> Self {
        Self { readers, writer }
    }

    /// Reads. Each statement sees one moment; no two see the same.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, T> + Send,
    {
        let mut connection = self.readers.acquire().await?;
        work(&mut connection).await
    }

    /// Writes, as one transaction. It goes on if the caller goes away.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, Settled<T>> + Send + 'static,
    {
        self.writer.write(work).await
    }
}
