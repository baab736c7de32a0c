//! `myelin user list`

use myelin_storage::{Account, Factors};
use serde_json::json;

use super::millis;
use crate::{
    commands::print,
    config::{Sources, load},
    database,
    failure::Failure,
    times,
};

/// Accounts that are read at a time.
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
        let page = database.accounts.list(search, after.as_deref(), PAGE).await;
        let page = page.map_err(anyhow::Error::from)?;
        for account in &page {
            let factors = database.store.lookup_factors(&account.user).await;
            let factors = factors.map_err(anyhow::Error::from)?;
            print(if json { object(account, &factors) } else { line(account, &factors) })?;
        }
        match page.last() {
            Some(last) => after = Some(last.user.clone()),
            None => return Ok(()),
        }
    }
}

fn line(account: &Account, factors: &Factors) -> String {
    let state = match (account.deactivated, factors.protect()) {
        (true, _) => "deactivated",
        (false, true) => "two-factor",
        (false, false) => "password only",
    };
    format!("{}  {state}  since {}", account.user, times::absolute(account.created))
}

fn object(account: &Account, factors: &Factors) -> String {
    json!({
        "user": account.user,
        "created_ts": millis(Some(account.created)),
        "deactivated": account.deactivated,
        "two_factor": factors.protect(),
    })
    .to_string()
}
