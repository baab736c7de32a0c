//! Statements on SQLite, in the words that sqlx has for PostgreSQL: the files
//! of `sql` are written in them.
//!
//! SQLite works on the thread that asks, so every statement is done when it
//! returns, and `.await` never waits. Only the threads of the backend ask.

use std::{future::Ready, path::Path, sync::Arc, time::Duration};

use rusqlite::{
    CachedStatement, Error, ErrorCode, OpenFlags, ToSql,
    types::{FromSqlError, FromSqlResult, Value, ValueRef},
};

/// How long a process waits for another that writes to the same file.
const BUSY: Duration = Duration::from_secs(5);

/// Statements that are kept prepared: all that there are.
const STATEMENTS: usize = 256;

/// A connection to the file.
pub(super) struct Connection(rusqlite::Connection);

impl Connection {
    /// Opens a file that exists. Of several processes that open a new one at
    /// once, one changes its journal mode, and SQLite does not make the others
    /// wait for it.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let pause = Duration::from_millis(50);
        for _ in 0..BUSY.as_millis() / pause.as_millis() {
            match Self::try_open(path) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                    std::thread::sleep(pause);
                }
                opened => return opened,
            }
        }
        Self::try_open(path)
    }

    /// Opens a file that exists, for statements that change nothing. Not
    /// read-only: whoever is first after a crash must be able to recover the log.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, Error> {
        let connection = Self::open(path)?;
        connection.0.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// What is acknowledged is on the disk.
    fn try_open(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Who opens tries again by itself.
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(Self(connection))
    }

    pub(super) const fn raw(&mut self) -> &mut rusqlite::Connection {
        &mut self.0
    }

    /// Does what needs no values and has no answer.
    pub(super) fn run(&self, statement: &'static str) -> Result<(), Error> {
        self.0.prepare_cached(statement)?.raw_execute().map(drop)
    }
}

/// A statement with `$1`, `$2`, … for the values that are bound to it.
pub(super) fn query<'q>(statement: &'static str) -> Query<'q> {
    Query { statement, values: Vec::new() }
}

/// A statement, and the values that it has already.
pub(super) struct Query<'q> {
    statement: &'static str,
    values: Vec<Box<dyn ToSql + Send + 'q>>,
}

impl<'q> Query<'q> {
    /// Binds the next value.
    pub(super) fn bind(mut self, value: impl ToSql + Send + 'q) -> Self {
        self.values.push(Box::new(value));
        self
    }

    pub(super) fn execute(self, c: &mut Connection) -> Ready<Result<Done, Error>> {
        std::future::ready(self.done(c))
    }

    pub(super) fn fetch_all(self, c: &mut Connection) -> Ready<Result<Vec<Row>, Error>> {
        std::future::ready(self.rows(c))
    }

    pub(super) fn fetch_optional(self, c: &mut Connection) -> Ready<Result<Option<Row>, Error>> {
        std::future::ready(self.rows(c).map(|rows| rows.into_iter().next()))
    }

    pub(super) fn fetch_one(self, c: &mut Connection) -> Ready<Result<Row, Error>> {
        let first = |rows: Vec<Row>| rows.into_iter().next().ok_or(Error::QueryReturnedNoRows);
        std::future::ready(self.rows(c).and_then(first))
    }

    fn done(self, c: &mut Connection) -> Result<Done, Error> {
        let rows = self.bound(c)?.raw_execute()?;
        Ok(Done(rows as u64))
    }

    fn rows(self, c: &mut Connection) -> Result<Vec<Row>, Error> {
        let mut statement = self.bound(c)?;
        let columns: Arc<[String]> =
            statement.column_names().into_iter().map(str::to_owned).collect();
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let values = (0..columns.len()).map(|column| row.get(column));
            found.push(Row {
                columns: Arc::clone(&columns),
                values: values.collect::<Result<_, _>>()?,
            });
        }
        Ok(found)
    }

    /// To SQLite, `$7` is a name, and its number the place where it stands first.
    fn bound<'c>(&self, c: &'c Connection) -> Result<CachedStatement<'c>, Error> {
        let mut statement = c.0.prepare_cached(self.statement)?;
        for place in 1..=statement.parameter_count() {
            let name = statement.parameter_name(place).unwrap_or_default();
            let number: Option<usize> = name.strip_prefix('$').and_then(|it| it.parse().ok());
            let value = number.and_then(|number| self.values.get(number.checked_sub(1)?));
            let value = value.ok_or_else(|| Error::InvalidParameterName(name.to_owned()))?;
            statement.raw_bind_parameter(place, value)?;
        }
        Ok(statement)
    }
}

/// What a statement did.
pub(super) struct Done(u64);

impl Done {
    pub(super) const fn rows_affected(&self) -> u64 {
        self.0
    }
}

/// A row that was read.
pub(super) struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

/// Access to a row by the names of its columns.
pub(super) trait Columns {
    /// # Errors
    ///
    /// [`Error`] if there is no such column, or it holds something else.
    fn try_get<'r, T: Column<'r>, N: AsRef<str>>(&'r self, name: N) -> Result<T, Error>;
}

impl Columns for Row {
    fn try_get<'r, T: Column<'r>, N: AsRef<str>>(&'r self, name: N) -> Result<T, Error> {
        let name = name.as_ref();
        let place = self.columns.iter().position(|column| column == name);
        let place = place.ok_or_else(|| Error::InvalidColumnName(name.to_owned()))?;
        let value = ValueRef::from(&self.values[place]);
        T::read(value).map_err(|cause| {
            Error::FromSqlConversionFailure(place, value.data_type(), Box::new(cause))
        })
    }
}

/// A type that a column can be read as.
pub(super) trait Column<'r>: Sized {
    fn read(value: ValueRef<'r>) -> FromSqlResult<Self>;
}

/// Says how a type is read.
macro_rules! column {
    ($type:ty, $read:expr) => {
        impl<'r> Column<'r> for $type {
            fn read(value: ValueRef<'r>) -> FromSqlResult<Self> {
                let read: fn(ValueRef<'r>) -> FromSqlResult<Self> = $read;
                read(value)
            }
        }
    };
}

column!(i64, |value| value.as_i64());
column!(&'r str, |value| value.as_str());
column!(&'r [u8], |value| value.as_blob());
column!(String, |value| value.as_str().map(str::to_owned));
column!(Vec<u8>, |value| value.as_blob().map(<[u8]>::to_vec));
column!(bool, |value| match value.as_i64()? {
    0 => Ok(false),
    1 => Ok(true),
    other => Err(FromSqlError::OutOfRange(other)),
});

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    fn read(value: ValueRef<'r>) -> FromSqlResult<Self> {
        if value == ValueRef::Null { Ok(None) } else { T::read(value).map(Some) }
    }
}
