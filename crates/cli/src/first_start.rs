//! What the first start makes: the data directory, the key, the database.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use myelin_ambient::SystemEntropy;
use myelin_storage::{Database, Error, FixedKeySource, Keyring};

use crate::{
    config::Config,
    data_dir,
    database::{open, open_with},
    failure::Failure,
    key_file::KeyFile,
};

/// An open database, and what was made for it.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The database, with a schema that is up to date.
    pub(crate) database: Database,
    /// What was made, in order; nothing at later starts.
    pub(crate) made: Vec<Made>,
}

/// Something that the first start makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// The data directory.
    DataDir(PathBuf),
    /// The key file.
    Key(PathBuf),
    /// The SQLite database.
    Database(PathBuf),
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataDir(path) => write!(f, "data directory  {}", path.display()),
            Self::Key(path) => write!(f, "key file        {}", path.display()),
            Self::Database(path) => write!(f, "database        {}", path.display()),
        }
    }
}

/// Makes what is missing and opens the database.
///
/// # Errors
///
/// When others could read or change what is kept, and when there is a database
/// but no key: with a new key nobody could log in.
pub(crate) async fn prepare(config: &Config, migrate: bool) -> Result<Prepared, Failure> {
    let mut made = Vec::new();
    if uses_data_dir(config) && data_dir::prepare(&config.data_dir)? {
        made.push(Made::DataDir(config.data_dir.clone()));
    }
    if prepare_key(config, migrate).await? {
        made.push(Made::Key(config.key_file.clone()));
    }
    let sqlite = config.database.url.sqlite_file();
    let new_file = sqlite.filter(|file| !file.exists()).map(Path::to_owned);
    // An empty file is made with its schema or not at all, whoever migrates.
    let database = open(config, migrate || new_file.is_some()).await?;
    made.extend(new_file.map(Made::Database));
    Ok(Prepared { database, made })
}

fn uses_data_dir(config: &Config) -> bool {
    let inside = |path: &Path| path.starts_with(&config.data_dir);
    inside(&config.key_file) || config.database.url.sqlite_file().is_some_and(inside)
}

/// Makes the key file if it is missing; whether it was.
async fn prepare_key(config: &Config, migrate: bool) -> Result<bool, Failure> {
    // Also a link that leads nowhere is no missing file.
    if config.key_file.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let keyring = Keyring::generate(&SystemEntropy);
    match config.database.url.sqlite_file() {
        Some(file) if file.exists() => return Err(no_key(config)),
        Some(_) => {}
        None => refuse_used(config, migrate, keyring.clone()).await?,
    }
    KeyFile::lock(&config.key_file)?.create(&keyring)?;
    Ok(true)
}

/// Refuses a shared database that is in use already: its key is elsewhere.
async fn refuse_used(config: &Config, migrate: bool, keyring: Keyring) -> Result<(), Failure> {
    let database = open_with(config, migrate, Arc::new(FixedKeySource(keyring))).await?;
    match database.store.check().await {
        Ok(()) => {}
        Err(Error::Key { .. }) => return Err(no_key(config)),
        Err(error) => return Err(Failure::Failed(error.into())),
    }
    let users = database.store.users("", None, 1).await;
    if users.map_err(anyhow::Error::from)?.is_empty() { Ok(()) } else { Err(no_key(config)) }
}

fn no_key(config: &Config) -> Failure {
    let (key, database) = (config.key_file.display(), config.database.url.redacted());
    Failure::failed(format!(
        "there is a database ({database}) but no key file ({key}). A new key would lock out \
         everyone who has a second factor, so none is made: put the key file back, or set \
         keys.file to where it is"
    ))
}
