//! `myelin user show`: factors without secrets, counters, waits, last events.

use myelin_ambient::{Clock as _, SystemClock, Timestamp};
use myelin_storage::{Account, Actor, Enrolled, Factors, RecordedEvent};
use myelin_two_factor::{Admission, Throttle};
use serde_json::{Value, json};

use super::{account, millis};
use crate::{
    commands::print,
    config::{Sources, load},
    database,
    failure::Failure,
    times,
};

/// Events that are shown.
const EVENTS: u32 = 20;

/// Shows one user.
pub(in crate::commands) async fn show(
    sources: &Sources,
    user: &str,
    json: bool,
) -> Result<(), Failure> {
    let config = load(sources)?;
    let user = account::parse(user, &config.server_name)?;
    let database = database::open_existing(&config).await?;
    let account = account::named(&config, &database, &user).await?;
    let factors = database.store.lookup_factors(&user).await.map_err(anyhow::Error::from)?;
    let events = database.store.events(&user, EVENTS).await.map_err(anyhow::Error::from)?;
    let now = SystemClock.now();
    if json {
        print(format_args!("{:#}", object(account.as_ref(), &factors, &events, now)))
    } else {
        print(text(account.as_ref(), &factors, &events, now).join("\n"))
    }
}

fn text(
    account: Option<&Account>,
    factors: &Factors,
    events: &[RecordedEvent],
    now: Timestamp,
) -> Vec<String> {
    let mut lines = vec![factors.user.to_string()];
    lines.push(match account {
        Some(account) => format!("  registered   {}", times::both(account.created, now)),
        None => "  registered   at the homeserver, if at all".to_owned(),
    });
    if account.is_some_and(|account| account.deactivated) {
        lines.push("  deactivated".to_owned());
    }
    lines.push(if factors.protect() {
        "  two-factor   yes".to_owned()
    } else {
        "  two-factor   no: the password alone is enough".to_owned()
    });
    lines.push("authenticators".to_owned());
    lines.extend(factors.authenticators.iter().map(|enrolled| authenticator(enrolled, now)));
    lines.push(format!("  failures     {}", throttle(&factors.totp, now)));
    lines.push("recovery codes".to_owned());
    if let Some(codes) = &factors.codes {
        let (left, total) = (codes.unused.len(), codes.total);
        let generated = times::both(codes.generated, now);
        lines.push(format!("  {left} of {total} left, generated {generated}"));
    }
    lines.push(format!("  failures     {}", throttle(&factors.recovery, now)));
    lines.push("last events".to_owned());
    lines.extend(events.iter().map(|recorded| event(recorded, now)));
    lines
}

fn authenticator(enrolled: &Enrolled, now: Timestamp) -> String {
    let used = match enrolled.last_used {
        Some(at) => format!("last used {}", times::both(at, now)),
        None => "never used".to_owned(),
    };
    let (id, status) = (enrolled.id.as_str(), enrolled.status.as_str());
    let created = times::both(enrolled.created, now);
    let name = escaped(enrolled.name.as_str());
    format!("  {id}  \"{name}\"  {status}  created {created}, {used}")
}

fn throttle(throttle: &Throttle, now: Timestamp) -> String {
    let (run, week) = (throttle.in_a_row, throttle.window_failures);
    let wait = match throttle.admit(now) {
        Admission::Wait { until } => format!("; waits until {}", times::both(until, now)),
        Admission::Open => String::new(),
    };
    format!("{run} in a row, {week} in this week{wait}")
}

fn event(recorded: &RecordedEvent, now: Timestamp) -> String {
    let event = &recorded.event;
    let (at, action) = (times::both(event.at, now), event.action.as_str());
    let from = event.origin.address.map(|address| format!(" from {address}")).unwrap_or_default();
    let more = [&event.detail, &event.origin.request_id].into_iter().flatten();
    let more: String = more.flat_map(|text| ["  ".to_owned(), escaped(text)]).collect();
    format!("  {at}  {action}  by {}{from}{more}", actor(recorded))
}

fn actor(recorded: &RecordedEvent) -> String {
    match &recorded.event.origin.actor {
        Actor::User => "the user".to_owned(),
        Actor::Admin(name) => format!("administrator {}", escaped(name)),
    }
}

/// A text that somebody else chose: nothing in it steers the terminal.
fn escaped(text: &str) -> String {
    text.escape_debug().collect()
}

fn object(
    account: Option<&Account>,
    factors: &Factors,
    events: &[RecordedEvent],
    now: Timestamp,
) -> Value {
    let authenticators = factors.authenticators.iter().map(|enrolled| {
        json!({
            "id": enrolled.id.as_str(),
            "name": enrolled.name.as_str(),
            "status": enrolled.status.as_str(),
            "created_ts": millis(Some(enrolled.created)),
            "last_used_ts": millis(enrolled.last_used),
        })
    });
    let recovery = factors.codes.as_ref().map(|codes| {
        json!({
            "remaining": codes.unused.len(),
            "total": codes.total,
            "generated_ts": millis(Some(codes.generated)),
        })
    });
    json!({
        "user": factors.user,
        "created_ts": millis(account.map(|account| account.created)),
        "deactivated": account.map(|account| account.deactivated),
        "two_factor": factors.protect(),
        "authenticators": authenticators.collect::<Vec<_>>(),
        "totp_failures": throttle_object(&factors.totp, now),
        "recovery": recovery,
        "recovery_failures": throttle_object(&factors.recovery, now),
        "events": events.iter().map(event_object).collect::<Vec<_>>(),
    })
}

fn throttle_object(throttle: &Throttle, now: Timestamp) -> Value {
    let until = match throttle.admit(now) {
        Admission::Wait { until } => Some(until),
        Admission::Open => None,
    };
    json!({
        "in_a_row": throttle.in_a_row,
        "in_window": throttle.window_failures,
        "wait_until_ts": millis(until),
    })
}

fn event_object(recorded: &RecordedEvent) -> Value {
    let event = &recorded.event;
    let admin = match &event.origin.actor {
        Actor::User => None,
        Actor::Admin(name) => Some(name),
    };
    json!({
        "id": recorded.id,
        "ts": millis(Some(event.at)),
        "action": event.action.as_str(),
        "admin": admin,
        "address": event.origin.address,
        "request_id": event.origin.request_id,
        "detail": event.detail,
    })
}
