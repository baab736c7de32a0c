//! Reading a session and a user's factors, in one statement: one round trip,
//! and one moment.

use myelin_two_factor::{AuthenticatorId, Name, RecoverySalt, Status, Step, Throttle};
use myelin_uia::{Bound, Session, SessionId};
use ruma::{OwnedUserId, UserId};
use sqlx::Row as _;

use super::super::{Connection, Row};
use crate::{
    Enrolled, Error, Factors, RecoveryCodes, SealedSecret, Version,
    values::{array, optional_timestamp, split_stages, timestamp, unsigned, user},
};

/// The rows of a user's factors, and of whatever `whose` says about the user.
/// One row of the kind `whose`, and one for each authenticator and each code.
macro_rules! factors {
    ($whose:literal) => {
        concat!(
            "WITH whose AS (",
            $whose,
            ")
            SELECT 'whose' AS kind, w.user_id, w.binding, w.completed, w.expires, w.memo,
                f.version, f.totp_in_a_row, f.totp_window_started, f.totp_window_failures,
                f.totp_wait_until, f.recovery_in_a_row, f.recovery_window_started,
                f.recovery_window_failures, f.recovery_wait_until, f.recovery_salt,
                f.recovery_generated, f.recovery_total,
                NULL AS id, NULL AS name, NULL AS status,
                CAST(NULL AS BIGINT) AS created, CAST(NULL AS BIGINT) AS last_used,
                CAST(NULL AS BIGINT) AS last_step, CAST(NULL AS BIGINT) AS confirm_failures,
                CAST(NULL AS BIGINT) AS number, NULL AS key_id, CAST(NULL AS BYTEA) AS sealed
            FROM whose w LEFT JOIN factors f ON f.user_id = w.user_id
            UNION ALL
            SELECT 'authenticator', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                a.id, a.name, a.status, a.created, a.last_used, a.last_step,
                a.confirm_failures, NULL, a.key_id, a.secret
            FROM whose w JOIN authenticators a ON a.user_id = w.user_id
            UNION ALL
            SELECT 'code', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, NULL, NULL, NULL, c.used, NULL, NULL, c.number, c.key_id, c.hash
            FROM whose w JOIN recovery_codes c ON c.user_id = w.user_id"
        )
    };
}

pub(super) async fn session(
    c: &mut Connection,
    id: &SessionId,
    now: i64,
) -> Result<Option<(Session, Option<Factors>)>, Error> {
    let rows = sqlx::query(factors!(
        "SELECT user_id, binding, completed, expires, memo
         FROM uia_sessions WHERE id = $1 AND expires > $2"
    ))
    .bind(id.digest().to_vec())
    .bind(now)
    .fetch_all(c)
    .await?;
    let Some(whose) = only(&rows, "whose").next() else {
        return Ok(None);
    };
    let session = parse_session(whose, id)?;
    let factors = session.user.clone().map(|user| parse_factors(user, whose, &rows)).transpose()?;
    Ok(Some((session, factors)))
}

pub(super) async fn factors(c: &mut Connection, user: &UserId) -> Result<Factors, Error> {
    let rows = sqlx::query(factors!(
        "SELECT CAST($1 AS TEXT) AS user_id, CAST(NULL AS BYTEA) AS binding,
            NULL AS completed, CAST(NULL AS BIGINT) AS expires, NULL AS memo"
    ))
    .bind(user.as_str())
    .fetch_all(c)
    .await?;
    let whose = only(&rows, "whose").next().ok_or(Error::Corrupt { what: "answer" })?;
    parse_factors(user.to_owned(), whose, &rows)
}

fn only<'a>(rows: &'a [Row], kind: &'a str) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(move |row| row.try_get::<&str, _>("kind").is_ok_and(|is| is == kind))
}

fn parse_session(row: &Row, id: &SessionId) -> Result<Session, Error> {
    let name: String = row.try_get("user_id")?;
    Ok(Session {
        id: id.clone(),
        user: (!name.is_empty()).then(|| user(name)).transpose()?,
        binding: Bound::from_bytes(array(row.try_get("binding")?, "binding")?),
        completed: split_stages(row.try_get("completed")?)?,
        expires: timestamp(row.try_get("expires")?)?,
        memo: row.try_get("memo")?,
    })
}

fn parse_factors(user: OwnedUserId, whose: &Row, rows: &[Row]) -> Result<Factors, Error> {
    let mut factors = Factors {
        user,
        version: Version(whose.try_get::<Option<i64>, _>("version")?.unwrap_or(0)),
        totp: Throttle::default(),
        recovery: Throttle::default(),
        authenticators: only(rows, "authenticator").map(enrolled).collect::<Result<_, _>>()?,
        codes: None,
    };
    factors.authenticators.sort_by_key(|it| (it.created, it.id.clone()));
    if factors.version == Version(0) {
        return Ok(factors);
    }
    factors.totp = throttle(whose, TOTP)?;
    factors.recovery = throttle(whose, RECOVERY)?;
    factors.codes = codes(whose, rows)?;
    Ok(factors)
}

/// The columns of a throttle, in the order of its fields.
const TOTP: [&str; 4] =
    ["totp_in_a_row", "totp_window_started", "totp_window_failures", "totp_wait_until"];
const RECOVERY: [&str; 4] = [
    "recovery_in_a_row",
    "recovery_window_started",
    "recovery_window_failures",
    "recovery_wait_until",
];

fn throttle(row: &Row, columns: [&str; 4]) -> Result<Throttle, Error> {
    let [in_a_row, window_started, window_failures, wait_until] = columns;
    Ok(Throttle {
        in_a_row: unsigned(row.try_get(in_a_row)?, "count")?,
        window_started: optional_timestamp(row.try_get(window_started)?)?,
        window_failures: unsigned(row.try_get(window_failures)?, "count")?,
        wait_until: optional_timestamp(row.try_get(wait_until)?)?,
    })
}

fn enrolled(row: &Row) -> Result<Enrolled, Error> {
    let corrupt = |what| move || Error::Corrupt { what };
    let last_step: Option<i64> = row.try_get("last_step")?;
    Ok(Enrolled {
        id: AuthenticatorId::parse(row.try_get("id")?).ok_or_else(corrupt("authenticator"))?,
        name: Name::parse(Some(row.try_get("name")?))
            .map_err(|_| Error::Corrupt { what: "name" })?,
        status: Status::parse(row.try_get("status")?).ok_or_else(corrupt("status"))?,
        created: timestamp(row.try_get("created")?)?,
        last_used: optional_timestamp(row.try_get("last_used")?)?,
        last_step: last_step.map(|step| unsigned(step, "step")).transpose()?.map(Step),
        confirm_failures: unsigned(row.try_get("confirm_failures")?, "count")?,
        secret: sealed(row)?,
    })
}

fn codes(whose: &Row, rows: &[Row]) -> Result<Option<RecoveryCodes>, Error> {
    let Some(salt) = whose.try_get::<Option<&[u8]>, _>("recovery_salt")? else {
        return Ok(None);
    };
    let (mut unused, mut used) = (Vec::new(), Vec::new());
    for row in only(rows, "code") {
        let code = (unsigned(row.try_get("number")?, "number")?, sealed(row)?);
        let spent = row.try_get::<Option<i64>, _>("last_used")?.is_some();
        if spent { used.push(code) } else { unused.push(code) }
    }
    unused.sort_by_key(|(number, _)| *number);
    Ok(Some(RecoveryCodes {
        salt: RecoverySalt::from_bytes(array(salt, "salt")?),
        generated: timestamp(whose.try_get("recovery_generated")?)?,
        total: unsigned(whose.try_get("recovery_total")?, "count")?,
        unused,
        used,
    }))
}

fn sealed(row: &Row) -> Result<SealedSecret, Error> {
    Ok(SealedSecret { key_id: row.try_get("key_id")?, bytes: row.try_get("sealed")? })
}
