//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::Sources;

/// What stands below every `--help`.
macro_rules! example {
    ($($line:literal),+) => {
        concat!(
            "Example:\n",
            $("  ", $line, "\n",)+
            "\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration."
        )
    };
}

/// Two-factor authentication for every Matrix account.
#[derive(Parser)]
#[command(version, after_help = example!("myelin serve"))]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server. Needs no configuration.
    #[command(after_help = example!(
        "myelin serve",
        "myelin serve --config /etc/myelin.toml",
        "myelin serve --listen 127.0.0.1:8448 --data-dir ./data"
    ))]
    Serve {
        #[command(flatten)]
        place: Place,
        /// Address and port to answer HTTP on; may be given more than once.
        #[arg(long, value_name = "ADDR")]
        listen: Vec<String>,
    },
    /// Write or check a configuration file.
    #[command(subcommand, after_help = example!("myelin config init --output myelin.toml"))]
    Config(Config),
    /// Bring the database's schema up to date.
    #[command(after_help = example!("myelin migrate --config /etc/myelin.toml"))]
    Migrate {
        #[command(flatten)]
        place: Place,
    },
    /// Look over the database, the keys and the homeserver; changes nothing.
    #[command(after_help = example!("myelin doctor --config /etc/myelin.toml"))]
    Doctor {
        #[command(flatten)]
        place: Place,
    },
    /// See users and their second factors; help one who has lost them.
    #[command(subcommand, after_help = example!("myelin user show alice"))]
    User(User),
    /// Make and rotate the keys that encrypt secrets at rest.
    #[command(subcommand, after_help = example!("myelin key rotate"))]
    Key(Key),
    /// Print what Myelin answers itself, and what needs proof.
    #[command(after_help = example!("myelin routes", "myelin routes --format nginx"))]
    Routes {
        /// In which form.
        #[arg(long, value_enum, default_value_t = RoutesFormat::Table)]
        format: RoutesFormat,
        #[command(flatten)]
        proxied: Proxied,
    },
}

/// Where a reverse proxy reaches whom.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Proxied {
    /// For a proxy's configuration: where Myelin listens.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8008", value_parser = authority)]
    pub(crate) gateway: String,
    /// For a proxy's configuration: where the homeserver listens.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8009", value_parser = authority)]
    pub(crate) homeserver: String,
}

/// Reads a host and a port, with nothing in them that a configuration file
/// would take for something else.
fn authority(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    match text.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty() && port.parse::<u16>().is_ok() && text.chars().all(plain) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("a host and a port, such as 127.0.0.1:8008".to_owned()),
    }
}

/// Where the settings and the data are.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Place {
    /// The configuration file; without it none is read.
    #[arg(long, value_name = "FILE", env = "MYELIN_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The directory of the database and the key file.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// The part after the colon of the users' IDs.
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
}

impl Place {
    /// The sources of settings for this command line.
    pub(crate) fn sources(self) -> Sources {
        self.sources_with(&[])
    }

    /// The same, with addresses to listen on.
    pub(crate) fn sources_with(self, listen: &[String]) -> Sources {
        let listen = (!listen.is_empty()).then(|| listen.join(","));
        let flags = [
            ("--data-dir", "data_dir", self.data_dir),
            ("--server-name", "server_name", self.server_name),
            ("--listen", "listen", listen),
        ];
        let given = |(flag, key, text): (_, _, Option<String>)| Some((flag, key, text?));
        Sources::new(self.config, flags.into_iter().filter_map(given).collect())
    }
}

#[derive(Subcommand)]
pub(crate) enum Config {
    /// Print a complete configuration file that documents every key.
    #[command(after_help = example!(
        "myelin config init > myelin.toml",
        "myelin config init --output /etc/myelin.toml"
    ))]
    Init {
        /// Write to this file, which must not exist yet, instead of standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check the configuration and print it as it takes effect, without secrets.
    #[command(after_help = example!("myelin config check --config /etc/myelin.toml"))]
    Check {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand)]
pub(crate) enum User {
    /// List users and how they are protected.
    #[command(after_help = example!("myelin user list --search ali", "myelin user list --json"))]
    List {
        #[command(flatten)]
        place: Place,
        /// Only users whose ID contains this text.
        #[arg(long, value_name = "TEXT", default_value = "")]
        search: String,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show a user's factors, counters, waits and last events; never a secret.
    #[command(after_help = example!("myelin user show alice", "myelin user show @alice:example.org --json"))]
    Show {
        /// The user's ID, or the part before the colon.
        user: String,
        #[command(flatten)]
        place: Place,
        /// Print a JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Remove every second factor of a user, who then logs in with the password alone.
    ///
    /// For someone who has lost both the authenticator and the recovery codes.
    /// Make sure that it is the owner who asks. The audit log keeps who did it.
    #[command(after_help = example!("myelin user reset-two-factor alice"))]
    ResetTwoFactor {
        /// The user's ID, or the part before the colon.
        user: String,
        #[command(flatten)]
        place: Place,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Make a key file, for machines that are to share a database.
    #[command(after_help = example!("myelin key generate --output /etc/myelin/keys"))]
    Generate {
        /// Write to this file, which must not exist yet, instead of standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Put a new key in use and encrypt the secrets with it, while the server runs.
    ///
    /// The secrets are those of authenticators and the hashes of recovery codes;
    /// nothing else is encrypted. The old keys stay in the file until
    /// `--drop-old`. May be interrupted at any moment: `--resume` finishes it.
    ///
    /// WARNING: a machine that shares the database and has a copy of the key file
    /// answers 503 to codes from this moment until it has the new file. Let all
    /// share the folder that the file is in; a mount of the file alone keeps the
    /// old one. Or else stop the other machines first, and copy the file to them
    /// before they start; or copy it at once, and accept the gap.
    #[command(after_help = example!("myelin key rotate", "myelin key rotate --drop-old"))]
    Rotate {
        #[command(flatten)]
        place: Place,
        /// Finish a rotation that was interrupted; makes no new key.
        #[arg(long)]
        resume: bool,
        /// Remove the keys that nothing is encrypted with any more; makes no new key.
        #[arg(long, conflicts_with = "resume")]
        drop_old: bool,
    },
}

/// The form in which `routes` prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoutesFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// A configuration of nginx.
    Nginx,
    /// A configuration of Caddy, a Caddyfile.
    Caddy,
    /// A dynamic configuration of Traefik, in YAML.
    Traefik,
    /// A configuration of `HAProxy`.
    Haproxy,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_and_exit_codes() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(help.contains(&format!("myelin {name}")) || help.contains(name), "{name}");
            assert!(help.contains("Exit codes"), "{name}");
            command.get_subcommands().filter(|c| c.get_name() != "help").for_each(check);
        }
        check(&Args::command());
    }
}
