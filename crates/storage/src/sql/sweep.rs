//! Deleting what has run out, a few rows at a time: nobody waits long.

use myelin_ambient::Timestamp;
use myelin_two_factor::limits::PENDING_LIFETIME;
use ruma::UserId;
use sqlx::Row as _;

use super::{super::Connection, anchor};
use crate::{
    Error,
    settled::Settled,
    values::{millis, user},
    work::Work,
};

/// One transaction of a sweep; says how many rows it deleted.
pub(super) type Batch = for<'c> fn(&'c mut Connection, Timestamp) -> Work<'c, Settled<u64>>;

/// All that is swept, each again and again until a batch is not full.
pub(super) const ALL: [Batch; 3] = [
    |c, now| Box::pin(sessions(c, millis(now))),
    |c, now| Box::pin(pending(c, now)),
    |c, now| Box::pin(login_tokens(c, millis(now))),
];

/// Rows that one transaction deletes.
pub(super) const BATCH: u32 = 1000;

/// Deletes up to [`BATCH`] expired sessions; says how many.
async fn sessions(c: &mut Connection, now: i64) -> Result<Settled<u64>, Error> {
    let deleted = sqlx::query(concat!(
        "DELETE FROM uia_sessions WHERE id IN (",
        skip_locked!("SELECT id FROM uia_sessions WHERE expires <= $1 ORDER BY expires LIMIT $2"),
        ")"
    ))
    .bind(now)
    .bind(i64::from(BATCH))
    .execute(c)
    .await?;
    Ok(Settled::Commit(deleted.rows_affected()))
}

/// Deletes up to [`BATCH`] expired login tokens; says how many.
async fn login_tokens(c: &mut Connection, now: i64) -> Result<Settled<u64>, Error> {
    let deleted = sqlx::query(concat!(
        "DELETE FROM login_tokens WHERE token IN (",
        skip_locked!(
            "SELECT token FROM login_tokens WHERE expires <= $1 ORDER BY expires LIMIT $2"
        ),
        ")"
    ))
    .bind(now)
    .bind(i64::from(BATCH))
    .execute(c)
    .await?;
    Ok(Settled::Commit(deleted.rows_affected()))
}

/// Deletes the pending authenticators of up to [`BATCH`] users that were not
/// confirmed in time; says how many.
async fn pending(c: &mut Connection, now: Timestamp) -> Result<Settled<u64>, Error> {
    let users = sqlx::query(
        "SELECT DISTINCT user_id FROM authenticators
         WHERE status = 'pending' AND (created <= $1 OR created > $2)
         ORDER BY user_id LIMIT $3",
    )
    .bind(millis(now - PENDING_LIFETIME))
    .bind(millis(now + PENDING_LIFETIME))
    .bind(i64::from(BATCH))
    .fetch_all(&mut *c)
    .await?;
    let mut deleted = 0;
    // In order of the users: two sweeps do not wait for each other.
    for row in users {
        deleted += pending_of(c, &user(row.try_get("user_id")?)?, now).await?;
    }
    Ok(Settled::Commit(deleted))
}

async fn pending_of(c: &mut Connection, user: &UserId, now: Timestamp) -> Result<u64, Error> {
    anchor::raise_existing(c, user).await?;
    // One that seems to come from the future was made before the clock was set
    // back; the domain takes it for expired, too.
    let deleted = sqlx::query(
        "DELETE FROM authenticators
         WHERE user_id = $1 AND status = 'pending' AND (created <= $2 OR created > $3)",
    )
    .bind(user.as_str())
    .bind(millis(now - PENDING_LIFETIME))
    .bind(millis(now + PENDING_LIFETIME))
    .execute(c)
    .await?;
    Ok(deleted.rows_affected())
}
