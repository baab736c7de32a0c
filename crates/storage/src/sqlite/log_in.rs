//! Logging in on a device.

use myelin_ambient::Timestamp;
use ruma::UserId;

use super::{
    Backend, Connection, query,
    sql::{accounts, anchor, audit, devices},
};
use crate::{DeviceLogin, Epoch, Error, Event, Outcome, settled::Settled};

/// Gives a device its tokens; `false` if the account is gone or closed, stale if
/// the user's epoch is another.
pub(super) async fn log_in(
    db: &Backend,
    user: &UserId,
    login: &DeviceLogin,
    read: Option<Epoch>,
    now: Timestamp,
    event: Event,
) -> Result<Outcome<bool>, Error> {
    let (user, login) = (user.to_owned(), login.clone());
    db.write(move |c| {
        Box::pin(async move {
            if !accounts::lock(c, &user).await? {
                return Ok(Settled::RollBack(Outcome::Committed(false)));
            }
            if let Some(read) = read
                && anchor::epoch(c, &user).await? != read
            {
                return Ok(Settled::RollBack(Outcome::Stale));
            }
            let address = event.origin.address.map(|address| address.to_string());
            devices::put(c, &user, &login, now, address.as_deref()).await?;
            make_room(c, &user, &login).await?;
            audit::record(c, &event).await?;
            Ok(Settled::Commit(Outcome::Committed(true)))
        })
    })
    .await
}

/// Deletes the devices seen longest ago beyond the limit, never this one.
async fn make_room(c: &mut Connection, user: &UserId, login: &DeviceLogin) -> Result<(), Error> {
    query(
        "DELETE FROM devices WHERE user_id = $1 AND device_id IN (
            SELECT device_id FROM devices WHERE user_id = $1 AND device_id <> $2
            ORDER BY last_seen DESC, device_id LIMIT -1 OFFSET $3)",
    )
    .bind(user.as_str())
    .bind(login.device_id.as_str())
    .bind(devices::LIMIT - 1)
    .execute(c)
    .await?;
    Ok(())
}
