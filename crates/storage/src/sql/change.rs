//! Changes to a user's factors.

use myelin_two_factor::{AuthenticatorId, Name, Throttle};
use ruma::UserId;

use super::{
    super::{Connection, query},
    anchor, app_passwords, audit, enrolment, lookup, sessions,
};
use crate::{
    Change, Epoch, Error, Event, Outcome, passage::Claim, sealed::Sealer, settled::Settled,
};

/// Applies `change` if the user's factors are still those of `read`.
pub(super) async fn change(
    c: &mut Connection,
    sealer: &Sealer,
    read: Claim,
    change: &Change,
    event: &Event,
) -> Result<Settled<Outcome<()>>, Error> {
    let claim = with_counters(read, change);
    let applies =
        anchor::claim(c, &claim).await? && apply(c, sealer, &claim.user, change, event).await?;
    if !applies {
        return Ok(Settled::RollBack(Outcome::Stale));
    }
    if ends_sessions(change) {
        sessions::end_all(c, &claim.user).await?;
    }
    audit::record(c, event).await?;
    Ok(Settled::Commit(Outcome::Committed(())))
}

/// The counters as they are after the change.
fn with_counters(read: Claim, change: &Change) -> Claim {
    match change {
        Change::CountTotpFailure { throttle, .. } | Change::Confirm { throttle, .. } => {
            Claim { totp: throttle.clone(), ..read }
        }
        Change::CountRecoveryFailure { throttle } => Claim { recovery: throttle.clone(), ..read },
        Change::Begin { .. }
        | Change::CountConfirmFailure { .. }
        | Change::Drop { .. }
        | Change::Remove { .. }
        | Change::Regenerate { .. } => read,
    }
}

/// Writes the rows; `false` if the authenticator is not there, or is not what
/// it was.
async fn apply(
    c: &mut Connection,
    sealer: &Sealer,
    user: &UserId,
    change: &Change,
    event: &Event,
) -> Result<bool, Error> {
    match change {
        Change::CountTotpFailure { disable: false, .. } | Change::CountRecoveryFailure { .. } => {}
        Change::CountTotpFailure { disable: true, .. } => enrolment::disable(c, user).await?,
        Change::Begin { id, name, secret } => {
            enrolment::begin(c, sealer, user, (id, name, secret), event.at).await?;
        }
        Change::CountConfirmFailure { id, failures } => {
            return enrolment::count_confirm_failure(c, user, id, *failures).await;
        }
        Change::Drop { id } => return enrolment::drop_pending(c, user, id).await,
        Change::Confirm { id, step, throttle: _, codes } => {
            if let Some(codes) = codes {
                enrolment::replace_codes(c, sealer, user, codes, event.at).await?;
                // With the first factor: before it, the password was enough to
                // make them.
                app_passwords::delete_all(c, user).await?;
            }
            return enrolment::confirm(c, user, id, *step, event.at).await;
        }
        Change::Remove { id } => return enrolment::remove(c, user, id).await,
        Change::Regenerate { codes } => {
            enrolment::replace_codes(c, sealer, user, codes, event.at).await?;
        }
    }
    Ok(true)
}

fn ends_sessions(change: &Change) -> bool {
    match change {
        Change::CountTotpFailure { disable, .. } => *disable,
        Change::Confirm { .. } | Change::Remove { .. } | Change::Regenerate { .. } => true,
        Change::CountRecoveryFailure { .. }
        | Change::Begin { .. }
        | Change::CountConfirmFailure { .. }
        | Change::Drop { .. } => false,
    }
}

pub(super) async fn rename(
    c: &mut Connection,
    user: &UserId,
    id: &AuthenticatorId,
    name: &Name,
    event: &Event,
) -> Result<Settled<bool>, Error> {
    // No decision depends on a name: whoever has but a token must not be able to
    // make them stale, again and again.
    let renamed = query("UPDATE authenticators SET name = $3 WHERE user_id = $1 AND id = $2")
        .bind(user.as_str())
        .bind(id.as_str())
        .bind(name.as_str())
        .execute(&mut *c)
        .await?;
    audit::record(c, event).await?;
    Ok(Settled::from(renamed.rows_affected() == 1))
}

pub(super) async fn reset(
    c: &mut Connection,
    user: &UserId,
    event: &Event,
) -> Result<Settled<bool>, Error> {
    // Raising first takes the anchor: what is read then stays as it is.
    if !anchor::raise(c, user).await? {
        return Ok(Settled::RollBack(false));
    }
    let factors = lookup::factors(c, user).await?;
    let untouched = app_passwords::list(c, user).await?.is_empty()
        && factors.authenticators.is_empty()
        && factors.codes.is_none()
        && factors.totp == Throttle::default()
        && factors.recovery == Throttle::default();
    if untouched {
        return Ok(Settled::RollBack(false));
    }
    anchor::clear(c, user).await?;
    sessions::end_all(c, user).await?;
    audit::record(c, event).await?;
    Ok(Settled::Commit(true))
}

pub(super) async fn end_sessions(
    c: &mut Connection,
    user: &UserId,
    as_of: Option<Epoch>,
) -> Result<Settled<Outcome<()>>, Error> {
    if !anchor::hold_as_of(c, user, as_of).await? {
        return Ok(Settled::RollBack(Outcome::Stale));
    }
    void(c, user).await?;
    Ok(Settled::Commit(Outcome::Committed(())))
}

pub(super) async fn end_all(
    c: &mut Connection,
    user: &UserId,
    event: &Event,
) -> Result<Settled<()>, Error> {
    void(c, user).await?;
    app_passwords::delete_all(c, user).await?;
    audit::record(c, event).await?;
    Ok(Settled::Commit(()))
}

/// Ends whatever was proven, and whatever was begun on it.
pub(super) async fn void(c: &mut Connection, user: &UserId) -> Result<(), Error> {
    sessions::end_all(c, user).await?;
    enrolment::end_pending(c, user).await
}
