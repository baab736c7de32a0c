//! `myelin user list`

use myelin_storage::{Account, Factors};
use serde_json::json;

use super::{account, millis};
use crate::{
    commands::print,
    config::{Sources, load},
    database,
    failure::Failure,
    times,
};

/// Users that are read at a time.
const PAGE: u32 = 200;

/// Lists users, a line each.
pub(in crate::commands) async fn list(
    sources: &Sources,
    search: &str,
    json: bool,
) -> Result<(), Failure> {
    let config = load(sources)?;
    let database = database::open_existing(&config).await?;
    let mut after = None;
    loop {
        let page = database.store.users(search, after.as_deref(), PAGE).await;
        let page = page.map_err(anyhow::Error::from)?;
        for user in &page {
            let account = account::lookup(&config, &database, user).await?;
            let factors = database.store.lookup_factors(user).await;
            let (account, factors) = (account.as_ref(), factors.map_err(anyhow::Error::from)?);
            print(if json { object(account, &factors) } else { line(account, &factors) })?;
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// Without an account, it is the homeserver's.
fn line(account: Option<&Account>, factors: &Factors) -> String {
    let state = match (account, factors.protect()) {
        (Some(Account { deactivated: true, .. }), _) => "deactivated",
        (_, true) => "two-factor",
        (_, false) => "password only",
    };
    let since = account.map(|account| format!("  since {}", times::absolute(account.created)));
    format!("{}  {state}{}", factors.user, since.unwrap_or_default())
}

fn object(account: Option<&Account>, factors: &Factors) -> String {
    json!({
        "user": factors.user,
        "created_ts": millis(account.map(|account| account.created)),
        "deactivated": account.map(|account| account.deactivated),
        "two_factor": factors.protect(),
    })
    .to_string()
}
