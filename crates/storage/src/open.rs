//! Opening a database by its address.

use std::{fmt, path::Path, sync::Arc};

use myelin_ambient::Entropy;

use crate::{Accounts, Error, KeySource, Store, postgres, sealed::Sealer, sqlite};

/// An open database: two views of the same connections.
#[derive(Clone, Debug)]
pub struct Database {
    /// Sessions, second factors, the audit log.
    pub store: Arc<dyn Store>,
    /// The accounts of the embedded homeserver.
    pub accounts: Arc<dyn Accounts>,
    /// The schema that it had and has.
    pub schema: Schema,
}

/// Versions of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// When it was opened; none if it was empty.
    pub before: Option<i64>,
    /// Now.
    pub now: i64,
}

/// How many sessions may be open at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Of one user from one address (or of nobody from one address): beyond
    /// it, the oldest of these goes. An IPv6 address counts as its /64.
    pub per_address: u32,
    /// Of one user from all addresses: beyond it, one goes from the address
    /// that has the most.
    pub per_user: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Self { per_address: 32, per_user: 128 }
    }
}

/// How a database is opened.
pub struct OpenOptions {
    /// `sqlite:<path>` or `postgres://<user>@<host>/<database>`.
    pub url: String,
    /// Connections to PostgreSQL at most. To SQLite there are two: one reads,
    /// one writes.
    pub connections: u32,
    /// Whether to bring the schema up to date. If not, an old one is an error.
    pub migrate: bool,
    /// Where the keys are that seal secrets.
    pub keys: Arc<dyn KeySource>,
    /// Where nonces come from.
    pub entropy: Arc<dyn Entropy>,
    /// How many sessions may be open.
    pub limits: Quota,
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        let Self { url: _, connections, migrate, keys, entropy: _, limits } = self;
        f.debug_struct("OpenOptions")
            .field("connections", connections)
            .field("migrate", migrate)
            .field("keys", keys)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}

/// Opens a database. An SQLite file that is missing is made, for its owner
/// alone, where `migrate` allows it.
///
/// # Errors
///
/// [`Error::Url`] and [`Error::File`] for an address that leads nowhere,
/// [`Error::Outdated`], [`Error::Newer`] and [`Error::Migration`] for a schema
/// that does not fit, [`Error::Keyring`], and [`Error::Unavailable`].
pub async fn open(options: &OpenOptions) -> Result<Database, Error> {
    let sealer = Sealer::new(Arc::clone(&options.keys), Arc::clone(&options.entropy))?;
    let url = options.url.as_str();
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return postgres::open(options, sealer).await;
    }
    let path = url.strip_prefix("sqlite:").ok_or(Error::Url)?;
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') {
        return Err(Error::Url);
    }
    sqlite::open(options, Path::new(path), sealer).await
}

#[cfg(test)]
mod tests {
    use myelin_ambient::SystemEntropy;
    use tempfile::TempDir;

    use super::*;
    use crate::{FixedKeySource, Keyring, migrations};

    fn options(url: String, migrate: bool) -> OpenOptions {
        OpenOptions {
            url,
            connections: 2,
            migrate,
            keys: Arc::new(FixedKeySource(Keyring::generate(&SystemEntropy))),
            entropy: Arc::new(SystemEntropy),
            limits: Quota::default(),
        }
    }

    fn folder() -> (TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("myelin.db").display());
        (folder, url)
    }

    fn execute(url: &str, statement: &str) {
        let connection = rusqlite::Connection::open(&url["sqlite:".len()..]).unwrap();
        connection.execute_batch(statement).unwrap();
    }

    #[tokio::test]
    async fn address_of_no_known_database_is_refused() {
        for url in ["", "myelin.db", "mysql://localhost/x", "sqlite:", "sqlite::memory:"] {
            let opened = open(&options(url.to_owned(), true)).await;
            assert!(matches!(opened, Err(Error::Url)), "{url}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn new_file_and_its_logs_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let (folder, url) = folder();
        let database = open(&options(url, true)).await.unwrap();
        database.store.check().await.unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
    }

    #[tokio::test]
    async fn missing_file_is_not_made_unless_migrating() {
        let (folder, url) = folder();
        assert!(open(&options(url, false)).await.is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn old_schema_says_how_to_migrate() {
        let (folder, url) = folder();
        std::fs::File::create(folder.path().join("myelin.db")).unwrap();
        let refused = open(&options(url.clone(), false)).await.unwrap_err();
        assert!(matches!(refused, Error::Outdated));
        assert!(refused.to_string().contains("myelin migrate"), "{refused}");

        let made = open(&options(url.clone(), true)).await.unwrap().schema;
        assert_eq!(made, Schema { before: None, now: migrations::newest() });
        let kept = open(&options(url, false)).await.unwrap().schema;
        assert_eq!(kept.before, Some(kept.now));
    }

    #[tokio::test]
    async fn newer_schema_is_refused_whether_or_not_migrating() {
        let (_folder, url) = folder();
        open(&options(url.clone(), true)).await.unwrap();
        execute(
            &url,
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9000, 'later', TRUE, x'00', 0)",
        );
        for migrate in [true, false] {
            let refused = open(&options(url.clone(), migrate)).await.unwrap_err();
            assert!(matches!(refused, Error::Newer { version: 9000 }), "{refused}");
        }
    }

    #[tokio::test]
    async fn migration_that_was_changed_since_is_refused() {
        let (_folder, url) = folder();
        open(&options(url.clone(), true)).await.unwrap();
        execute(&url, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1");
        let refused = open(&options(url, true)).await.unwrap_err();
        assert!(matches!(refused, Error::Migration(_)), "{refused}");
    }

    #[tokio::test]
    async fn file_of_another_program_is_refused_and_stays_as_it_is() {
        let (_folder, url) = folder();
        execute(&url, "CREATE TABLE devices (name TEXT)");
        let Error::Migration(refused) = open(&options(url.clone(), true)).await.unwrap_err() else {
            panic!("it is no trouble of the database");
        };
        assert_eq!(refused.to_string(), "table devices already exists");
        // Neither table was kept.
        execute(&url, "CREATE TABLE factors (a); CREATE TABLE _sqlx_migrations (a)");
    }

    #[test]
    fn debug_shows_no_password_of_the_database() {
        let options = options("postgres://me:hunter2@localhost/x".to_owned(), true);
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
