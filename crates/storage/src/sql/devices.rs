//! Devices and the tokens that they hold.

use myelin_ambient::Timestamp;
use ruma::{DeviceId, OwnedDeviceId, UserId};

use super::{
    super::{Columns as _, Connection, Query, Row, query},
    accounts, audit,
};
use crate::{
    Device, DeviceLogin, Error, Event, NewTokens, Refreshed, TokenDigest, TokenOwner,
    settled::Settled,
    values::{millis, optional_timestamp, user},
};

/// Devices that one user may have.
pub(in super::super) const LIMIT: i64 = 1000;

/// Binds the eight columns of a device, in the order of the table.
pub(in super::super) fn bind<'q>(
    query: Query<'q>,
    user: &'q UserId,
    login: &'q DeviceLogin,
    now: Timestamp,
    address: Option<&'q str>,
) -> Query<'q> {
    let DeviceLogin { device_id, display_name, tokens } = login;
    let query = query
        .bind(user.as_str())
        .bind(device_id.as_str())
        .bind(display_name.as_deref())
        .bind(millis(now))
        .bind(address);
    bind_tokens(query, tokens)
}

fn bind_tokens<'q>(query: Query<'q>, tokens: &NewTokens) -> Query<'q> {
    let NewTokens { access, access_expires, refresh } = tokens;
    query
        .bind(access.0.to_vec())
        .bind(access_expires.map(millis))
        .bind(refresh.map(|token| token.0.to_vec()))
}

/// Makes the device, or gives it new tokens in the place of its own.
pub(in super::super) async fn put(
    c: &mut Connection,
    user: &UserId,
    login: &DeviceLogin,
    now: Timestamp,
    address: Option<&str>,
) -> Result<(), Error> {
    let upsert = query(
        "INSERT INTO devices (user_id, device_id, display_name, last_seen, last_seen_ip,
            access_token, access_expires, refresh_token)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (user_id, device_id) DO UPDATE SET
            last_seen = excluded.last_seen, last_seen_ip = excluded.last_seen_ip,
            access_token = excluded.access_token, access_expires = excluded.access_expires,
            refresh_token = excluded.refresh_token, previous_refresh_token = NULL",
    );
    bind(upsert, user, login, now, address).execute(c).await?;
    Ok(())
}

/// The columns of the device `d` of an access token.
macro_rules! token {
    () => {
        "d.access_token, d.user_id AS owner, d.device_id, d.access_expires,
            d.previous_refresh_token IS NOT NULL AS replaceable"
    };
}
pub(in super::super) use token;

/// Whom an access token names, and whether the refresh token before it still
/// works.
pub(super) fn owner(row: &Row) -> Result<(TokenOwner, bool), Error> {
    let owner = TokenOwner {
        user: user(row.try_get("owner")?)?,
        device_id: row.try_get::<String, _>("device_id")?.into(),
        expires: optional_timestamp(row.try_get("access_expires")?)?,
    };
    Ok((owner, row.try_get("replaceable")?))
}

/// Ends the refresh token that this access token was issued for, now that it is
/// seen to have arrived; `false` if the access token itself has ended.
pub(super) async fn settle(
    c: &mut Connection,
    token: &TokenDigest,
) -> Result<Settled<bool>, Error> {
    let settled = query("UPDATE devices SET previous_refresh_token = NULL WHERE access_token = $1")
        .bind(token.0.to_vec())
        .execute(c)
        .await?;
    Ok(Settled::from(settled.rows_affected() == 1))
}

/// Gives the device new tokens for its refresh token, or for the one before if
/// nobody has used what was issued for that. The token that was used becomes
/// the one before. Of two that use one token, the second replaces what the
/// first was given.
pub(super) async fn refresh(
    c: &mut Connection,
    refresh: &TokenDigest,
    tokens: &NewTokens,
    now: Timestamp,
) -> Result<Settled<Refreshed>, Error> {
    let update = query(
        "UPDATE devices
         SET last_seen = $2, access_token = $3, access_expires = $4, refresh_token = $5,
            previous_refresh_token = $1
         WHERE refresh_token = $1 OR previous_refresh_token = $1",
    )
    .bind(refresh.0.to_vec())
    .bind(millis(now));
    let updated = bind_tokens(update, tokens).execute(c).await?;
    Ok(match updated.rows_affected() {
        0 => Settled::RollBack(Refreshed::Unknown),
        _ => Settled::Commit(Refreshed::Refreshed),
    })
}

pub(super) async fn list(c: &mut Connection, user: &UserId) -> Result<Vec<Device>, Error> {
    let rows = query(
        "SELECT device_id, display_name, last_seen, last_seen_ip
         FROM devices WHERE user_id = $1 ORDER BY device_id",
    )
    .bind(user.as_str())
    .fetch_all(c)
    .await?;
    rows.iter().map(device).collect()
}

pub(super) async fn lookup(
    c: &mut Connection,
    user: &UserId,
    id: &DeviceId,
) -> Result<Option<Device>, Error> {
    let row = query(
        "SELECT device_id, display_name, last_seen, last_seen_ip
         FROM devices WHERE user_id = $1 AND device_id = $2",
    )
    .bind(user.as_str())
    .bind(id.as_str())
    .fetch_optional(c)
    .await?;
    row.as_ref().map(device).transpose()
}

fn device(row: &Row) -> Result<Device, Error> {
    Ok(Device {
        device_id: row.try_get::<String, _>("device_id")?.into(),
        display_name: row.try_get("display_name")?,
        last_seen: optional_timestamp(row.try_get("last_seen")?)?,
        last_seen_ip: row.try_get("last_seen_ip")?,
    })
}

pub(super) async fn rename(
    c: &mut Connection,
    user: &UserId,
    id: &DeviceId,
    name: Option<&str>,
    event: &Event,
) -> Result<Settled<bool>, Error> {
    let renamed =
        query("UPDATE devices SET display_name = $3 WHERE user_id = $1 AND device_id = $2")
            .bind(user.as_str())
            .bind(id.as_str())
            .bind(name)
            .execute(&mut *c)
            .await?;
    audit::record(c, event).await?;
    Ok(Settled::from(renamed.rows_affected() == 1))
}

pub(super) async fn delete(
    c: &mut Connection,
    user: &UserId,
    devices: &[OwnedDeviceId],
    event: &Event,
) -> Result<Settled<()>, Error> {
    accounts::lock(c, user).await?;
    for id in devices {
        query("DELETE FROM devices WHERE user_id = $1 AND device_id = $2")
            .bind(user.as_str())
            .bind(id.as_str())
            .execute(&mut *c)
            .await?;
    }
    audit::record(c, event).await?;
    Ok(Settled::Commit(()))
}

pub(super) async fn delete_all(
    c: &mut Connection,
    user: &UserId,
    event: &Event,
) -> Result<Settled<()>, Error> {
    accounts::lock(c, user).await?;
    delete_all_but(c, user, None).await?;
    audit::record(c, event).await?;
    Ok(Settled::Commit(()))
}

/// The account's row is the caller's already.
pub(super) async fn delete_all_but(
    c: &mut Connection,
    user: &UserId,
    kept: Option<&DeviceId>,
) -> Result<(), Error> {
    query("DELETE FROM devices WHERE user_id = $1 AND ($2 IS NULL OR device_id <> $2)")
        .bind(user.as_str())
        .bind(kept.map(DeviceId::as_str))
        .execute(c)
        .await?;
    Ok(())
}
