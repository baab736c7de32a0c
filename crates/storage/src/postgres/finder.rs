//! Tokens and sessions that are looked for at the same time are found by one
//! statement.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Backend, Columns as _, Pool, Row, query,
    sql::{
        devices::token,
        lookup::{Key, session, with_factors},
    },
    together::{Together, Waiting},
};
use crate::Error;

/// A row has a device, a session with its user's factors, or both, which need
/// not have to do with each other.
const STATEMENT: &str = with_factors!(
    concat!(token!(), ", ", session!()),
    concat!(
        "unnest($1, $2) AS asked (token, session)",
        joined!("devices", "access_token", "asked.token", "d"),
        joined!("uia_sessions", "id", "asked.session", "w")
    )
);

/// Statements under way at once: where one waits for its connection, another
/// goes on.
const STATEMENTS: usize = 2;

/// How long a statement may take before those who wait for it are refused, and
/// the next is sent on another connection.
const WAIT: Duration = Duration::from_secs(5);

/// Rows that were found together; each caller takes its own.
type Found = Arc<Vec<Row>>;

/// Finds the rows of keys.
#[derive(Clone, Debug)]
pub(super) struct Finder(Together<Key, Found>);

impl Finder {
    pub(super) fn new(db: &Backend) -> Self {
        let pool = db.pool.clone();
        Self(Together::new(STATEMENTS, move |waiting| answer(pool.clone(), waiting)))
    }

    /// Reads the row with this key by what `parse` makes of it.
    pub(super) async fn find<T>(
        &self,
        key: Key,
        parse: impl FnOnce(&Row) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let (column, digest) = match &key {
            Key::Token(digest) => ("access_token", digest),
            Key::Session(digest) => ("id", digest),
        };
        for row in self.0.ask(key).await?.iter() {
            if row.try_get::<Option<&[u8]>, _>(column)? == Some(digest) {
                return parse(row).map(Some);
            }
        }
        Ok(None)
    }
}

async fn answer(pool: Pool, waiting: Vec<Waiting<Key, Found>>) {
    let (mut tokens, mut sessions) = (Vec::new(), Vec::new());
    for waiting in &waiting {
        match waiting.asked {
            Key::Token(digest) => tokens.push(digest),
            Key::Session(digest) => sessions.push(digest),
        }
    }
    let read = async {
        let mut connection = pool.acquire().await?;
        let rows = query(STATEMENT).bind(tokens).bind(sessions).fetch_all(&mut *connection).await?;
        connection.done();
        Ok(Arc::new(rows))
    };
    let found = timeout(WAIT, read).await.unwrap_or_else(|late| Err(sqlx::Error::Io(late.into())));
    let found = found.map_err(Arc::new);
    for waiting in waiting {
        waiting.answer(found.clone().map_err(|cause| Error::Unavailable(cause.into())));
    }
}
