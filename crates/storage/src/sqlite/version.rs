//! Comparing a user's version. The one writer has locked everything: it stays
//! until the end of the transaction.

use ruma::UserId;

use super::Connection;
use crate::{Error, Version};

/// Whether the user's factors and password are still those of `version`. A user
/// without a row is at version zero.
pub(super) async fn is_at(
    c: &mut Connection,
    user: &UserId,
    version: Version,
) -> Result<bool, Error> {
    let now: Option<i64> = sqlx::query_scalar("SELECT version FROM factors WHERE user_id = $1")
        .bind(user.as_str())
        .fetch_optional(c)
        .await?;
    Ok(now.unwrap_or(0) == version.0)
}
