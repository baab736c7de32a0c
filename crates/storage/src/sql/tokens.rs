//! Login tokens: each names a user, once, for a short time, and a user has few.

use ruma::{OwnedUserId, UserId};

use super::{
    super::{Columns as _, Connection, lock_owner, query},
    anchor, audit,
};
use crate::{
    Epoch, Error, Event, Outcome, TokenDigest, bucket::owner_lock, settled::Settled,
    store::LOGIN_TOKENS, values::user,
};

pub(super) async fn create_login_token(
    c: &mut Connection,
    token: &TokenDigest,
    user: &UserId,
    epoch: Epoch,
    expires: i64,
    event: &Event,
) -> Result<Settled<Outcome<()>>, Error> {
    if !anchor::hold(c, user, epoch).await? {
        return Ok(Settled::RollBack(Outcome::Stale));
    }
    // Counting and inserting is one thing.
    lock_owner(c, owner_lock(Some(user), "")).await?;
    make_room(c, user).await?;
    query("INSERT INTO login_tokens (token, user_id, expires) VALUES ($1, $2, $3)")
        .bind(token.0.to_vec())
        .bind(user.as_str())
        .bind(expires)
        .execute(&mut *c)
        .await?;
    audit::record(c, event).await?;
    Ok(Settled::Commit(Outcome::Committed(())))
}

/// Ends the tokens that run out first, so that with one more there are no more
/// than [`LOGIN_TOKENS`].
async fn make_room(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    query(
        "DELETE FROM login_tokens WHERE user_id = $1 AND (expires, token) <= (
            SELECT expires, token FROM login_tokens WHERE user_id = $1
            ORDER BY expires DESC, token DESC LIMIT 1 OFFSET $2)",
    )
    .bind(user.as_str())
    .bind(i64::from(LOGIN_TOKENS - 1))
    .execute(c)
    .await?;
    Ok(())
}

pub(super) async fn redeem_login_token(
    c: &mut Connection,
    token: &TokenDigest,
    now: i64,
) -> Result<Settled<Option<(OwnedUserId, Epoch)>>, Error> {
    let redeemed =
        query("DELETE FROM login_tokens WHERE token = $1 AND expires > $2 RETURNING user_id")
            .bind(token.0.to_vec())
            .bind(now)
            .fetch_optional(&mut *c)
            .await?;
    let Some(redeemed) = redeemed else { return Ok(Settled::RollBack(None)) };
    let owner = user(redeemed.try_get("user_id")?)?;
    // Whoever ends it begins an epoch with it, and the row is ours until the end:
    // the epoch is the one before, or the row was not found.
    let epoch = anchor::epoch(c, &owner).await?;
    Ok(Settled::Commit(Some((owner, epoch))))
}
