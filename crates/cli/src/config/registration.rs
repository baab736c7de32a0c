//! Who may register.

use std::{fs, net::SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use myelin_homeserver::embedded::{RegistrationPolicy, RegistrationToken};
use zeroize::Zeroizing;

use super::typed;

/// Decides who may register.
///
/// Open by default only where nobody but this machine can ask: every address
/// is on loopback, and no proxy hands on what others ask.
pub(super) fn policy(
    typed: &typed::Registration,
    listen: &[SocketAddr],
    behind_proxy: bool,
) -> Result<RegistrationPolicy> {
    let private = !behind_proxy && listen.iter().all(is_loopback);
    let mode = typed.mode.as_deref();
    if typed.tokens_file.is_some() && mode != Some("token") {
        bail!("registration.tokens_file needs registration.mode = \"token\"");
    }
    match mode {
        Some("open") => Ok(RegistrationPolicy::Open),
        Some("closed") => Ok(RegistrationPolicy::Closed),
        Some("token") => tokens(typed).map(RegistrationPolicy::Token),
        Some(other) => {
            bail!("registration.mode must be \"open\", \"token\" or \"closed\", not \"{other}\"")
        }
        None if private => Ok(RegistrationPolicy::Open),
        None => Ok(RegistrationPolicy::Closed),
    }
}

/// Whether only this machine can reach the address.
pub(super) fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn tokens(typed: &typed::Registration) -> Result<Vec<RegistrationToken>> {
    let Some(file) = &typed.tokens_file else {
        bail!("registration.mode = \"token\" needs registration.tokens_file");
    };
    let text = fs::read_to_string(file)
        .with_context(|| format!("registration.tokens_file: cannot read {}", file.display()))?;
    let text = Zeroizing::new(text);
    let lines = text.lines().map(str::trim);
    let tokens: Vec<_> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(RegistrationToken::new)
        .collect();
    ensure!(
        !tokens.is_empty(),
        "registration.tokens_file: there is no token in {}",
        file.display()
    );
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default(listen: &[&str], behind_proxy: bool) -> RegistrationPolicy {
        let listen: Vec<_> = listen.iter().map(|address| address.parse().unwrap()).collect();
        policy(&typed::Registration::default(), &listen, behind_proxy).unwrap()
    }

    #[test]
    fn registration_is_open_by_default_only_on_loopback() {
        for private in [&["127.0.0.1:8008"][..], &["[::1]:1", "127.8.8.8:2"]] {
            assert!(matches!(default(private, false), RegistrationPolicy::Open));
        }
        for public in [
            &["0.0.0.0:8008"][..],
            &["[::]:8008"],
            &["192.0.2.1:1"],
            &["127.0.0.1:1", "10.0.0.1:1"],
        ] {
            assert!(matches!(default(public, false), RegistrationPolicy::Closed), "{public:?}");
        }
    }

    #[test]
    fn registration_is_closed_by_default_behind_a_proxy() {
        assert!(matches!(default(&["127.0.0.1:8008"], true), RegistrationPolicy::Closed));
    }

    #[test]
    fn registration_elsewhere_is_open_only_when_said_so() {
        let typed = typed::Registration { mode: Some("open".into()), tokens_file: None };
        let policy = policy(&typed, &["0.0.0.0:8008".parse().unwrap()], false).unwrap();
        assert!(matches!(policy, RegistrationPolicy::Open));
    }
}
