//! SQLite: readers beside one writer that commits waiting requests together.

use std::{fs, io, path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _,
    migrate::Migrate,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous,
    },
};

use crate::{
    Database, Error, OpenOptions, Schema,
    migrations::{self, HISTORY},
    pool::Pool,
    sealed::Sealer,
};

type Connection = sqlx::SqliteConnection;
type Row = SqliteRow;
type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// There are no row locks: whoever writes has the whole database.
macro_rules! for_update {
    ($sql:literal) => {
        $sql
    };
}
macro_rules! skip_locked {
    ($sql:expr) => {
        $sql
    };
}

/// All rows as one JSON text: of each the columns, the last in hexadecimal.
macro_rules! json_rows {
    ($columns:literal, $hex:literal) => {
        concat!("json_group_array(json_array(", $columns, "hex(", $hex, ")))")
    };
}

mod backend;
mod log_in;
mod pass_stage;
#[path = "sql/mod.rs"]
mod sql;
mod version;
mod writer;

use backend::Backend;
use log_in::log_in;
use pass_stage::pass_stage;
use sql::Engine;
use writer::Writer;

/// How long a process waits for another that writes to the same file.
const BUSY: Duration = Duration::from_secs(5);

/// SQLite's code for a file that somebody else has locked.
const SQLITE_BUSY: &str = "5";

/// The one writer has locked everything already.
async fn lock_owner(_: &mut Connection, _: i64) -> Result<(), Error> {
    Ok(())
}

pub(crate) async fn open(
    options: &OpenOptions,
    path: &Path,
    sealer: Sealer,
) -> Result<Database, Error> {
    if options.migrate {
        create_private(path)
            .map_err(|source| Error::File { path: path.display().to_string(), source })?;
    }
    let connect = connect_options(path);
    let mut connection = first_connection(&connect).await?;
    let schema = if options.migrate {
        migrate(&mut connection).await?
    } else {
        compare(&mut connection).await?
    };
    // Not opened read-only: whoever is first after a crash must be able to
    // recover the log.
    let read = connect.clone().pragma("query_only", "ON");
    let readers = Pool::open(read, options.connections, |options: &SqliteConnectOptions| {
        Box::pin(options.connect())
    })
    .await?;
    let backend = Backend::new(readers, Writer::spawn(connect, connection));
    Ok(Engine::database(backend, sealer, options.limits, schema))
}

/// Opens the file. Of several processes that open a new one at once, one
/// changes its journal mode, and SQLite does not make the others wait for it.
async fn first_connection(options: &SqliteConnectOptions) -> Result<Connection, sqlx::Error> {
    let is_busy = |error: &sqlx::Error| {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| code == SQLITE_BUSY)
    };
    let pause = Duration::from_millis(50);
    for _ in 0..BUSY.as_millis() / pause.as_millis() {
        match options.connect().await {
            Err(error) if is_busy(&error) => tokio::time::sleep(pause).await,
            connection => return connection,
        }
    }
    options.connect().await
}

fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .disable_statement_logging()
}

/// Makes the file, for its owner alone, unless it is there. SQLite gives its
/// log files the same permissions.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Brings the schema up to date; of two processes, one after the other.
async fn migrate(connection: &mut Connection) -> Result<Schema, Error> {
    let migrator = migrations::sqlite();
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    transaction.ensure_migrations_table(HISTORY).await?;
    let applied = transaction.list_applied_migrations(HISTORY).await?;
    migrations::refuse_newer(&migrator, &applied)?;
    migrator.run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(migrations::schema(&applied))
}

async fn compare(connection: &mut Connection) -> Result<Schema, Error> {
    let history = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1")
        .bind(HISTORY)
        .fetch_optional(&mut *connection)
        .await?;
    let applied = match history {
        Some(_) => connection.list_applied_migrations(HISTORY).await?,
        None => Vec::new(),
    };
    migrations::compare(&migrations::sqlite(), &applied)?;
    Ok(migrations::schema(&applied))
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::{sql::lookup, *};

    /// One user's factors must not cost a look at everybody's.
    #[tokio::test]
    async fn factors_are_found_by_key() {
        let mut connection = Connection::connect("sqlite::memory:").await.unwrap();
        migrate(&mut connection).await.unwrap();
        for statement in [lookup::SESSION, lookup::FACTORS] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
            let mut tables = Vec::new();
            for step in &plan {
                let detail: String = step.get("detail");
                // Where it is no table, it is the one user who is asked for.
                let of_one = ["SCAN CONSTANT ROW", "SCAN w"].contains(&detail.as_str());
                assert!(of_one || !detail.starts_with("SCAN"), "{detail}");
                tables.extend(detail.strip_prefix("SEARCH ").map(str::to_owned));
            }
            assert!(tables.len() >= 3, "{tables:?}");
        }
    }
}
