//! What `config check` prints: the settings as they take effect.

use myelin_homeserver::embedded::RegistrationPolicy;
use myelin_server::Settings;
use myelin_storage::Quota;

use super::{
    Config, Homeserver, LogFormat, Sources, duration, homeserver as behind_the_gate, pages,
};
use crate::failure::Failure;

/// A setting as it takes effect.
pub(crate) struct Line {
    /// Its section and name.
    pub(crate) path: String,
    /// Its value, as TOML; never a secret.
    pub(crate) value: String,
    /// Where it comes from.
    pub(crate) origin: String,
}

/// Every setting as it takes effect, in the order of the list.
pub(crate) fn show(config: &Config, sources: &Sources) -> Result<Vec<Line>, Failure> {
    let origins = sources.read().map_err(Failure::Usage)?.origins;
    let line = |(path, value): (&'static str, String)| {
        // The file that holds the database's address is part of that address.
        let origin = origins.get(path).or_else(|| match path {
            "database.url" => origins.get("database.url_file"),
            _ => None,
        });
        let origin = origin.cloned().unwrap_or_else(|| "default".to_owned());
        Line { path: path.to_owned(), value, origin }
    };
    Ok(values(config).into_iter().map(line).collect())
}

type Values = Vec<(&'static str, String)>;

fn values(config: &Config) -> Values {
    let Config {
        server_name,
        listen,
        data_dir,
        database,
        key_file,
        homeserver,
        registration,
        quota,
        settings,
        log,
    } = config;
    let mut values = vec![
        ("server_name", quoted(server_name)),
        ("listen", list(listen)),
        ("public_url", quoted(settings.public_url.as_str().trim_end_matches('/'))),
        ("data_dir", quoted(data_dir.display())),
        ("database.url", quoted(database.url.redacted())),
        ("database.connections", database.connections.to_string()),
        ("database.migrate", database.migrate.to_string()),
        ("keys.file", quoted(key_file.display())),
    ];
    values.extend(behind(homeserver));
    let passed: Vec<_> = settings.passed.iter().map(|switch| switch.as_str()).collect();
    values.push(("homeserver.pass", list(&passed)));
    values.push(("homeserver.sso", quoted(behind_the_gate::sign_on_name(settings.sign_on))));
    values.extend(registering(registration));
    values.extend(signing_in(settings));
    values.extend(limits(settings, *quota));
    let format = match log.format {
        LogFormat::Human => "human",
        LogFormat::Json => "json",
    };
    values.push(("log.level", quoted(log.level.to_string().to_lowercase())));
    values.push(("log.format", quoted(format)));
    values
}

fn registering(registration: &RegistrationPolicy) -> Values {
    let mode = |mode: &str| ("registration.mode", quoted(mode));
    match registration {
        RegistrationPolicy::Open => vec![mode("open")],
        RegistrationPolicy::Closed => vec![mode("closed")],
        RegistrationPolicy::Token(tokens) => {
            let tokens = quoted(format_args!("<{} tokens>", tokens.len()));
            vec![mode("token"), ("registration.tokens_file", tokens)]
        }
    }
}

fn signing_in(settings: &Settings) -> Values {
    let clients = settings.pages.known_clients.iter();
    let clients: Vec<_> = clients.map(url::Origin::ascii_serialization).collect();
    let mut values = vec![
        ("policy.required_for", list(&settings.policy.required_for)),
        ("policy.exempt", list(&settings.policy.exempt)),
        ("login.native", quoted(pages::native_name(settings.native_login))),
        ("pages.title", quoted(settings.pages.title.as_ref().unwrap_or(&settings.issuer))),
    ];
    values.extend(settings.pages.logo.as_ref().map(|_| ("pages.logo", quoted("<a picture>"))));
    values.push(("pages.known_clients", list(&clients)));
    values
}

fn limits(settings: &Settings, quota: Quota) -> Values {
    let totp = settings.totp;
    let period = std::time::Duration::from_secs(totp.period.as_secs());
    vec![
        ("totp.issuer", quoted(&settings.issuer)),
        ("totp.digits", totp.digits.get().to_string()),
        ("totp.period", time(period)),
        ("totp.window", totp.window.get().to_string()),
        ("app_passwords.allowed", settings.app_passwords.to_string()),
        ("sessions.lifetime", time(settings.session_lifetime)),
        ("sessions.login_token_lifetime", time(settings.login_token_lifetime)),
        ("sessions.sign_in_token_lifetime", time(settings.sign_in_token_lifetime)),
        ("sessions.per_address", quota.per_address.to_string()),
        ("sessions.per_user", quota.per_user.to_string()),
        ("limits.body", settings.body.size.to_string()),
        ("limits.body_timeout", time(settings.body.time)),
        ("limits.wrong_passwords", settings.wrong_passwords_per_minute.to_string()),
        ("proxy.trusted", list(&settings.trusted_proxies)),
    ]
}

/// What is behind the gate.
fn behind(homeserver: &Homeserver) -> Values {
    let kind = |kind: &str| ("homeserver.kind", quoted(kind));
    match homeserver {
        Homeserver::Embedded { access_token_lifetime } => vec![
            kind("embedded"),
            ("homeserver.access_token_lifetime", time(*access_token_lifetime)),
        ],
        Homeserver::Synapse { url, secret_file, secret: _ } => vec![
            kind("synapse"),
            ("homeserver.url", quoted(url)),
            ("homeserver.secret_file", quoted(secret_file.display())),
        ],
        Homeserver::Generic { url } => vec![kind("generic"), ("homeserver.url", quoted(url))],
    }
}

fn quoted(text: impl std::fmt::Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(quoted).collect();
    format!("[{}]", items.join(", "))
}

fn time(duration: std::time::Duration) -> String {
    quoted(duration::show(duration))
}
