//! `myelin user reset-two-factor`

use std::io::{BufRead as _, IsTerminal as _, Write as _, stderr, stdin};

use anyhow::Context;
use myelin_ambient::{Clock as _, SystemClock};
use myelin_storage::{Action, Actor, Event, Origin};
use ruma::UserId;

use super::account;
use crate::{
    commands::print,
    config::{Sources, load},
    database,
    failure::Failure,
    operator,
};

/// Removes every factor of a user.
pub(in crate::commands) async fn reset(
    sources: &Sources,
    user: &str,
    yes: bool,
) -> Result<(), Failure> {
    let config = load(sources)?;
    let user = account::parse(user, &config.server_name)?;
    let database = database::open_existing(&config).await?;
    account::named(&config, &database, &user).await?;
    if !yes {
        confirm(&user)?;
    }
    let actor = Actor::Admin(operator::name());
    let origin = Origin { actor, address: None, request_id: None };
    let (at, action) = (SystemClock.now(), Action::TwoFactorReset);
    let event = Event { at, user: user.clone(), action, origin, detail: None };
    if !database.store.reset(&user, event).await.map_err(anyhow::Error::from)? {
        return print(format_args!("{user} had no second factor; nothing was changed."));
    }
    print(format_args!(
        "{user} has no second factor any more and logs in with the password alone. \
         Ask the owner to set up a new authenticator at once."
    ))
}

/// Asks the person at the terminal.
fn confirm(user: &UserId) -> Result<(), Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::usage("this needs a terminal to confirm at, or --yes"));
    }
    let question = format!("Remove every second factor of {user}? [y/N] ");
    let mut answer = String::new();
    stderr()
        .write_all(question.as_bytes())
        .and_then(|()| stdin().lock().read_line(&mut answer))
        .context("cannot ask at the terminal")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::failed("not confirmed; nothing was changed")),
    }
}
