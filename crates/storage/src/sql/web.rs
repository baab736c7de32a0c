//! Sessions of the pages, and grants.

use std::time::Duration;

use myelin_ambient::Timestamp;
use ruma::UserId;

use super::{
    super::{Columns as _, Connection, lock_owner, query},
    anchor, audit,
};
use crate::{
    Epoch, Error, Event, Outcome, TokenDigest, WebSession,
    bucket::owner_lock,
    settled::Settled,
    values::{millis, timestamp, user},
    web::{GRANTS, WEB_SESSIONS},
};

pub(super) async fn open(
    c: &mut Connection,
    id: &TokenDigest,
    WebSession { user, created, last_seen, expires }: &WebSession,
    epoch: Epoch,
    event: Option<&Event>,
) -> Result<Settled<Outcome<()>>, Error> {
    if !anchor::hold(c, user, epoch).await? {
        return Ok(Settled::RollBack(Outcome::Stale));
    }
    lock_owner(c, owner_lock(Some(user), "")).await?;
    query(
        "DELETE FROM web_sessions WHERE user_id = $1 AND (last_seen, id) <= (
            SELECT last_seen, id FROM web_sessions WHERE user_id = $1
            ORDER BY last_seen DESC, id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(user.as_str())
    .bind(i64::from(WEB_SESSIONS - 1))
    .execute(&mut *c)
    .await?;
    query(
        "INSERT INTO web_sessions (id, user_id, created, last_seen, expires)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id.0.to_vec())
    .bind(user.as_str())
    .bind(millis(*created))
    .bind(millis(*last_seen))
    .bind(millis(*expires))
    .execute(&mut *c)
    .await?;
    if let Some(event) = event {
        audit::record(c, event).await?;
    }
    Ok(Settled::Commit(Outcome::Committed(())))
}

pub(super) async fn lookup(
    c: &mut Connection,
    id: &TokenDigest,
    idle: Duration,
    now: Timestamp,
) -> Result<Option<WebSession>, Error> {
    let row = query(
        "SELECT user_id, created, last_seen, expires FROM web_sessions
         WHERE id = $1 AND expires > $2 AND last_seen > $3",
    )
    .bind(id.0.to_vec())
    .bind(millis(now))
    .bind(millis(now - idle))
    .fetch_optional(c)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(WebSession {
        user: user(row.try_get("user_id")?)?,
        created: timestamp(row.try_get("created")?)?,
        last_seen: timestamp(row.try_get("last_seen")?)?,
        expires: timestamp(row.try_get("expires")?)?,
    }))
}

/// Notes a use; nothing comes back that has ended meanwhile.
pub(super) async fn seen(
    c: &mut Connection,
    id: &TokenDigest,
    now: Timestamp,
) -> Result<Settled<bool>, Error> {
    let seen = query("UPDATE web_sessions SET last_seen = $2 WHERE id = $1")
        .bind(id.0.to_vec())
        .bind(millis(now))
        .execute(c)
        .await?;
    Ok(Settled::from(seen.rows_affected() == 1))
}

pub(super) async fn end(c: &mut Connection, id: &TokenDigest) -> Result<Settled<()>, Error> {
    query("DELETE FROM web_sessions WHERE id = $1").bind(id.0.to_vec()).execute(c).await?;
    Ok(Settled::Commit(()))
}

/// Ends all of the user's. The user's anchor and lock are the caller's already.
pub(super) async fn end_all(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    for statement in
        ["DELETE FROM web_sessions WHERE user_id = $1", "DELETE FROM grants WHERE user_id = $1"]
    {
        query(statement).bind(user.as_str()).execute(&mut *c).await?;
    }
    Ok(())
}

pub(super) async fn put_grant(
    c: &mut Connection,
    digest: &TokenDigest,
    user: &UserId,
    (epoch, expires): (Epoch, i64),
    event: &Event,
) -> Result<Settled<Outcome<()>>, Error> {
    if !anchor::hold(c, user, epoch).await? {
        return Ok(Settled::RollBack(Outcome::Stale));
    }
    lock_owner(c, owner_lock(Some(user), "")).await?;
    // The one that is renewed goes first: the digest may be there once.
    query(
        "DELETE FROM grants WHERE user_id = $1 AND (digest = $3 OR (expires, digest) <= (
            SELECT expires, digest FROM grants WHERE user_id = $1 AND digest <> $3
            ORDER BY expires DESC, digest DESC LIMIT 1 OFFSET $2))",
    )
    .bind(user.as_str())
    .bind(i64::from(GRANTS - 1))
    .bind(digest.0.to_vec())
    .execute(&mut *c)
    .await?;
    query("INSERT INTO grants (digest, user_id, expires) VALUES ($1, $2, $3)")
        .bind(digest.0.to_vec())
        .bind(user.as_str())
        .bind(expires)
        .execute(&mut *c)
        .await?;
    audit::record(c, event).await?;
    Ok(Settled::Commit(Outcome::Committed(())))
}

pub(super) async fn redeem_grant(
    c: &mut Connection,
    digest: &TokenDigest,
    user: &UserId,
    now: i64,
) -> Result<Settled<Option<Epoch>>, Error> {
    let spent = query("DELETE FROM grants WHERE digest = $1 AND user_id = $2 AND expires > $3")
        .bind(digest.0.to_vec())
        .bind(user.as_str())
        .bind(now)
        .execute(&mut *c)
        .await?;
    if spent.rows_affected() == 0 {
        return Ok(Settled::RollBack(None));
    }
    // As of a login token.
    Ok(Settled::Commit(Some(anchor::epoch(c, user).await?)))
}
