//! The anchor row of a user's factors: whoever changes any of them takes it
//! first and raises its version.

use myelin_two_factor::{RecoverySalt, Throttle};
use ruma::{OwnedUserId, UserId};

use super::super::{Columns as _, Connection, Query, query};
use crate::{
    Epoch, Error, Version,
    passage::Claim,
    values::{millis, signed, user},
};

/// The users who have an anchor, in the order of their IDs.
pub(super) async fn users(
    c: &mut Connection,
    search: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<OwnedUserId>, Error> {
    // Both databases know `replace`; it changes a text that holds what is
    // searched for.
    let rows = query(
        "SELECT user_id FROM factors
         WHERE user_id > $1 AND ($2 = '' OR replace(user_id, $2, '') <> user_id)
         ORDER BY user_id LIMIT $3",
    )
    .bind(after)
    .bind(search)
    .bind(i64::from(limit))
    .fetch_all(c)
    .await?;
    rows.iter().map(|row| user(row.try_get("user_id")?)).collect()
}

/// The epoch as it is now. A user without a row is in epoch zero.
pub(in super::super) async fn epoch(c: &mut Connection, user: &UserId) -> Result<Epoch, Error> {
    let row = query("SELECT epoch FROM factors WHERE user_id = $1")
        .bind(user.as_str())
        .fetch_optional(c)
        .await?;
    Ok(Epoch(row.map_or(Ok(0), |row| row.try_get("epoch"))?))
}

/// Raises the version and writes the counters, if the version is still the
/// one that the decision was made on.
pub(in super::super) async fn claim(c: &mut Connection, claim: &Claim) -> Result<bool, Error> {
    // A user without a row is at version zero, and so is one whose row was only
    // held. Of two that raise it, one does.
    let statement = if claim.version == Version(0) {
        "INSERT INTO factors (version, user_id,
            totp_in_a_row, totp_window_started, totp_window_failures, totp_wait_until,
            recovery_in_a_row, recovery_window_started, recovery_window_failures,
            recovery_wait_until)
         VALUES ($1 + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (user_id) DO UPDATE SET version = excluded.version,
            totp_in_a_row = excluded.totp_in_a_row,
            totp_window_started = excluded.totp_window_started,
            totp_window_failures = excluded.totp_window_failures,
            totp_wait_until = excluded.totp_wait_until,
            recovery_in_a_row = excluded.recovery_in_a_row,
            recovery_window_started = excluded.recovery_window_started,
            recovery_window_failures = excluded.recovery_window_failures,
            recovery_wait_until = excluded.recovery_wait_until
         WHERE factors.version = $1"
    } else {
        "UPDATE factors SET version = version + 1,
            totp_in_a_row = $3, totp_window_started = $4,
            totp_window_failures = $5, totp_wait_until = $6,
            recovery_in_a_row = $7, recovery_window_started = $8,
            recovery_window_failures = $9, recovery_wait_until = $10
         WHERE version = $1 AND user_id = $2"
    };
    let query = query(statement).bind(claim.version.0).bind(claim.user.as_str());
    Ok(bind_counters(query, claim).execute(c).await?.rows_affected() == 1)
}

/// Binds the eight columns of both throttles.
pub(in super::super) fn bind_counters<'q>(query: Query<'q>, claim: &Claim) -> Query<'q> {
    bind_throttle(bind_throttle(query, &claim.totp), &claim.recovery)
}

fn bind_throttle<'q>(query: Query<'q>, throttle: &Throttle) -> Query<'q> {
    let Throttle { in_a_row, window_started, window_failures, wait_until } = throttle;
    query
        .bind(i64::from(*in_a_row))
        .bind(window_started.map(millis))
        .bind(i64::from(*window_failures))
        .bind(wait_until.map(millis))
}

/// Begins an epoch, whatever it is; a user without a row gets one. Whoever
/// decided something about the user before, on whatever it was, must decide
/// again.
pub(super) async fn begin_epoch(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    query(
        "INSERT INTO factors (user_id, version, epoch) VALUES ($1, 1, 1)
         ON CONFLICT (user_id) DO UPDATE
         SET version = factors.version + 1, epoch = factors.epoch + 1",
    )
    .bind(user.as_str())
    .execute(c)
    .await?;
    Ok(())
}

/// Takes the anchor until the end of the transaction, if its epoch is still the
/// one that was decided in. A user without a row gets one.
pub(super) async fn hold(c: &mut Connection, user: &UserId, epoch: Epoch) -> Result<bool, Error> {
    // A row that is there is locked by writing it; one that is not would not be.
    let statement = if epoch == Epoch(0) {
        "INSERT INTO factors (user_id, version, epoch) VALUES ($1, 0, $2)
         ON CONFLICT (user_id) DO UPDATE SET epoch = factors.epoch
         WHERE factors.epoch = excluded.epoch"
    } else {
        "UPDATE factors SET epoch = epoch WHERE user_id = $1 AND epoch = $2"
    };
    let held = query(statement).bind(user.as_str()).bind(epoch.0).execute(c).await?;
    Ok(held.rows_affected() == 1)
}

/// The same, where there is an epoch to compare.
pub(super) async fn hold_as_of(
    c: &mut Connection,
    user: &UserId,
    as_of: Option<Epoch>,
) -> Result<bool, Error> {
    match as_of {
        Some(epoch) => hold(c, user, epoch).await,
        None => Ok(true),
    }
}

/// Raises the version of a user who has a row; `false` if there is none, and
/// so nothing to change.
pub(super) async fn raise(c: &mut Connection, user: &UserId) -> Result<bool, Error> {
    let raised = query("UPDATE factors SET version = version + 1 WHERE user_id = $1")
        .bind(user.as_str())
        .execute(c)
        .await?;
    Ok(raised.rows_affected() == 1)
}

/// Writes what the codes of a set have in common, or that there is no set.
/// The anchor is the caller's already.
pub(super) async fn set_recovery(
    c: &mut Connection,
    user: &UserId,
    set: Option<(&RecoverySalt, myelin_ambient::Timestamp, usize)>,
) -> Result<(), Error> {
    query(
        "UPDATE factors
         SET recovery_salt = $2, recovery_generated = $3, recovery_total = $4
         WHERE user_id = $1",
    )
    .bind(user.as_str())
    .bind(set.map(|(salt, _, _)| salt.as_bytes().to_vec()))
    .bind(set.map(|(_, generated, _)| millis(generated)))
    .bind(set.map(|(_, _, total)| signed(total as u64)))
    .execute(c)
    .await?;
    Ok(())
}

/// Takes every factor, code, counter and app password of the user. The row stays, and its
/// version does not begin again. The caller has raised it already.
pub(super) async fn clear(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    for statement in [
        "UPDATE factors SET
            totp_in_a_row = 0, totp_window_started = NULL,
            totp_window_failures = 0, totp_wait_until = NULL,
            recovery_in_a_row = 0, recovery_window_started = NULL,
            recovery_window_failures = 0, recovery_wait_until = NULL,
            recovery_salt = NULL, recovery_generated = NULL, recovery_total = NULL
         WHERE user_id = $1",
        "DELETE FROM authenticators WHERE user_id = $1",
        "DELETE FROM recovery_codes WHERE user_id = $1",
        "DELETE FROM app_passwords WHERE user_id = $1",
    ] {
        query(statement).bind(user.as_str()).execute(&mut *c).await?;
    }
    Ok(())
}
