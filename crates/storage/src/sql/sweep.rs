//! Deleting what has run out, a few rows at a time: nobody waits long.

use myelin_ambient::Timestamp;
use myelin_two_factor::limits::PENDING_LIFETIME;
use ruma::UserId;

use super::{
    super::{Columns as _, Connection, plan_by_values, query},
    anchor,
};
use crate::{
    Error,
    settled::Settled,
    values::{millis, user},
    work::Work,
};

/// One transaction of a sweep; says how many rows it deleted.
pub(super) type Batch = for<'c> fn(&'c mut Connection, Timestamp) -> Work<'c, Settled<u64>>;

/// All that is swept, each again and again until a batch is not full.
pub(super) const ALL: [Batch; 5] = [
    |c, now| Box::pin(expired(c, SESSIONS, now)),
    |c, now| Box::pin(pending(c, now)),
    |c, now| Box::pin(expired(c, LOGIN_TOKENS, now)),
    |c, now| Box::pin(expired(c, WEB_SESSIONS, now)),
    |c, now| Box::pin(expired(c, GRANTS, now)),
];

/// Rows that one transaction deletes.
pub(super) const BATCH: u32 = 1000;

/// Deletes what has expired, by its key, up to a limit. The rows are chosen
/// once, whatever the plan.
macro_rules! expired {
    ($table:literal, $key:literal) => {
        concat!(
            "WITH batch AS (",
            skip_locked!(concat!(
                "SELECT ",
                $key,
                " FROM ",
                $table,
                " WHERE expires <= $1 ORDER BY expires LIMIT $2"
            )),
            ") DELETE FROM ",
            $table,
            " WHERE ",
            $key,
            " IN (SELECT ",
            $key,
            " FROM batch)"
        )
    };
}

const SESSIONS: &str = expired!("uia_sessions", "id");
const LOGIN_TOKENS: &str = expired!("login_tokens", "token");
const WEB_SESSIONS: &str = expired!("web_sessions", "id");
const GRANTS: &str = expired!("grants", "digest");

/// Deletes up to [`BATCH`] rows that have expired; says how many.
async fn expired(
    c: &mut Connection,
    statement: &'static str,
    now: Timestamp,
) -> Result<Settled<u64>, Error> {
    plan_by_values(c).await?;
    let deleted = query(statement).bind(millis(now)).bind(i64::from(BATCH)).execute(c).await?;
    Ok(Settled::Commit(deleted.rows_affected()))
}

/// Deletes the pending authenticators of up to [`BATCH`] users that were not
/// confirmed in time; says how many.
async fn pending(c: &mut Connection, now: Timestamp) -> Result<Settled<u64>, Error> {
    let users = query(
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
    anchor::raise(c, user).await?;
    // One that seems to come from the future was made before the clock was set
    // back; the domain takes it for expired, too.
    let deleted = query(
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
