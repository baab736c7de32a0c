//! Settings: from the file, the environment and the command line, to values
//! that cannot be wrong.
//!
//! ```text
//! file ──┐
//! env  ──┼─▶ sources (one table, and where each value came from)
//! flags ─┘        └─▶ Typed (as typed) ─▶ validate ─▶ Config
//! ```
//!
//! [`keys`] is the one list of settings: `config init` prints it, the
//! environment is read by it.

mod database_url;
mod duration;
mod homeserver;
mod key;
mod keys;
mod pages;
mod registration;
mod shown;
mod sources;
mod template;
mod typed;
mod validate;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use myelin_homeserver::{embedded::RegistrationPolicy, gateway::Secret, upstream::UpstreamUrl};
use myelin_server::Settings;
use myelin_storage::Quota;
use ruma::OwnedServerName;

pub(crate) use database_url::DatabaseUrl;
pub(crate) use shown::show;
pub(crate) use sources::Sources;
pub(crate) use template::template;

use crate::failure::Failure;

/// Everything that can be set, validated.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The part after the colon of the users' IDs.
    pub(crate) server_name: OwnedServerName,
    /// Where to listen; at least one address.
    pub(crate) listen: Vec<SocketAddr>,
    /// Where the database and the key file are, unless they are elsewhere.
    pub(crate) data_dir: PathBuf,
    /// The database.
    pub(crate) database: Database,
    /// The file with the keys that seal secrets.
    pub(crate) key_file: PathBuf,
    /// What is behind the gate.
    pub(crate) homeserver: Homeserver,
    /// Who may register.
    pub(crate) registration: RegistrationPolicy,
    /// How many sessions may be open.
    pub(crate) quota: Quota,
    /// What the server needs.
    pub(crate) settings: Settings,
    /// How to log.
    pub(crate) log: Log,
}

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// Its address.
    pub(crate) url: DatabaseUrl,
    /// Connections at most.
    pub(crate) connections: u32,
    /// Whether `serve` brings the schema up to date.
    pub(crate) migrate: bool,
}

/// What is behind the gate.
#[derive(Clone, Debug)]
pub(crate) enum Homeserver {
    /// The embedded homeserver, in the same database.
    Embedded {
        /// How long an access token lives for a client that can refresh it.
        access_token_lifetime: Duration,
    },
    /// A Synapse with the module.
    Synapse {
        /// Where it answers.
        url: UpstreamUrl,
        /// The file of the secret.
        secret_file: PathBuf,
        /// What is shared with the module.
        secret: Secret,
    },
    /// Any homeserver.
    Generic {
        /// Where it answers.
        url: UpstreamUrl,
    },
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// How much.
    pub(crate) level: tracing::Level,
    /// In which form.
    pub(crate) format: LogFormat,
}

/// The form of a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Reads and validates the settings.
///
/// # Errors
///
/// [`Failure::Usage`] with the key, and the file's line or the variable.
pub(crate) fn load(sources: &Sources) -> Result<Config, Failure> {
    let read = sources.read().map_err(Failure::Usage)?;
    validate::validate(read.typed).map_err(Failure::Usage)
}
