//! A database of one's own.

use std::sync::Arc;

use myelin_ambient::SystemEntropy;
use myelin_storage::{FixedKeySource, Keyring, OpenOptions, Quota};
use myelin_testing::Postgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

/// On what a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// Where the data is. It outlives the stores that are opened on it.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) kind: Kind,
    url: String,
    _folder: Option<Arc<TempDir>>,
}

impl Database {
    /// A new, empty one; none where PostgreSQL is missing, which
    /// `Postgres::shared` has said aloud.
    pub(crate) async fn fresh(kind: Kind) -> Option<Self> {
        if kind == Kind::Postgres {
            let url = Postgres::shared()?.fresh_database().await;
            return Some(Self::at(url));
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("myelin.db").display());
        Some(Self { kind, url, _folder: Some(Arc::new(folder)) })
    }

    /// The one behind this `postgres://` address.
    pub(crate) fn at(url: String) -> Self {
        Self { kind: Kind::Postgres, url, _folder: None }
    }

    /// Opens a store on it, with connections of its own.
    pub(crate) async fn open(
        &self,
        keyring: &Keyring,
        quota: Quota,
        connections: u32,
    ) -> Result<myelin_storage::Database, myelin_storage::Error> {
        let options = OpenOptions {
            url: self.url.clone(),
            connections,
            migrate: true,
            keys: Arc::new(FixedKeySource(keyring.clone())),
            entropy: Arc::new(SystemEntropy),
            limits: quota,
        };
        myelin_storage::open(&options).await
    }

    /// Changes the data behind the server's back.
    pub(crate) async fn execute(&self, statement: &'static str) {
        match self.kind {
            Kind::Sqlite => self.file().execute_batch(statement).expect("the statement is right"),
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("it answers");
                let done = sqlx::query(statement).execute(&mut connection).await;
                done.expect("the statement is right");
            }
        }
    }

    /// How many rows a table has.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {table}")).await
    }

    /// The number that a query asks for.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        match self.kind {
            Kind::Sqlite => {
                let number = self.file().query_row(query, [], |row| row.get(0));
                number.expect("the query is right")
            }
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("it answers");
                let query = AssertSqlSafe(query.to_owned());
                let number = sqlx::query_scalar(query).fetch_one(&mut connection).await;
                number.expect("the query is right")
            }
        }
    }

    fn file(&self) -> rusqlite::Connection {
        let path = self.url.strip_prefix("sqlite:").expect("it is a file");
        rusqlite::Connection::open(path).expect("it opens")
    }
}
