//! Rows of authenticators and of recovery codes. The user's anchor is the
//! caller's already; the user is in every `WHERE`.

use myelin_ambient::Timestamp;
use myelin_two_factor::{AuthenticatorId, Name, Step, TotpSecret};
use ruma::UserId;

use super::{
    super::{Connection, query},
    anchor,
};
use crate::{
    Error, NewRecoveryCodes, SealedSecret,
    sealed::{Bound, Sealer},
    values::{millis, signed},
};

/// Ends the set-up that the user may have begun. The user's anchor is the
/// caller's already.
pub(super) async fn end_pending(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    query("DELETE FROM authenticators WHERE user_id = $1 AND status = 'pending'")
        .bind(user.as_str())
        .execute(c)
        .await?;
    Ok(())
}

/// Inserts a pending authenticator in the place of the user's pending one.
pub(super) async fn begin(
    c: &mut Connection,
    sealer: &Sealer,
    user: &UserId,
    (id, name, secret): (&AuthenticatorId, &Name, &TotpSecret),
    at: Timestamp,
) -> Result<(), Error> {
    end_pending(c, user).await?;
    let keyring = sealer.reload()?;
    let SealedSecret { key_id, bytes } =
        sealer.seal(keyring.current(), Bound::Totp(user, id), secret.expose());
    query(
        "INSERT INTO authenticators (id, user_id, name, status, created, key_id, secret)
         VALUES ($1, $2, $3, 'pending', $4, $5, $6)",
    )
    .bind(id.as_str())
    .bind(user.as_str())
    .bind(name.as_str())
    .bind(millis(at))
    .bind(key_id)
    .bind(bytes)
    .execute(c)
    .await?;
    Ok(())
}

pub(super) async fn count_confirm_failure(
    c: &mut Connection,
    user: &UserId,
    id: &AuthenticatorId,
    failures: u8,
) -> Result<bool, Error> {
    let updated = query(
        "UPDATE authenticators SET confirm_failures = $3
         WHERE user_id = $1 AND id = $2 AND status = 'pending'",
    )
    .bind(user.as_str())
    .bind(id.as_str())
    .bind(i64::from(failures))
    .execute(c)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Makes a pending authenticator active; the code of `step` is spent.
pub(super) async fn confirm(
    c: &mut Connection,
    user: &UserId,
    id: &AuthenticatorId,
    Step(step): Step,
    at: Timestamp,
) -> Result<bool, Error> {
    let confirmed = query(
        "UPDATE authenticators
         SET status = 'active', confirm_failures = 0, last_step = $3, last_used = $4
         WHERE user_id = $1 AND id = $2 AND status = 'pending'",
    )
    .bind(user.as_str())
    .bind(id.as_str())
    .bind(signed(step))
    .bind(millis(at))
    .execute(c)
    .await?;
    Ok(confirmed.rows_affected() == 1)
}

pub(super) async fn drop_pending(
    c: &mut Connection,
    user: &UserId,
    id: &AuthenticatorId,
) -> Result<bool, Error> {
    let dropped =
        query("DELETE FROM authenticators WHERE user_id = $1 AND id = $2 AND status = 'pending'")
            .bind(user.as_str())
            .bind(id.as_str())
            .execute(c)
            .await?;
    Ok(dropped.rows_affected() == 1)
}

/// Removes an authenticator; with the last one that protects the account, the
/// recovery codes go too.
pub(super) async fn remove(
    c: &mut Connection,
    user: &UserId,
    id: &AuthenticatorId,
) -> Result<bool, Error> {
    let removed = query("DELETE FROM authenticators WHERE user_id = $1 AND id = $2")
        .bind(user.as_str())
        .bind(id.as_str())
        .execute(&mut *c)
        .await?;
    let left =
        query("SELECT 1 FROM authenticators WHERE user_id = $1 AND status <> 'pending' LIMIT 1")
            .bind(user.as_str())
            .fetch_optional(&mut *c)
            .await?;
    if left.is_none() {
        delete_codes(c, user).await?;
        anchor::set_recovery(c, user, None).await?;
    }
    Ok(removed.rows_affected() == 1)
}

/// Takes the user's active authenticators out of use.
pub(super) async fn disable(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    query("UPDATE authenticators SET status = 'disabled' WHERE user_id = $1 AND status = 'active'")
        .bind(user.as_str())
        .execute(c)
        .await?;
    Ok(())
}

/// Puts a new set of codes in the place of the old.
pub(super) async fn replace_codes(
    c: &mut Connection,
    sealer: &Sealer,
    user: &UserId,
    codes: &NewRecoveryCodes,
    at: Timestamp,
) -> Result<(), Error> {
    delete_codes(c, user).await?;
    anchor::set_recovery(c, user, Some((&codes.salt, at, codes.hashes.len()))).await?;
    let keyring = sealer.reload()?;
    for (number, hash) in (0_u32..).zip(&codes.hashes) {
        let bound = Bound::Recovery(user, number);
        let SealedSecret { key_id, bytes } = sealer.seal(keyring.current(), bound, hash.expose());
        query("INSERT INTO recovery_codes (user_id, number, key_id, hash) VALUES ($1, $2, $3, $4)")
            .bind(user.as_str())
            .bind(i64::from(number))
            .bind(key_id)
            .bind(bytes)
            .execute(&mut *c)
            .await?;
    }
    Ok(())
}

async fn delete_codes(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    query("DELETE FROM recovery_codes WHERE user_id = $1").bind(user.as_str()).execute(c).await?;
    Ok(())
}
