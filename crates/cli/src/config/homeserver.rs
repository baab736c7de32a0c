//! What is behind the gate, and where clients find it.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use myelin_homeserver::{
    embedded::DEFAULT_ACCESS_TOKEN_LIFETIME, gateway::Secret, upstream::UpstreamUrl,
};
use myelin_server::{Policy, SignOn, UserPattern, routes::Switch};
use url::Url;

use super::{
    Homeserver, typed,
    validate::{TEN_SECONDS, YEAR, time},
};

/// What is behind the gate.
pub(super) fn homeserver(typed: &typed::Homeserver) -> Result<Homeserver> {
    let access_token_lifetime = time(
        "homeserver.access_token_lifetime",
        typed.access_token_lifetime.as_deref(),
        DEFAULT_ACCESS_TOKEN_LIFETIME,
        (TEN_SECONDS, YEAR),
    )?;
    match typed.kind.as_deref() {
        None | Some("embedded") => Ok(Homeserver::Embedded { access_token_lifetime }),
        Some("generic") => Ok(Homeserver::Generic { url: upstream(typed)? }),
        Some("synapse") => {
            let secret_file = secret_file(typed)?;
            let secret = Secret::read(&secret_file)
                .with_context(|| format!("homeserver.secret_file: {}", secret_file.display()))?;
            Ok(Homeserver::Synapse { url: upstream(typed)?, secret_file, secret })
        }
        Some(other) => bail!(
            "homeserver.kind: \"{other}\" is unknown; there are \"embedded\", \"synapse\", \"generic\""
        ),
    }
}

fn upstream(typed: &typed::Homeserver) -> Result<UpstreamUrl> {
    let url = typed.url.as_deref().context("homeserver.url: this kind of homeserver needs it")?;
    url.parse().context("homeserver.url")
}

fn secret_file(typed: &typed::Homeserver) -> Result<PathBuf> {
    typed.secret_file.clone().context("homeserver.secret_file: a Synapse with the module needs it")
}

/// What is let through to the homeserver.
pub(super) fn passed(typed: &typed::Homeserver) -> Result<Vec<Switch>> {
    let parse = |name: &String| {
        Switch::parse(name).ok_or_else(|| {
            let known: Vec<_> = Switch::ALL.iter().map(|switch| switch.as_str()).collect();
            anyhow!("homeserver.pass: `{name}` is none of {}", known.join(", "))
        })
    };
    typed.pass.iter().flatten().map(parse).collect()
}

/// What the homeserver's own single sign-on is worth.
pub(super) fn sign_on(typed: &typed::Homeserver) -> Result<SignOn> {
    let text = typed.sso.as_deref().unwrap_or(sign_on_name(SignOn::Refused));
    let all = [SignOn::Refused, SignOn::FirstFactor, SignOn::Enough];
    let sign_on = all.into_iter().find(|known| sign_on_name(*known) == text);
    let sign_on = sign_on.ok_or_else(|| {
        anyhow!("homeserver.sso: \"{text}\" is none of {}", all.map(sign_on_name).join(", "))
    })?;
    // Who has signed on elsewhere has no password that could be forwarded.
    let can = sign_on == SignOn::Refused || typed.kind.as_deref() == Some("synapse");
    ensure!(can, "homeserver.sso: only a Synapse with the module takes \"{text}\"");
    Ok(sign_on)
}

/// How it is written.
pub(super) const fn sign_on_name(sign_on: SignOn) -> &'static str {
    match sign_on {
        SignOn::Refused => "refuse",
        SignOn::FirstFactor => "first_factor",
        SignOn::Enough => "pass",
    }
}

/// Where clients reach Myelin.
pub(super) fn public_url(typed: Option<&str>, listen: &[SocketAddr]) -> Result<Url> {
    let Some(text) = typed else {
        let port = listen.first().context("listen: there must be an address")?.port();
        return Url::parse(&format!("http://localhost:{port}")).context("public_url");
    };
    let url = Url::parse(text).map_err(|_| {
        anyhow!("public_url: `{text}` is no URL, such as https://matrix.example.org")
    })?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    ensure!(
        plain && nobody && web,
        "public_url: `{text}` has to be http or https, a host, and no more"
    );
    Ok(url)
}

/// Who has to have a second factor.
pub(super) fn policy(typed: &typed::Policy) -> Result<Policy> {
    let patterns = |key: &'static str, texts: &Option<Vec<String>>| {
        let parse =
            |text: &String| text.parse::<UserPattern>().with_context(|| format!("{key}: `{text}`"));
        texts.iter().flatten().map(parse).collect::<Result<Vec<_>>>()
    };
    Ok(Policy {
        required_for: patterns("policy.required_for", &typed.required_for)?,
        exempt: patterns("policy.exempt", &typed.exempt)?,
    })
}
