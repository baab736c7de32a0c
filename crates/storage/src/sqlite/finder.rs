//! Rows that are looked for by a key: the reader finds one after the other.

use super::{Backend, Row, query};
use crate::Error;

/// Finds rows with one statement.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    db: Backend,
    statement: &'static str,
}

impl Finder {
    pub(super) fn new(db: &Backend, statement: &'static str) -> Self {
        Self { db: db.clone(), statement }
    }

    /// Reads the row with this key by what `parse` makes of it.
    pub(super) async fn find<T>(
        &self,
        key: &[u8],
        parse: impl FnOnce(&Row) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let (key, statement) = (key.to_vec(), self.statement);
        let row = self.db.read(move |c| {
            Box::pin(async move { Ok(query(statement).bind(key).fetch_optional(c).await?) })
        });
        row.await?.as_ref().map(parse).transpose()
    }
}
