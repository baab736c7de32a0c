//! Sealing anew what older keys sealed.
//!
//! Rows are locked before they are read, so no version is needed: only the
//! sealed bytes change, and a code that is spent at the same time waits for
//! the row and finds its own columns as they were.

use myelin_two_factor::AuthenticatorId;

use super::super::{Columns as _, Connection, Row, plan_by_values, query};
use crate::{
    Error, Key, SealedSecret,
    sealed::{Bound, Sealer},
    settled::Settled,
    values::{unsigned, user},
};

/// Seals up to `limit` values with the current key; says how many are left.
pub(super) async fn reseal(
    c: &mut Connection,
    sealer: &Sealer,
    limit: u32,
) -> Result<Settled<u64>, Error> {
    let keyring = sealer.reload()?;
    let current = keyring.current();
    let limit = i64::from(limit);
    plan_by_values(c).await?;
    let done = authenticators(c, sealer, current, limit).await?;
    codes(c, sealer, current, limit - done).await?;
    Ok(Settled::Commit(left(c, &current.id()).await?))
}

async fn authenticators(
    c: &mut Connection,
    sealer: &Sealer,
    current: &Key,
    limit: i64,
) -> Result<i64, Error> {
    let rows = query(skip_locked!(
        "SELECT user_id, id, key_id, secret AS sealed FROM authenticators
         WHERE key_id < $1 OR key_id > $1 LIMIT $2"
    ))
    .bind(current.id())
    .bind(limit)
    .fetch_all(&mut *c)
    .await?;
    for row in &rows {
        let owner = user(row.try_get("user_id")?)?;
        let id = AuthenticatorId::parse(row.try_get("id")?)
            .ok_or(Error::Corrupt { what: "authenticator" })?;
        let (old, new) = anew(row, sealer, current, Bound::Totp(&owner, &id))?;
        query(
            "UPDATE authenticators SET key_id = $3, secret = $4
             WHERE id = $1 AND key_id = $2 AND secret = $5",
        )
        .bind(id.as_str())
        .bind(old.key_id)
        .bind(new.key_id)
        .bind(new.bytes)
        .bind(old.bytes)
        .execute(&mut *c)
        .await?;
    }
    Ok(i64::try_from(rows.len()).unwrap_or(limit))
}

async fn codes(
    c: &mut Connection,
    sealer: &Sealer,
    current: &Key,
    limit: i64,
) -> Result<(), Error> {
    let rows = query(skip_locked!(
        "SELECT user_id, number, key_id, hash AS sealed FROM recovery_codes
         WHERE key_id < $1 OR key_id > $1 LIMIT $2"
    ))
    .bind(current.id())
    .bind(limit)
    .fetch_all(&mut *c)
    .await?;
    for row in &rows {
        let owner = user(row.try_get("user_id")?)?;
        let number: i64 = row.try_get("number")?;
        let bound = Bound::Recovery(&owner, unsigned(number, "number")?);
        let (old, new) = anew(row, sealer, current, bound)?;
        query(
            "UPDATE recovery_codes SET key_id = $4, hash = $5
             WHERE user_id = $1 AND number = $2 AND key_id = $3 AND hash = $6",
        )
        .bind(owner.as_str())
        .bind(number)
        .bind(old.key_id)
        .bind(new.key_id)
        .bind(new.bytes)
        .bind(old.bytes)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

/// A row's value as it is sealed, and sealed with the current key.
fn anew(
    row: &Row,
    sealer: &Sealer,
    current: &Key,
    bound: Bound<'_>,
) -> Result<(SealedSecret, SealedSecret), Error> {
    let old = SealedSecret { key_id: row.try_get("key_id")?, bytes: row.try_get("sealed")? };
    let plain = sealer.unseal(bound, &old)?;
    Ok((old, sealer.seal(current, bound, &plain)))
}

async fn left(c: &mut Connection, current: &str) -> Result<u64, Error> {
    let row = query(
        "SELECT (SELECT COUNT(*) FROM authenticators WHERE key_id < $1 OR key_id > $1)
            + (SELECT COUNT(*) FROM recovery_codes WHERE key_id < $1 OR key_id > $1) AS rows_left",
    )
    .bind(current)
    .fetch_one(c)
    .await?;
    unsigned(row.try_get("rows_left")?, "count")
}
