//! PostgreSQL: many writers; the verbs that every login needs are one
//! statement each, for all who wait at the same time.

use std::str::FromStr;

use sqlx::{
    ConnectOptions as _, Connection as _, Row as Columns,
    migrate::{AppliedMigration, Migrate},
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query,
};

use crate::{
    Database, Error, OpenOptions, Schema,
    migrations::{self, HISTORY},
    sealed::Sealer,
};

type Connection = sqlx::PgConnection;
type Row = PgRow;
type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, PgArguments>;

/// Takes the rows until the end of the transaction.
macro_rules! for_update {
    ($sql:literal) => {
        concat!($sql, " FOR NO KEY UPDATE")
    };
}
/// Takes the rows that nobody else has taken, and waits for none.
macro_rules! skip_locked {
    ($sql:expr) => {
        concat!($sql, " FOR UPDATE SKIP LOCKED")
    };
}

/// All rows as one JSON text: of each the columns, the last in hexadecimal.
macro_rules! json_rows {
    ($columns:literal, $hex:literal) => {
        concat!("CAST(json_agg(json_build_array(", $columns, "encode(", $hex, ", 'hex'))) AS TEXT)")
    };
}

/// The row of a table with this key, if there is one. Each is looked for by
/// itself: a plan that was made while the tables were empty does not join all
/// rows of one with all of another.
macro_rules! joined {
    ($table:literal, $column:literal, $key:literal, $name:literal) => {
        concat!(
            " LEFT JOIN LATERAL (SELECT * FROM ",
            $table,
            " WHERE ",
            $column,
            " = ",
            $key,
            " LIMIT 1) AS ",
            $name,
            " ON TRUE"
        )
    };
}

mod backend;
mod finder;
mod log_in;
mod pass_stage;
mod pool;
#[path = "sql/mod.rs"]
mod sql;
mod stage;
mod together;

use backend::Backend;
use finder::Finder;
use log_in::log_in;
use pass_stage::pass_stage;
use pool::Pool;
use sql::Engine;

/// Statements that a connection keeps prepared: all that there are.
const STATEMENTS: usize = 256;

/// The isolation that the verbs are proved for, whatever the server's default.
/// Nobody waits for ever for a lock, and a process that stands still does not
/// keep its locks. What every login needs is found by key, whatever the key:
/// plans are made once, and on statistics that say nothing yet the rows of one
/// user are not looked for in those of everybody. Everything here has an index;
/// nothing is so dear that it is worth compiling.
const SESSION: &str = "
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET plan_cache_mode = force_generic_plan;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET enable_seqscan = off;
    SET jit = off;
    SET lock_timeout = '5s';
    SET statement_timeout = '15s';
    SET idle_in_transaction_session_timeout = '15s'";

/// Takes the owner's lock until the end of the transaction.
async fn lock_owner(c: &mut Connection, owner: i64) -> Result<(), Error> {
    query("SELECT pg_advisory_xact_lock($1)").bind(owner).execute(c).await?;
    Ok(())
}

/// Has statements planned for their values until the end of the transaction:
/// where most rows have one value, the others are found without a look at those.
async fn plan_by_values(c: &mut Connection) -> Result<(), Error> {
    query("SET LOCAL plan_cache_mode = force_custom_plan").execute(c).await?;
    Ok(())
}

pub(crate) async fn open(options: &OpenOptions, sealer: Sealer) -> Result<Database, Error> {
    let connect = PgConnectOptions::from_str(&options.url)?
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    // A connection of its own, which is closed whatever comes: the lock under
    // which schemas are migrated ends with it.
    let mut connection = connect.connect().await?;
    let schema = if options.migrate {
        migrate(&mut connection).await?
    } else {
        compare(&mut connection).await?
    };
    connection.close().await?;
    let pool = Pool::open(connect, options.connections).await?;
    Ok(Engine::database(Backend::new(pool), sealer, options.limits, schema))
}

/// A connection that the verbs can use.
async fn ready(options: &PgConnectOptions) -> Result<Connection, sqlx::Error> {
    let mut connection = options.connect().await?;
    sqlx::raw_sql(SESSION).execute(&mut connection).await?;
    Ok(connection)
}

async fn migrate(connection: &mut Connection) -> Result<Schema, Error> {
    let migrator = migrations::postgres();
    let applied = applied(connection).await?;
    migrations::refuse_newer(&migrator, &applied)?;
    migrator.run_direct(None, connection, false).await?;
    Ok(migrations::schema(&applied))
}

async fn compare(connection: &mut Connection) -> Result<Schema, Error> {
    let applied = applied(connection).await?;
    migrations::compare(&migrations::postgres(), &applied)?;
    Ok(migrations::schema(&applied))
}

async fn applied(connection: &mut Connection) -> Result<Vec<AppliedMigration>, Error> {
    let has_history: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(HISTORY)
        .fetch_one(&mut *connection)
        .await?;
    if !has_history {
        return Ok(Vec::new());
    }
    Ok(connection.list_applied_migrations(HISTORY).await?)
}
