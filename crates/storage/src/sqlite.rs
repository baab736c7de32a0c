//! SQLite: a reader beside one writer that commits waiting requests together.

use std::{fs, io, path::Path};

use rusqlite::TransactionBehavior;
use sqlx::migrate::{AppliedMigration, MigrateError, Migration};

use crate::{
    Database, Error, OpenOptions, Schema,
    migrations::{self, HISTORY},
    sealed::Sealer,
};

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

/// The row of a table with this key, if there is one.
macro_rules! joined {
    ($table:literal, $column:literal, $key:literal, $name:literal) => {
        concat!(" LEFT JOIN ", $table, " AS ", $name, " ON ", $name, ".", $column, " = ", $key)
    };
}

mod backend;
mod connection;
mod finder;
mod log_in;
mod pass_stage;
mod request;
#[path = "sql/mod.rs"]
mod sql;

use backend::Backend;
use connection::{Columns, Connection, Query, Row, query};
use finder::Finder;
use log_in::log_in;
use pass_stage::pass_stage;
use sql::Engine;

/// The history as sqlx keeps it, which does the same for PostgreSQL.
const CREATE_HISTORY: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
)";

/// Whoever writes has locked everything already.
async fn lock_owner(_: &mut Connection, _: i64) -> Result<(), Error> {
    Ok(())
}

/// Its plans do not depend on the values.
async fn plan_by_values(_: &mut Connection) -> Result<(), Error> {
    Ok(())
}

pub(crate) async fn open(
    options: &OpenOptions,
    path: &Path,
    sealer: Sealer,
) -> Result<Database, Error> {
    let (path, migrates) = (path.to_owned(), options.migrate);
    let opened = tokio::task::spawn_blocking(move || connect(&path, migrates)).await;
    let (backend, schema) = opened.map_err(|cause| Error::Unavailable(cause.into()))??;
    Ok(Engine::database(backend, sealer, options.limits, schema))
}

fn connect(path: &Path, migrates: bool) -> Result<(Backend, Schema), Error> {
    if migrates {
        create_private(path)
            .map_err(|source| Error::File { path: path.display().to_string(), source })?;
    }
    let mut connection = Connection::open(path)?;
    let schema = if migrates { migrate(connection.raw())? } else { compare(connection.raw())? };
    Ok((Backend::open(path)?, schema))
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
fn migrate(connection: &mut rusqlite::Connection) -> Result<Schema, Error> {
    let migrator = migrations::sqlite();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(CREATE_HISTORY)?;
    let applied = applied(&transaction)?;
    migrations::refuse_newer(&migrator, &applied)?;
    for migration in migrator.iter() {
        match applied.iter().find(|applied| applied.version == migration.version) {
            None => apply(&transaction, migration)?,
            Some(applied) if applied.checksum == migration.checksum => {}
            Some(_) => return Err(MigrateError::VersionMismatch(migration.version).into()),
        }
    }
    transaction.commit()?;
    Ok(migrations::schema(&applied))
}

fn apply(connection: &rusqlite::Connection, migration: &Migration) -> Result<(), Error> {
    connection.execute_batch(migration.sql.as_str()).map_err(|cause| match cause {
        // As it is, it would show the whole migration.
        rusqlite::Error::SqlInputError { msg, .. } => Error::Migration(msg.into()),
        cause => Error::Migration(cause.into()),
    })?;
    connection.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (?1, ?2, TRUE, ?3, 0)",
        (migration.version, migration.description.as_ref(), migration.checksum.as_ref()),
    )?;
    Ok(())
}

fn compare(connection: &rusqlite::Connection) -> Result<Schema, Error> {
    let applied = applied(connection)?;
    migrations::compare(&migrations::sqlite(), &applied)?;
    Ok(migrations::schema(&applied))
}

fn applied(connection: &rusqlite::Connection) -> Result<Vec<AppliedMigration>, Error> {
    if !connection.table_exists(None, HISTORY)? {
        return Ok(Vec::new());
    }
    let mut query =
        connection.prepare("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")?;
    let applied = query.query_map([], |row| {
        Ok(AppliedMigration { version: row.get(0)?, checksum: row.get::<_, Vec<u8>>(1)?.into() })
    })?;
    Ok(applied.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::{finder::SESSION, sql::lookup::FACTORS, *};

    /// One user's factors must not cost a look at everybody's.
    #[test]
    fn factors_are_found_by_key() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        for statement in [SESSION, FACTORS] {
            let mut explain =
                connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let plan = explain.raw_query().mapped(|step| step.get("detail"));
            let plan: Vec<String> = plan.collect::<Result<_, _>>().unwrap();
            // Where it is no table, it is the one user who is asked for.
            let scans = |detail: &&String| {
                detail.starts_with("SCAN") && !["SCAN CONSTANT ROW", "SCAN w"].contains(&&***detail)
            };
            assert_eq!(plan.iter().find(scans), None);
            let tables = plan.iter().filter(|detail| detail.starts_with("SEARCH "));
            assert!(tables.count() >= 3, "{plan:?}");
        }
    }
}
