//! Logging in on a device, in one statement.

use myelin_ambient::Timestamp;
use ruma::UserId;

use super::{
    Backend, Columns as _, query,
    sql::{audit, devices},
};
use crate::{DeviceLogin, Epoch, Error, Event, Outcome};

/// The account is taken first: nobody closes it in between, and two logins
/// come one after the other. The device's tokens are columns of its row, so
/// the upsert ends the old ones even where another login wrote them after this
/// statement began. That other device may not be seen by `trimmed`; the next
/// login sees it.
///
/// Then the user's anchor row is shared, and `anchor` shows it as it is by
/// then: a new password that was committed while this waited is seen. Every
/// account has had this row since it was made, so there is none that appears
/// meanwhile.
const STATEMENT: &str = "
    WITH account AS (
        SELECT user_id FROM accounts WHERE user_id = $1 AND NOT deactivated FOR NO KEY UPDATE
    ), anchor AS (
        SELECT epoch FROM factors
        WHERE user_id = $1 AND $17 IS NOT NULL AND EXISTS (SELECT 1 FROM account) FOR SHARE
    ), held AS (
        SELECT user_id FROM account
        WHERE $17 IS NULL OR COALESCE((SELECT epoch FROM anchor), 0) = $17
    ), device AS (
        INSERT INTO devices (user_id, device_id, display_name, last_seen, last_seen_ip,
            access_token, access_expires, refresh_token)
        SELECT user_id, $2, $3, $4, $5, $6, $7, $8 FROM held
        ON CONFLICT (user_id, device_id) DO UPDATE SET
            last_seen = excluded.last_seen, last_seen_ip = excluded.last_seen_ip,
            access_token = excluded.access_token, access_expires = excluded.access_expires,
            refresh_token = excluded.refresh_token, previous_refresh_token = NULL
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
    SELECT (SELECT COUNT(*) FROM account), (SELECT COUNT(*) FROM device)";

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
    db.statement(move |c| {
        Box::pin(async move {
            let address = event.origin.address.map(|address| address.to_string());
            let query = query(STATEMENT);
            let query = devices::bind(query, &user, &login, now, address.as_deref())
                .bind(devices::LIMIT - 1);
            let query = audit::bind(query, Some(&event)).bind(read.map(|epoch| epoch.0));
            let row = query.fetch_one(c).await?;
            Ok(match (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?) {
                (0, _) => Outcome::Committed(false),
                (_, 0) => Outcome::Stale,
                _ => Outcome::Committed(true),
            })
        })
    })
    .await
}
