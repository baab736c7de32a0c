//! Rows that are looked for at the same time are found by one statement.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Backend, Columns as _, Pool, Row, query,
    together::{Together, Waiting},
};
use crate::Error;

/// Statements under way at once: where one waits for its connection, another
/// goes on.
const STATEMENTS: usize = 2;

/// How long a statement may take before those who wait for it are refused, and
/// the next is sent on another connection.
const WAIT: Duration = Duration::from_secs(5);

/// Rows that were found together; each caller takes its own.
type Found = Arc<Vec<Row>>;

/// Finds rows by the first of their columns, with one statement.
#[derive(Clone, Debug)]
pub(super) struct Finder(Together<Vec<u8>, Found>);

impl Finder {
    pub(super) fn new(db: &Backend, statement: &'static str) -> Self {
        let pool = db.pool.clone();
        Self(Together::new(STATEMENTS, move |waiting| answer(pool.clone(), statement, waiting)))
    }

    /// Reads the row with this key by what `parse` makes of it.
    pub(super) async fn find<T>(
        &self,
        key: &[u8],
        parse: impl FnOnce(&Row) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        for row in self.0.ask(key.to_vec()).await?.iter() {
            if row.try_get::<&[u8], _>(0)? == key {
                return parse(row).map(Some);
            }
        }
        Ok(None)
    }
}

async fn answer(pool: Pool, statement: &'static str, waiting: Vec<Waiting<Vec<u8>, Found>>) {
    let keys: Vec<Vec<u8>> = waiting.iter().map(|waiting| waiting.asked.clone()).collect();
    let read = async {
        let mut connection = pool.acquire().await?;
        let rows = query(statement).bind(keys).fetch_all(&mut *connection).await?;
        connection.done();
        Ok(Arc::new(rows))
    };
    let found = timeout(WAIT, read).await.unwrap_or_else(|late| Err(sqlx::Error::Io(late.into())));
    let found = found.map_err(Arc::new);
    for waiting in waiting {
        waiting.answer(found.clone().map_err(|cause| Error::Unavailable(cause.into())));
    }
}
