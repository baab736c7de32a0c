//! PostgreSQL for tests: one server for the whole test process, one database
//! for each test.

mod cluster;

use std::{
    io::Write as _,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

pub use cluster::Cluster;
use data_encoding::HEXLOWER;
use myelin_ambient::{Clock, Entropy, SystemClock, SystemEntropy};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Names a server to use instead of a throw-away one. Its user must be allowed
/// to create databases.
pub const URL_VARIABLE: &str = "MYELIN_TEST_POSTGRES_URL";

/// What the names of all test databases begin with.
const PREFIX: &str = "myelin_test_";

/// Test databases older than this are no longer in use.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);

/// The server that the tests of this process share.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    databases: AtomicU32,
    /// Keeps the server alive until the process ends.
    _cluster: Option<Cluster>,
}

impl Postgres {
    /// The shared server, started by whoever asks first. `None` where
    /// PostgreSQL is missing; standard error then says that `test` is skipped.
    ///
    /// # Panics
    ///
    /// When PostgreSQL is missing and `CI` is `true`: there nothing is skipped.
    pub fn shared_for(test: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            Self::find().map_err(|reason| warn(&format!("no PostgreSQL: {reason}"))).ok()
        });
        shared.as_ref().or_else(|| skip(test))
    }

    /// [`Self::shared_for`] a test that is not named.
    ///
    /// # Panics
    ///
    /// As [`Self::shared_for`].
    pub fn shared() -> Option<&'static Self> {
        Self::shared_for("a test")
    }

    /// The URL of the server's maintenance database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A new, empty database; its URL.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn fresh_database(&self) -> String {
        self.fresh_database_with("").await
    }

    /// A new, empty database in which text is compared as people compare it,
    /// not byte by byte; its URL.
    ///
    /// # Panics
    ///
    /// When the server refuses, as one does that was built without ICU.
    pub async fn fresh_database_with_collation(&self) -> String {
        self.fresh_database_with("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'").await
    }

    async fn fresh_database_with(&self, options: &str) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let mut connection = connect(&self.url).await;
        if number == 0 {
            drop_leftovers(&mut connection).await;
        }
        let random: &dyn Entropy = &SystemEntropy;
        let random = HEXLOWER.encode(&random.bytes::<6>());
        let name = format!("{PREFIX}{}_{random}", SystemClock.now().as_secs());
        execute(&mut connection, format!("CREATE DATABASE {name} {options}")).await;
        connection.close().await.expect("the server closes a connection");
        with_database(&self.url, &name)
    }

    fn find() -> Result<Self, String> {
        if let Ok(url) = std::env::var(URL_VARIABLE) {
            return Ok(Self { url, databases: AtomicU32::new(0), _cluster: None });
        }
        let cluster = Cluster::start()?;
        let url = cluster.url().to_owned();
        Ok(Self { url, databases: AtomicU32::new(0), _cluster: Some(cluster) })
    }
}

/// Says that something is skipped because PostgreSQL is missing.
///
/// # Panics
///
/// When `CI` is `true`.
pub(crate) fn skip<T>(what: &str) -> Option<T> {
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!in_ci, "no PostgreSQL, and CI=true: nothing may be skipped, not even {what}");
    warn(&format!("skipped for want of PostgreSQL: {what}"));
    None
}

/// Writes to standard error, also in a test that passes: what is skipped is
/// said aloud. The test harness would keep `eprintln!` to itself.
fn warn(text: &str) {
    drop(writeln!(std::io::stderr(), "myelin-testing: {text}"));
}

/// Drops what earlier processes have left on a server that stays.
async fn drop_leftovers(connection: &mut PgConnection) {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1)",
    )
    .bind(PREFIX)
    .fetch_all(&mut *connection)
    .await
    .expect("the server lists its databases");
    let old = (SystemClock.now() - LEFTOVER_AGE).as_secs();
    for name in names {
        let made = name[PREFIX.len()..].split('_').next().and_then(|secs| secs.parse().ok());
        if made.is_some_and(|made: u64| made < old) {
            execute(connection, format!("DROP DATABASE IF EXISTS {name}")).await;
        }
    }
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap_or_else(|e| panic!("cannot connect to PostgreSQL: {e}"))
}

async fn execute(connection: &mut PgConnection, statement: String) {
    let done = sqlx::query(AssertSqlSafe(statement.clone())).execute(connection).await;
    done.unwrap_or_else(|e| panic!("{statement}: {e}"));
}

/// The URL with another database in it.
fn with_database(url: &str, name: &str) -> String {
    let (address, options) = url.split_once('?').map_or((url, None), |(a, o)| (a, Some(o)));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{}/{name}{options}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_everything_but_its_database() {
        for (url, expected) in [
            ("postgres://u:p@h:1/postgres", "postgres://u:p@h:1/x"),
            ("postgres://h", "postgres://h/x"),
            ("postgres://h/a?sslmode=disable", "postgres://h/x?sslmode=disable"),
            ("postgres://h?host=/run/pg", "postgres://h/x?host=/run/pg"),
        ] {
            assert_eq!(with_database(url, "x"), expected);
        }
    }
}
