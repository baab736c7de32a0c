//! Accounts.

use myelin_ambient::Timestamp;
use ruma::UserId;

use super::{
    super::{Columns as _, Connection, Row, query},
    anchor, app_passwords, audit, change, devices, sessions,
};
use crate::{
    Account, Created, Epoch, Error, Event, LogoutDevices, NewAccount, Outcome,
    settled::Settled,
    values::{millis, timestamp, user},
};

pub(super) async fn create(
    c: &mut Connection,
    account: &NewAccount,
    now: Timestamp,
    event: &Event,
) -> Result<Settled<Created>, Error> {
    let NewAccount { user, password_hash, login } = account;
    let inserted = query(
        "INSERT INTO accounts (user_id, password_hash, created) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO NOTHING",
    )
    .bind(user.as_str())
    .bind(password_hash)
    .bind(millis(now))
    .execute(&mut *c)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Settled::RollBack(Created::Taken));
    }
    // From here on there is an epoch to compare.
    anchor::begin_epoch(c, user).await?;
    if let Some(login) = login {
        let address = event.origin.address.map(|address| address.to_string());
        devices::put(c, user, login, now, address.as_deref()).await?;
    }
    audit::record(c, event).await?;
    Ok(Settled::Commit(Created::Created))
}

pub(super) async fn lookup(c: &mut Connection, user: &UserId) -> Result<Option<Account>, Error> {
    let row = query(
        "SELECT user_id, password_hash, created, deactivated FROM accounts WHERE user_id = $1",
    )
    .bind(user.as_str())
    .fetch_optional(c)
    .await?;
    row.as_ref().map(account).transpose()
}

fn account(row: &Row) -> Result<Account, Error> {
    Ok(Account {
        user: user(row.try_get("user_id")?)?,
        password_hash: row.try_get("password_hash")?,
        created: timestamp(row.try_get("created")?)?,
        deactivated: row.try_get("deactivated")?,
    })
}

/// Takes the account's row, so that verbs on one account's devices come one
/// after the other. `false` if it is gone or closed.
pub(in super::super) async fn lock(c: &mut Connection, user: &UserId) -> Result<bool, Error> {
    let open =
        query(for_update!("SELECT user_id FROM accounts WHERE user_id = $1 AND NOT deactivated"))
            .bind(user.as_str())
            .fetch_optional(c)
            .await?;
    Ok(open.is_some())
}

pub(super) async fn set_password(
    c: &mut Connection,
    user: &UserId,
    hash: &str,
    logout: &LogoutDevices,
    as_of: Option<Epoch>,
    event: &Event,
) -> Result<Settled<Outcome<()>>, Error> {
    let updated =
        query("UPDATE accounts SET password_hash = $2 WHERE user_id = $1 AND NOT deactivated")
            .bind(user.as_str())
            .bind(hash)
            .execute(&mut *c)
            .await?;
    if updated.rows_affected() == 0 {
        return Ok(Settled::RollBack(Outcome::Committed(())));
    }
    if !anchor::hold_as_of(c, user, as_of).await? {
        return Ok(Settled::RollBack(Outcome::Stale));
    }
    // A decision that is being made on the old password is stale.
    change::void(c, user).await?;
    app_passwords::delete_all(c, user).await?;
    if let LogoutDevices::AllBut(kept) = logout {
        devices::delete_all_but(c, user, Some(kept)).await?;
    }
    audit::record(c, event).await?;
    Ok(Settled::Commit(Outcome::Committed(())))
}

pub(super) async fn deactivate(
    c: &mut Connection,
    user: &UserId,
    as_of: Option<Epoch>,
    event: &Event,
) -> Result<Settled<Outcome<()>>, Error> {
    let closed = query(
        "UPDATE accounts SET password_hash = NULL, deactivated = TRUE
         WHERE user_id = $1 AND NOT deactivated",
    )
    .bind(user.as_str())
    .execute(&mut *c)
    .await?;
    if closed.rows_affected() == 0 {
        return Ok(Settled::RollBack(Outcome::Committed(())));
    }
    if !anchor::hold_as_of(c, user, as_of).await? {
        return Ok(Settled::RollBack(Outcome::Stale));
    }
    sessions::end_all(c, user).await?;
    anchor::clear(c, user).await?;
    devices::delete_all_but(c, user, None).await?;
    query("DELETE FROM cross_signing WHERE user_id = $1")
        .bind(user.as_str())
        .execute(&mut *c)
        .await?;
    audit::record(c, event).await?;
    Ok(Settled::Commit(Outcome::Committed(())))
}

pub(super) async fn cross_signing(
    c: &mut Connection,
    user: &UserId,
) -> Result<Option<String>, Error> {
    let row = query("SELECT keys FROM cross_signing WHERE user_id = $1")
        .bind(user.as_str())
        .fetch_optional(c)
        .await?;
    Ok(row.map(|row| row.try_get("keys")).transpose()?)
}

pub(super) async fn set_cross_signing(
    c: &mut Connection,
    user: &UserId,
    keys: &str,
    first_only: bool,
    event: &Event,
) -> Result<Settled<bool>, Error> {
    if !lock(c, user).await? {
        return Ok(Settled::RollBack(false));
    }
    let statement = if first_only {
        "INSERT INTO cross_signing (user_id, keys) VALUES ($1, $2)
         ON CONFLICT (user_id) DO NOTHING"
    } else {
        "INSERT INTO cross_signing (user_id, keys) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET keys = excluded.keys"
    };
    let kept = query(statement).bind(user.as_str()).bind(keys).execute(&mut *c).await?;
    audit::record(c, event).await?;
    Ok(Settled::from(kept.rows_affected() == 1))
}
