//! UIA sessions: how many there may be, and how they end.

use myelin_uia::Session;
use ruma::UserId;

use super::{
    super::{Connection, lock_owner, query},
    anchor, audit, web,
};
use crate::{
    Epoch, Error, Event, Outcome, Quota,
    bucket::owner_lock,
    settled::Settled,
    values::{join_stages, millis},
};

pub(super) async fn open(
    c: &mut Connection,
    session: &Session,
    bucket: &str,
    quota: Quota,
    (as_of, now): (Option<Epoch>, i64),
    event: Option<&Event>,
) -> Result<Settled<Outcome<()>>, Error> {
    if let Some(user) = &session.user
        && !anchor::hold_as_of(c, user, as_of).await?
    {
        return Ok(Settled::RollBack(Outcome::Stale));
    }
    // Counting and inserting is one thing: of two that see room for one more,
    // one waits.
    lock_owner(c, owner_lock(session.user.as_deref(), bucket)).await?;
    let owner = session.user.as_deref().map_or("", UserId::as_str);
    make_room(c, owner, bucket, quota.per_address).await?;
    if session.user.is_some() {
        make_room_for_user(c, owner, quota.per_user, now).await?;
    }
    insert(c, session, owner, bucket).await?;
    if let Some(event) = event {
        audit::record(c, event).await?;
    }
    Ok(Settled::Commit(Outcome::Committed(())))
}

/// Ends the oldest sessions of this owner from this address, so that with one
/// more there are no more than `limit`.
async fn make_room(c: &mut Connection, owner: &str, bucket: &str, limit: u32) -> Result<(), Error> {
    query(
        "DELETE FROM uia_sessions WHERE user_id = $1 AND bucket = $2 AND seq <= (
            SELECT seq FROM uia_sessions WHERE user_id = $1 AND bucket = $2
            ORDER BY seq DESC LIMIT 1 OFFSET $3)",
    )
    .bind(owner)
    .bind(bucket)
    .bind(i64::from(limit.saturating_sub(1)))
    .execute(c)
    .await?;
    Ok(())
}

/// Ends sessions of the user, each from the address that then has the most, so
/// that with one more there are no more than `limit`: whoever floods makes room
/// for the others. Of addresses with equally many, it is the one that came
/// last, which is not the owner's who was there before.
async fn make_room_for_user(
    c: &mut Connection,
    owner: &str,
    limit: u32,
    now: i64,
) -> Result<(), Error> {
    // More than one goes only where the limit was lowered.
    while make_room_for_one(c, owner, limit, now).await? {}
    Ok(())
}

/// Ends what has expired and, if there are still too many, one more; whether
/// any session ended.
async fn make_room_for_one(
    c: &mut Connection,
    owner: &str,
    limit: u32,
    now: i64,
) -> Result<bool, Error> {
    let ended = query(
        "DELETE FROM uia_sessions WHERE user_id = $1 AND (expires <= $3 OR seq = (
            SELECT MIN(seq) FROM uia_sessions WHERE user_id = $1 AND expires > $3 AND (
                SELECT COUNT(*) FROM uia_sessions WHERE user_id = $1 AND expires > $3) >= $2
            GROUP BY bucket ORDER BY COUNT(*) DESC, MAX(seq) DESC LIMIT 1))",
    )
    .bind(owner)
    .bind(i64::from(limit))
    .bind(now)
    .execute(c)
    .await?;
    Ok(ended.rows_affected() > 0)
}

async fn insert(
    c: &mut Connection,
    session: &Session,
    owner: &str,
    bucket: &str,
) -> Result<(), Error> {
    query(
        "INSERT INTO uia_sessions (id, user_id, bucket, binding, completed, expires, memo)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(session.id.digest().to_vec())
    .bind(owner)
    .bind(bucket)
    .bind(session.binding.as_bytes().to_vec())
    .bind(join_stages(&session.completed))
    .bind(millis(session.expires))
    .bind(session.memo.as_deref())
    .execute(c)
    .await?;
    Ok(())
}

/// Ends every session, login token and grant of the user: what earned them no longer
/// holds. Nor does what has been proven and not yet used, so an epoch begins.
pub(super) async fn end_all(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    anchor::begin_epoch(c, user).await?;
    // Who makes room deletes several of these rows, too; without the lock, each
    // might wait for the other.
    lock_owner(c, owner_lock(Some(user), "")).await?;
    for statement in [
        "DELETE FROM uia_sessions WHERE user_id = $1",
        "DELETE FROM login_tokens WHERE user_id = $1",
    ] {
        query(statement).bind(user.as_str()).execute(&mut *c).await?;
    }
    web::end_all(c, user).await
}
