//! App passwords.

use myelin_two_factor::{AppPasswordId, Name};
use ruma::UserId;

use super::{
    super::{Columns as _, Connection, Row, query},
    anchor, audit,
};
use crate::{
    Epoch, Error, Event, ListedAppPassword, NewAppPassword, Outcome, TokenDigest,
    app_passwords::APP_PASSWORDS,
    settled::Settled,
    values::{millis, optional_timestamp, timestamp},
};

pub(super) async fn create(
    c: &mut Connection,
    user: &UserId,
    password: &NewAppPassword,
    epoch: Epoch,
    event: &Event,
) -> Result<Settled<Outcome<bool>>, Error> {
    // Whoever holds the anchor counts alone.
    if !anchor::hold(c, user, epoch).await? {
        return Ok(Settled::RollBack(Outcome::Stale));
    }
    let NewAppPassword { id, name, digest } = password;
    let created = query(
        "INSERT INTO app_passwords (id, user_id, name, digest, created)
         SELECT $1, $2, $3, $4, $5
         WHERE (SELECT COUNT(*) FROM app_passwords WHERE user_id = $2) < $6",
    )
    .bind(id.as_str())
    .bind(user.as_str())
    .bind(name.as_str())
    .bind(digest.0.to_vec())
    .bind(millis(event.at))
    .bind(i64::from(APP_PASSWORDS))
    .execute(&mut *c)
    .await?;
    if created.rows_affected() == 0 {
        return Ok(Settled::RollBack(Outcome::Committed(false)));
    }
    audit::record(c, event).await?;
    Ok(Settled::Commit(Outcome::Committed(true)))
}

pub(super) async fn list(
    c: &mut Connection,
    user: &UserId,
) -> Result<Vec<ListedAppPassword>, Error> {
    let rows = query(
        "SELECT id, name, created, last_used FROM app_passwords
         WHERE user_id = $1 ORDER BY created, id",
    )
    .bind(user.as_str())
    .fetch_all(c)
    .await?;
    rows.iter().map(listed).collect()
}

fn listed(row: &Row) -> Result<ListedAppPassword, Error> {
    Ok(ListedAppPassword {
        id: AppPasswordId::parse(row.try_get("id")?)
            .ok_or(Error::Corrupt { what: "app password" })?,
        name: Name::parse(Some(row.try_get("name")?))
            .map_err(|_| Error::Corrupt { what: "name" })?,
        created: timestamp(row.try_get("created")?)?,
        last_used: optional_timestamp(row.try_get("last_used")?)?,
    })
}

pub(super) async fn redeem(
    c: &mut Connection,
    user: &UserId,
    digest: &TokenDigest,
    event: Event,
) -> Result<Settled<Option<Epoch>>, Error> {
    let redeemed = query(
        "UPDATE app_passwords SET last_used = $3 WHERE digest = $2 AND user_id = $1
         RETURNING id",
    )
    .bind(user.as_str())
    .bind(digest.0.to_vec())
    .bind(millis(event.at))
    .fetch_optional(&mut *c)
    .await?;
    let Some(redeemed) = redeemed else { return Ok(Settled::RollBack(None)) };
    // Whoever ends it begins an epoch with it, and the row is ours until the end:
    // the epoch is the one before, or the row was not found.
    let epoch = anchor::epoch(c, user).await?;
    audit::record(c, &Event { detail: Some(redeemed.try_get("id")?), ..event }).await?;
    Ok(Settled::Commit(Some(epoch)))
}

pub(super) async fn revoke(
    c: &mut Connection,
    user: &UserId,
    id: &AppPasswordId,
    event: &Event,
) -> Result<Settled<bool>, Error> {
    anchor::begin_epoch(c, user).await?;
    let revoked = query("DELETE FROM app_passwords WHERE user_id = $1 AND id = $2")
        .bind(user.as_str())
        .bind(id.as_str())
        .execute(&mut *c)
        .await?;
    if revoked.rows_affected() == 0 {
        return Ok(Settled::RollBack(false));
    }
    audit::record(c, event).await?;
    Ok(Settled::Commit(true))
}

/// Ends all of the user's. The user's anchor is the caller's already.
pub(super) async fn delete_all(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    query("DELETE FROM app_passwords WHERE user_id = $1").bind(user.as_str()).execute(c).await?;
    Ok(())
}
