//! Login tokens: each names a user, once, for a short time.

use ruma::{OwnedUserId, UserId};

use super::{super::Connection, audit};
use crate::{Error, Event, TokenDigest, settled::Settled, values::user};

pub(super) async fn create_login_token(
    c: &mut Connection,
    token: &TokenDigest,
    user: &UserId,
    expires: i64,
    event: &Event,
) -> Result<Settled<()>, Error> {
    sqlx::query("INSERT INTO login_tokens (token, user_id, expires) VALUES ($1, $2, $3)")
        .bind(token.0.to_vec())
        .bind(user.as_str())
        .bind(expires)
        .execute(&mut *c)
        .await?;
    audit::record(c, event).await?;
    Ok(Settled::Commit(()))
}

pub(super) async fn redeem_login_token(
    c: &mut Connection,
    token: &TokenDigest,
    now: i64,
) -> Result<Settled<Option<OwnedUserId>>, Error> {
    let owner: Option<String> = sqlx::query_scalar(
        "DELETE FROM login_tokens WHERE token = $1 AND expires > $2 RETURNING user_id",
    )
    .bind(token.0.to_vec())
    .bind(now)
    .fetch_optional(c)
    .await?;
    Ok(Settled::Commit(owner.map(user).transpose()?))
}
