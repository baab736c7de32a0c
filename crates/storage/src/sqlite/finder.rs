//! Rows that are looked for by a key: the reader finds one after the other.

use super::{
    Backend, Row, query,
    sql::{
        devices::token,
        lookup::{Key, session, with_factors},
    },
};
use crate::Error;

const TOKEN: &str = concat!("SELECT ", token!(), " FROM devices AS d WHERE d.access_token = $1");

pub(super) const SESSION: &str =
    concat!(with_factors!(session!(), "uia_sessions AS w"), " WHERE w.id = $1");

/// Finds rows, each with a statement.
#[derive(Clone, Debug)]
pub(super) struct Finder(Backend);

impl Finder {
    pub(super) fn new(db: &Backend) -> Self {
        Self(db.clone())
    }

    /// Reads the row with this key by what `parse` makes of it.
    pub(super) async fn find<T>(
        &self,
        key: Key,
        parse: impl FnOnce(&Row) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let (statement, key) = match key {
            Key::Token(key) => (TOKEN, key),
            Key::Session(key) => (SESSION, key),
        };
        let row = self.0.read(move |c| {
            Box::pin(
                async move { Ok(query(statement).bind(key.to_vec()).fetch_optional(c).await?) },
            )
        });
        row.await?.as_ref().map(parse).transpose()
    }
}
