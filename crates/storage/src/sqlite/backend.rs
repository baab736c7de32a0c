//! The readers and the writer, and how a verb gets at them.

use super::{Connection, Writer};
use crate::{Error, pool::Pool, settled::Settled, work::Work};

/// The connections of one database.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    readers: Pool<Connection>,
    writer: Writer,
}

impl Backend {
    pub(super) const fn new(readers: Pool<Connection>, writer: Writer) -> Self {
        Self { readers, writer }
    }

    /// Reads. Each statement sees one moment; no two see the same.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, T> + Send,
    {
        let mut connection = self.readers.acquire().await?;
        let result = work(&mut connection).await?;
        connection.done();
        Ok(result)
    }

    /// Writes, as one command that does the whole or nothing. It goes on if
    /// the caller goes away.
    pub(super) async fn command<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> Work<'c, Settled<T>> + Send + 'static,
    {
        self.writer.command(work).await
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
