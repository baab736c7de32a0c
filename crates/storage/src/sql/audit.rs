//! The audit log.

use ruma::UserId;

use super::super::{Columns as _, Connection, Query, Row, query};
use crate::{
    Action, Actor, Error, Event, Origin, RecordedEvent,
    values::{millis, timestamp, user},
};

/// How an administrator is written, before the name.
const ADMIN: &str = "admin:";

/// How a user who acts for itself is written.
const USER: &str = "user";

/// The seven columns of an entry; all are null where there is none.
pub(in super::super) struct Entry<'e> {
    pub(in super::super) at: Option<i64>,
    pub(in super::super) user: Option<&'e str>,
    pub(in super::super) action: Option<&'static str>,
    pub(in super::super) actor: Option<String>,
    pub(in super::super) address: Option<String>,
    pub(in super::super) request_id: Option<&'e str>,
    pub(in super::super) detail: Option<&'e str>,
}

impl<'e> From<Option<&'e Event>> for Entry<'e> {
    fn from(event: Option<&'e Event>) -> Self {
        let origin = event.map(|event| &event.origin);
        Self {
            at: event.map(|event| millis(event.at)),
            user: event.map(|event| event.user.as_str()),
            action: event.map(|event| event.action.as_str()),
            actor: origin.map(|origin| actor(&origin.actor)),
            address: origin.and_then(|origin| origin.address).map(|address| address.to_string()),
            request_id: origin.and_then(|origin| origin.request_id.as_deref()),
            detail: event.and_then(|event| event.detail.as_deref()),
        }
    }
}

/// Binds the columns of an entry.
pub(in super::super) fn bind<'q>(query: Query<'q>, event: Option<&'q Event>) -> Query<'q> {
    let Entry { at, user, action, actor, address, request_id, detail } = event.into();
    query.bind(at).bind(user).bind(action).bind(actor).bind(address).bind(request_id).bind(detail)
}

pub(in super::super) async fn record(c: &mut Connection, event: &Event) -> Result<(), Error> {
    let insert = query(
        "INSERT INTO audit (at, user_id, action, actor, address, request_id, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    );
    bind(insert, Some(event)).execute(c).await?;
    Ok(())
}

pub(super) async fn events(
    c: &mut Connection,
    user: &UserId,
    limit: u32,
) -> Result<Vec<RecordedEvent>, Error> {
    let rows = query(
        "SELECT id, at, user_id, action, actor, address, request_id, detail
         FROM audit WHERE user_id = $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(user.as_str())
    .bind(i64::from(limit))
    .fetch_all(c)
    .await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<RecordedEvent, Error> {
    let corrupt = |what| move || Error::Corrupt { what };
    let address: Option<String> = row.try_get("address")?;
    let address = address
        .map(|address| address.parse().map_err(|_| Error::Corrupt { what: "address" }))
        .transpose()?;
    let action: String = row.try_get("action")?;
    let actor: String = row.try_get("actor")?;
    let origin = Origin {
        actor: parse_actor(&actor).ok_or_else(corrupt("actor"))?,
        address,
        request_id: row.try_get("request_id")?,
    };
    let event = Event {
        at: timestamp(row.try_get("at")?)?,
        user: user(row.try_get("user_id")?)?,
        action: Action::parse(&action).ok_or_else(corrupt("action"))?,
        origin,
        detail: row.try_get("detail")?,
    };
    Ok(RecordedEvent { id: row.try_get("id")?, event })
}

fn actor(actor: &Actor) -> String {
    match actor {
        Actor::User => USER.to_owned(),
        Actor::Admin(name) => format!("{ADMIN}{name}"),
    }
}

fn parse_actor(text: &str) -> Option<Actor> {
    match text.strip_prefix(ADMIN) {
        Some(name) => Some(Actor::Admin(name.to_owned())),
        None => (text == USER).then_some(Actor::User),
    }
}
