//! The database behind the store's back: for whoever tampers, copies it, or
//! keeps it busy.

use std::{fs, path::PathBuf};

use data_encoding::HEXLOWER;
use myelin_storage::Error;
use myelin_testing::TestDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinHandle;

/// A connection that is not the store's.
pub(crate) enum Raw {
    Sqlite(rusqlite::Connection),
    Postgres(PgConnection),
}

impl Raw {
    pub(crate) async fn connect(database: &TestDatabase) -> Self {
        if database.is_postgres() {
            Self::Postgres(PgConnection::connect(database.url()).await.expect("it connects"))
        } else {
            Self::Sqlite(rusqlite::Connection::open(file(database)).expect("it connects"))
        }
    }

    pub(crate) async fn execute(&mut self, statement: &'static str) -> Result<(), Error> {
        match self {
            Self::Sqlite(c) => c.execute_batch(statement)?,
            Self::Postgres(c) => {
                sqlx::query(statement).execute(c).await?;
            }
        }
        Ok(())
    }

    /// Returns once somebody waits for a row in this database, or `task` is over.
    pub(crate) async fn wait_for_waiters<T>(database: &TestDatabase, task: &JoinHandle<T>) {
        let Self::Postgres(mut c) = Self::connect(database).await else {
            // The one writer cannot be seen waiting; what it finds is the same.
            return;
        };
        while !task.is_finished() {
            let waiting: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock')",
            )
            .fetch_one(&mut c)
            .await
            .expect("it answers");
            if waiting {
                return;
            }
        }
    }

    /// Returns once so many wait for locks in this PostgreSQL database.
    pub(crate) async fn wait_for_locks(database: &TestDatabase, expected: usize) {
        let Self::Postgres(mut c) = Self::connect(database).await else { return };
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&mut c)
            .await
            .expect("it answers");
            if usize::try_from(waiting) == Ok(expected) {
                return;
            }
        }
    }

    /// How many deadlocks there were, once everybody else has left: a connection
    /// tells what it has counted at its end.
    pub(crate) async fn deadlocks(database: &TestDatabase) -> i64 {
        let Self::Postgres(mut c) = Self::connect(database).await else { return 0 };
        loop {
            let (others, deadlocks): (i64, i64) = sqlx::query_as(
                "SELECT CAST(numbackends AS BIGINT) - 1, deadlocks FROM pg_stat_database
                 WHERE datname = current_database()",
            )
            .fetch_one(&mut c)
            .await
            .expect("it answers");
            if others == 0 {
                return deadlocks;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Keeps everybody else from writing, until `ROLLBACK`.
    pub(crate) async fn hold_all(&mut self) {
        let statements: &[&'static str] = match self {
            Self::Sqlite(_) => &["BEGIN EXCLUSIVE"],
            Self::Postgres(_) => {
                &["BEGIN", "LOCK TABLE factors, uia_sessions, audit, probe IN EXCLUSIVE MODE"]
            }
        };
        for statement in statements {
            self.execute(statement).await.expect("nobody else holds it");
        }
    }
}

fn file(database: &TestDatabase) -> PathBuf {
    let path = database.url().trim_start_matches("sqlite:");
    PathBuf::from(path.strip_prefix("//").unwrap_or(path))
}

/// All that a thief of the database has.
pub(crate) enum Dump {
    /// The file and its write-ahead log.
    Bytes(Vec<u8>),
    /// The rows as text, binary values in hex.
    Text(String),
}

impl Dump {
    pub(crate) async fn of(database: &TestDatabase) -> Self {
        match Raw::connect(database).await {
            Raw::Sqlite(_) => Self::of_files(database),
            Raw::Postgres(connection) => Self::of_tables(connection).await,
        }
    }

    fn of_files(database: &TestDatabase) -> Self {
        let mut bytes = fs::read(file(database)).expect("the file can be read");
        let mut log = file(database).into_os_string();
        log.push("-wal");
        bytes.extend(fs::read(log).unwrap_or_default());
        Self::Bytes(bytes)
    }

    async fn of_tables(mut connection: PgConnection) -> Self {
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
                .fetch_all(&mut connection)
                .await
                .expect("the tables are listed");
        assert!(!tables.is_empty());
        let mut text = String::new();
        for table in tables {
            let rows = AssertSqlSafe(format!("SELECT t::text FROM {table} t"));
            let rows: Vec<String> =
                sqlx::query_scalar(rows).fetch_all(&mut connection).await.expect("it is read");
            text.extend(rows);
        }
        Self::Text(text)
    }

    /// Whether these bytes are in it, as they are or as a binary value.
    pub(crate) fn holds(&self, wanted: &[u8]) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.windows(wanted.len()).any(|window| window == wanted),
            Self::Text(text) => {
                let plain = std::str::from_utf8(wanted).is_ok_and(|wanted| text.contains(wanted));
                plain || text.contains(&HEXLOWER.encode(wanted))
            }
        }
    }
}
