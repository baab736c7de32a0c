//! The pages, and who has to use them.

use std::fs;

use anyhow::{Context, Result, anyhow, bail, ensure};
use myelin_server::{Logo, NativeLogin, PageSettings};
use url::{Origin, Url};

use super::typed;

/// Who logs in without a page.
pub(super) fn native(typed: &typed::Login) -> Result<NativeLogin> {
    match typed.native.as_deref() {
        None | Some("everyone") => Ok(NativeLogin::Everyone),
        Some("without_second_factor") => Ok(NativeLogin::WithoutSecondFactor),
        Some("nobody") => Ok(NativeLogin::Nobody),
        Some(other) => {
            bail!("login.native: \"{other}\" is none of everyone, without_second_factor, nobody")
        }
    }
}

/// Its name in the configuration.
pub(super) const fn native_name(native: NativeLogin) -> &'static str {
    match native {
        NativeLogin::Everyone => "everyone",
        NativeLogin::WithoutSecondFactor => "without_second_factor",
        NativeLogin::Nobody => "nobody",
    }
}

/// How the pages look, and whom they lead back to.
pub(super) fn pages(typed: typed::Pages) -> Result<PageSettings> {
    let logo = match typed.logo {
        Some(path) => {
            let bytes = fs::read(&path)
                .with_context(|| format!("pages.logo: cannot read {}", path.display()))?;
            Some(Logo::new(bytes).context("pages.logo")?)
        }
        None => None,
    };
    if let Some(title) = &typed.title {
        let fits = !title.trim().is_empty() && title.chars().count() <= 64;
        ensure!(fits, "pages.title: 1 to 64 characters");
    }
    let known_clients =
        typed.known_clients.iter().flatten().map(|text| origin(text)).collect::<Result<_>>()?;
    Ok(PageSettings { title: typed.title, logo, known_clients })
}

fn origin(text: &str) -> Result<Origin> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.path() == "/")
        .map(|url| url.origin())
        .ok_or_else(|| {
            anyhow!("pages.known_clients: `{text}` is no address such as https://app.example.org")
        })
}
