//! From settings as typed to settings that cannot be wrong.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use ipnet::IpNet;
use myelin_homeserver::BodyLimits;
use myelin_server::Settings;
use myelin_storage::Quota;
use myelin_two_factor::{Digits, Period, TotpParameters, Window};
use ruma::{OwnedServerName, ServerName};
use zeroize::Zeroizing;

use super::{
    Config, Database, DatabaseUrl, Log, LogFormat, duration, homeserver, pages, registration,
    typed, typed::Typed,
};

const SECOND: Duration = Duration::from_secs(1);
pub(super) const TEN_SECONDS: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
pub(super) const YEAR: Duration = Duration::from_hours(365 * 24);

/// Validates all settings.
pub(super) fn validate(typed: Typed) -> Result<Config> {
    let server_name = server_name(typed.server_name.as_deref())?;
    let listen = listen(typed.listen)?;
    let data_dir = typed.data_dir.map_or_else(default_data_dir, Ok)?;
    let database = database(typed.database, &data_dir)?;
    let settings = Settings {
        public_url: homeserver::public_url(typed.public_url.as_deref(), &listen)?,
        policy: homeserver::policy(&typed.policy)?,
        passed: homeserver::passed(&typed.homeserver)?,
        sign_on: homeserver::sign_on(&typed.homeserver)?,
        native_login: pages::native(&typed.login)?,
        has_pages: true,
        pages: pages::pages(typed.pages)?,
        app_passwords: typed.app_passwords.allowed.unwrap_or(true),
        ..settings(&typed.totp, &typed.sessions, &typed.limits, &typed.proxy, &server_name)?
    };
    let behind_proxy = !settings.trusted_proxies.is_empty();
    Ok(Config {
        registration: registration::policy(&typed.registration, &listen, behind_proxy)?,
        key_file: typed.keys.file.unwrap_or_else(|| data_dir.join("keys")),
        homeserver: homeserver::homeserver(&typed.homeserver)?,
        quota: quota(&typed.sessions)?,
        log: log(&typed.log)?,
        server_name,
        listen,
        data_dir,
        database,
        settings,
    })
}

fn server_name(name: Option<&str>) -> Result<OwnedServerName> {
    let name = name.unwrap_or("localhost");
    ServerName::parse(name).map_err(|_| {
        anyhow!("server_name: `{name}` is not the name of a server, such as example.org")
    })
}

fn listen(addresses: Option<Vec<String>>) -> Result<Vec<SocketAddr>> {
    let addresses = addresses.unwrap_or_else(|| vec!["127.0.0.1:8008".to_owned()]);
    ensure!(!addresses.is_empty(), "listen: there must be an address");
    let parse = |text: &String| {
        text.parse().map_err(|_| {
            anyhow!("listen: `{text}` is not an address and a port, such as 127.0.0.1:8008")
        })
    };
    addresses.iter().map(parse).collect()
}

fn default_data_dir() -> Result<PathBuf> {
    let absolute = |name| {
        // The XDG specification has relative paths ignored.
        Some(PathBuf::from(env::var_os(name)?)).filter(|path| path.is_absolute())
    };
    let data = absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local").join("share")))
        .context("data_dir: without $HOME it must be set, such as with MYELIN_DATA_DIR")?;
    Ok(data.join("myelin"))
}

fn database(typed: typed::Database, data_dir: &Path) -> Result<Database> {
    let url = match (typed.url, typed.url_file) {
        (Some(url), None) => DatabaseUrl::parse(&url).context("database.url")?,
        (None, Some(file)) => url_from(&file).context("database.url_file")?,
        (None, None) => DatabaseUrl::sqlite(data_dir.join("myelin.db"))?,
        (Some(_), Some(_)) => bail!("database.url and database.url_file say the same"),
    };
    let connections = within("database.connections", typed.connections.unwrap_or(16), 1, 1000)?;
    Ok(Database { url, connections, migrate: typed.migrate.unwrap_or(true) })
}

fn url_from(file: &Path) -> Result<DatabaseUrl> {
    let text = fs::read_to_string(file)
        .map(Zeroizing::new)
        .with_context(|| format!("cannot read {}", file.display()))?;
    DatabaseUrl::parse(text.trim())
}

fn settings(
    totp: &typed::Totp,
    sessions: &typed::Sessions,
    limits: &typed::Limits,
    proxy: &typed::Proxy,
    server_name: &ServerName,
) -> Result<Settings> {
    let default = Settings::new(issuer(totp.issuer.as_deref(), server_name)?);
    let session_lifetime = time(
        "sessions.lifetime",
        sessions.lifetime.as_deref(),
        default.session_lifetime,
        (TEN_SECONDS, DAY),
    )?;
    let login_token_lifetime = time(
        "sessions.login_token_lifetime",
        sessions.login_token_lifetime.as_deref(),
        default.login_token_lifetime,
        (TEN_SECONDS, HOUR),
    )?;
    let sign_in_token_lifetime = time(
        "sessions.sign_in_token_lifetime",
        sessions.sign_in_token_lifetime.as_deref(),
        default.sign_in_token_lifetime,
        (Duration::from_secs(5), Duration::from_mins(5)),
    )?;
    let body_timeout = time(
        "limits.body_timeout",
        limits.body_timeout.as_deref(),
        default.body.time,
        (SECOND, Duration::from_mins(10)),
    )?;
    let body_limit = match limits.body {
        Some(bytes) => usize::try_from(within("limits.body", bytes, 4096, 16 << 20)?)?,
        None => default.body.size,
    };
    let wrong_passwords = match limits.wrong_passwords {
        Some(number) => within("limits.wrong_passwords", number, 1, 100_000)?,
        None => default.wrong_passwords_per_minute,
    };
    Ok(Settings {
        totp: parameters(totp)?,
        wrong_passwords_per_minute: wrong_passwords,
        trusted_proxies: trusted(proxy.trusted.as_deref().unwrap_or_default())?,
        session_lifetime,
        login_token_lifetime,
        sign_in_token_lifetime,
        body: BodyLimits { size: body_limit, time: body_timeout },
        ..default
    })
}

fn issuer(issuer: Option<&str>, server_name: &ServerName) -> Result<String> {
    let Some(issuer) = issuer else {
        // Only the host of an IPv6 address has a colon, and no app takes one.
        let host = server_name.host();
        return Ok(if host.contains(':') { "Matrix".to_owned() } else { host.to_owned() });
    };
    let fits = !issuer.trim().is_empty() && !issuer.contains([':', '\n']) && issuer.len() <= 64;
    ensure!(fits, "totp.issuer: 1 to 64 characters, no colon");
    Ok(issuer.to_owned())
}

fn parameters(typed: &typed::Totp) -> Result<TotpParameters> {
    let mut parameters = TotpParameters::default();
    if let Some(digits) = typed.digits {
        parameters.digits = Digits::new(digits).context("totp.digits")?;
    }
    if let Some(period) = &typed.period {
        let range = (Duration::from_secs(15), Duration::from_mins(2));
        let period = time("totp.period", Some(period), Duration::ZERO, range)?;
        parameters.period = Period::new(period.as_secs()).context("totp.period")?;
    }
    if let Some(window) = typed.window {
        parameters.window = Window::new(window).context("totp.window")?;
    }
    Ok(parameters)
}

fn trusted(networks: &[String]) -> Result<Vec<IpNet>> {
    let parse = |text: &String| {
        let address = || Some(IpNet::from(std::net::IpAddr::from_str(text).ok()?.to_canonical()));
        text.parse().ok().or_else(address).ok_or_else(|| {
            anyhow!("proxy.trusted: `{text}` is not an address or a network, such as 10.0.0.0/8")
        })
    };
    networks.iter().map(parse).collect()
}

fn quota(typed: &typed::Sessions) -> Result<Quota> {
    let default = Quota::default();
    let per_address = typed.per_address.unwrap_or(default.per_address);
    let per_user = typed.per_user.unwrap_or(default.per_user.max(per_address));
    ensure!(per_address >= 1, "sessions.per_address: at least 1");
    ensure!(per_user >= per_address, "sessions.per_user: at least sessions.per_address");
    Ok(Quota { per_address, per_user })
}

fn log(typed: &typed::Log) -> Result<Log> {
    let level = match typed.level.as_deref() {
        None | Some("info") => tracing::Level::INFO,
        Some("error") => tracing::Level::ERROR,
        Some("warn") => tracing::Level::WARN,
        Some("debug") => tracing::Level::DEBUG,
        Some("trace") => tracing::Level::TRACE,
        Some(other) => {
            bail!("log.level: \"{other}\" is none of error, warn, info, debug, trace")
        }
    };
    let format = match typed.format.as_deref() {
        None | Some("human") => LogFormat::Human,
        Some("json") => LogFormat::Json,
        Some(other) => bail!("log.format: \"{other}\" is neither human nor json"),
    };
    Ok(Log { level, format })
}

pub(super) fn time(
    key: &'static str,
    text: Option<&str>,
    default: Duration,
    (least, most): (Duration, Duration),
) -> Result<Duration> {
    text.map_or(Ok(default), |text| duration::parse(text, &(least..=most)).context(key))
}

fn within<T: PartialOrd + Copy + std::fmt::Display>(
    key: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<T> {
    ensure!(value >= least && value <= most, "{key}: {least} to {most}, not {value}");
    Ok(value)
}
