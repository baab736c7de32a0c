//! What can go wrong, sorted by what the caller can do about it.

use crate::KeyringError;

/// Why a verb could not be carried out. Nothing was acknowledged: where the
/// connection broke during the commit, or the answer came too late, it may have
/// been written all the same.
/// Then it was written whole, and who decided on it finds the new version.
///
/// A refusal is no error: refusals are outcomes of the verbs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or answered with an error. Try again
    /// later; until then nobody gets in.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address of the database is not understood.
    #[error("the database's address must begin with `sqlite:` or `postgres://`")]
    Url,
    /// The file of the database could not be made or opened.
    #[error("the database file {path} cannot be used")]
    File {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The schema is older than this program, and it was not to be changed.
    #[error("the database's schema is not up to date: run `myelin migrate`")]
    Outdated,
    /// A newer version of the program has changed the schema.
    #[error("the database was migrated by a newer version of this program (to {version})")]
    Newer {
        /// The first migration that is not known.
        version: i64,
    },
    /// The schema could not be brought up to date.
    #[error("the database could not be migrated")]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The keyring could not be read.
    #[error("the keyring is not available")]
    Keyring(#[from] KeyringError),
    /// A secret could not be decrypted: the key is missing or wrong, or the
    /// row was changed by someone else.
    #[error("a secret could not be decrypted with key {key_id}")]
    Key {
        /// The key that the row names.
        key_id: String,
    },
    /// A row holds what no version of this program writes.
    #[error("the database holds an invalid {what}")]
    Corrupt {
        /// Which value.
        what: &'static str,
    },
    /// A decision was handed back that cannot have been made on what was read:
    /// a mistake in the program that calls.
    #[error("a decision does not fit what it was made on: {what}")]
    Decision {
        /// What does not fit.
        what: &'static str,
    },
}

impl From<sqlx::Error> for Error {
    fn from(cause: sqlx::Error) -> Self {
        Self::Unavailable(cause.into())
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(cause: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(cause.into())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Unavailable(cause.into())
    }
}
