//! Opening the configured database.

use std::sync::Arc;

use anyhow::anyhow;
use myelin_ambient::SystemEntropy;
use myelin_storage::{Database, FileKeySource, KeySource, OpenOptions};

use crate::{config::Config, failure::Failure};

/// Opens the database that must be there already, as it is.
pub(crate) async fn open_existing(config: &Config) -> Result<Database, Failure> {
    if let Some(file) = config.database.url.sqlite_file()
        && !file.exists()
    {
        let file = file.display();
        return Err(Failure::failed(format!(
            "there is no database at {file}: is this the right data directory? \
             `myelin serve` makes one"
        )));
    }
    open(config, false).await
}

/// Opens the database with the keys of the key file.
pub(crate) async fn open(config: &Config, migrate: bool) -> Result<Database, Failure> {
    open_with(config, migrate, Arc::new(FileKeySource(config.key_file.clone()))).await
}

/// Opens the database with other keys.
pub(crate) async fn open_with(
    config: &Config,
    migrate: bool,
    keys: Arc<dyn KeySource>,
) -> Result<Database, Failure> {
    let options = OpenOptions {
        url: config.database.url.expose().to_owned(),
        connections: config.database.connections,
        migrate,
        keys,
        entropy: Arc::new(SystemEntropy),
        limits: config.quota,
    };
    let at = config.database.url.redacted();
    let opened = myelin_storage::open(&options).await;
    opened.map_err(|error| Failure::Failed(anyhow!(error).context(format!("database {at}"))))
}
