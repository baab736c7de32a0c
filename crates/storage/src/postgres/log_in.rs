//! Logging in on a device, in one statement.

use myelin_ambient::Timestamp;
use ruma::UserId;

use super::{
    Backend,
    sql::{audit, devices},
};
use crate::{DeviceLogin, Error, Event};

/// The account is taken first: nobody closes it in between, and two logins
/// come one after the other. The device's tokens are columns of its row, so
/// the upsert ends the old ones even where another login wrote them after this
/// statement began. That other device may not be seen by `trimmed`; the next
/// login sees it.
const STATEMENT: &str = "
    WITH account AS (
        SELECT user_id FROM accounts WHERE user_id = $1 AND NOT deactivated FOR NO KEY UPDATE
    ), device AS (
        INSERT INTO devices (user_id, device_id, display_name, last_seen, last_seen_ip,
            access_token, access_expires, refresh_token)
        SELECT user_id, $2, $3, $4, $5, $6, $7, $8 FROM account
        ON CONFLICT (user_id, device_id) DO UPDATE SET
            last_seen = excluded.last_seen, last_seen_ip = excluded.last_seen_ip,
            access_token = excluded.access_token, access_expires = excluded.access_expires,
            refresh_token = excluded.refresh_token
        RETURNING user_id
    ), trimmed AS (
        DELETE FROM devices WHERE EXISTS (SELECT 1 FROM device)
            AND user_id = $1 AND device_id IN (
                SELECT device_id FROM devices WHERE user_id = $1 AND device_id <> $2
                ORDER BY last_seen DESC, device_id OFFSET $9)
    ), logged AS (
        INSERT INTO audit (at, user_id, action, actor, address, request_id, detail)
        SELECT $10, $11, $12, $13, $14, $15, $16 FROM device
    )
    SELECT COUNT(*) FROM device";

/// Gives a device its tokens; `false` if the account is gone or closed.
pub(super) async fn log_in(
    db: &Backend,
    user: &UserId,
    login: &DeviceLogin,
    now: Timestamp,
    event: Event,
) -> Result<bool, Error> {
    let (user, login) = (user.to_owned(), login.clone());
    db.statement(move |c| {
        Box::pin(async move {
            let address = event.origin.address.map(|address| address.to_string());
            let query = sqlx::query(STATEMENT);
            let query = devices::bind(query, &user, &login, now, address.as_deref())
                .bind(devices::LIMIT - 1);
            let row = audit::bind(query, Some(&event)).fetch_one(c).await?;
            Ok(sqlx::Row::try_get::<i64, _>(&row, 0)? == 1)
        })
    })
    .await
}
