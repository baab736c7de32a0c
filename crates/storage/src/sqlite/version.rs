//! Comparing a user's version. The one writer has locked everything: it stays
//! until the end of the transaction.

use ruma::UserId;

use super::{Columns as _, Connection, query};
use crate::{Error, Version};

/// Whether the user's factors and password are still those of `version`. A user
/// without a row is at version zero.
pub(super) async fn is_at(
    c: &mut Connection,
    user: &UserId,
    version: Version,
) -> Result<bool, Error> {
    let row = query("SELECT version FROM factors WHERE user_id = $1")
        .bind(user.as_str())
        .fetch_optional(c)
        .await?;
    let now = row.map_or(Ok(0), |row| row.try_get("version"))?;
    Ok(version == Version(now))
}
