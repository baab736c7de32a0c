//! One test on every database: [`on_every_database`](crate::on_every_database).

use std::sync::Arc;

use myelin_ambient::SystemEntropy;
use myelin_storage::{Database, FixedKeySource, KeySource, Keyring, OpenOptions, Quota, open};
use tempfile::TempDir;

use crate::postgres::Postgres;

/// Connections of one pool: more than a test has cores, fewer than the server
/// allows for several tests at once.
const CONNECTIONS: u32 = 8;

/// Threads of a test's runtime. More than one, so that races are real.
const THREADS: usize = 4;

/// An empty database of one test, which can be opened several times, as several
/// processes would. It is gone when the test is over.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    keys: Arc<dyn KeySource>,
    /// The SQLite file's folder.
    _directory: Option<TempDir>,
}

impl TestDatabase {
    /// A new SQLite file.
    ///
    /// # Panics
    ///
    /// When there is no room for temporary files.
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("there is room for temporary files");
        let file = directory.path().join("myelin.db");
        Self::at(format!("sqlite://{}", file.display()), Some(directory))
    }

    /// A new PostgreSQL database.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn postgres(server: &Postgres) -> Self {
        Self::at(server.fresh_database().await, None)
    }

    /// The PostgreSQL database at this URL.
    pub fn postgres_at(url: String) -> Self {
        Self::at(url, None)
    }

    fn at(url: String, directory: Option<TempDir>) -> Self {
        let keys = Arc::new(FixedKeySource(Keyring::generate(&SystemEntropy)));
        Self { url, keys, _directory: directory }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How it is opened: with the same keys each time, and the default quotas.
    pub fn options(&self) -> OpenOptions {
        OpenOptions {
            url: self.url.clone(),
            connections: CONNECTIONS,
            migrate: true,
            keys: Arc::clone(&self.keys),
            entropy: Arc::new(SystemEntropy),
            limits: Quota::default(),
        }
    }

    /// Opens it once more: another pool, as another process would have.
    ///
    /// # Panics
    ///
    /// When it cannot be opened.
    pub async fn open(&self) -> Database {
        open(&self.options()).await.expect("the database opens")
    }

    /// Whether it is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }
}

/// Makes two tests of each function, one on SQLite and one on PostgreSQL, so
/// that the name of what failed says where. The functions are
/// `async fn(&TestDatabase)`.
///
/// ```
/// use myelin_testing::{TestDatabase, on_every_database};
///
/// on_every_database!(a_new_database_answers);
///
/// async fn a_new_database_answers(database: &TestDatabase) {
///     database.open().await.store.check().await.expect("it answers");
/// }
/// ```
#[macro_export]
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                $crate::on_sqlite(super::$test);
            })+
        }

        mod postgres {
            $(#[test]
            fn $test() {
                $crate::on_postgres(concat!(module_path!(), "::", stringify!($test)), super::$test);
            })+
        }
    };
}

/// Runs a test on SQLite.
pub fn on_sqlite(test: impl AsyncFnOnce(&TestDatabase)) {
    run(async { test(&TestDatabase::sqlite()).await });
}

/// Runs a test on PostgreSQL. Where there is none, says aloud that `name` is
/// skipped.
pub fn on_postgres(name: &str, test: impl AsyncFnOnce(&TestDatabase)) {
    let Some(server) = Postgres::shared_for(name) else { return };
    run(async { test(&TestDatabase::postgres(server).await).await });
}

/// Runs a future on a runtime of its own with several threads.
///
/// # Panics
///
/// When the system has no threads to give.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .expect("the system has threads to give");
    runtime.block_on(future)
}
