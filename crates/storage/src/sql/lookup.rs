//! Reading a session and a user's factors, in one statement: one round trip,
//! and one moment.

use data_encoding::HEXLOWER_PERMISSIVE;
use myelin_two_factor::{AuthenticatorId, Name, RecoverySalt, Status, Step, Throttle};
use myelin_uia::{Bound, Kept, Session, SessionId};
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;

use super::super::{Columns as _, Connection, Row, query};
use crate::{
    Enrolled, Epoch, Error, Factors, RecoveryCodes, SealedSecret, Version,
    values::{array, optional_timestamp, split_stages, timestamp, unsigned, user},
};

/// A user's factors in one row, where `$from` has a `w.user_id`: the columns of
/// the anchor, and the authenticators and codes as JSON.
macro_rules! with_factors {
    ($columns:expr, $from:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " f.version, f.epoch, f.totp_in_a_row, f.totp_window_started, f.totp_window_failures,
                f.totp_wait_until, f.recovery_in_a_row, f.recovery_window_started,
                f.recovery_window_failures, f.recovery_wait_until, f.recovery_salt,
                f.recovery_generated, f.recovery_total, (SELECT ",
            json_rows!(
                "id, name, status, created, last_used, last_step, confirm_failures, key_id, ",
                "secret"
            ),
            " FROM authenticators WHERE user_id = w.user_id) AS authenticators, (SELECT ",
            json_rows!("number, used, key_id, ", "hash"),
            " FROM recovery_codes WHERE user_id = w.user_id) AS codes
            FROM ",
            $from,
            joined!("factors", "user_id", "w.user_id", "f")
        )
    };
}
pub(in super::super) use with_factors;

/// The columns of a session, before the others.
macro_rules! session {
    () => {
        "w.id, w.user_id, w.binding, w.completed, w.expires, w.memo,"
    };
}
pub(in super::super) use session;

pub(in super::super) const FACTORS: &str =
    with_factors!("", "(SELECT CAST($1 AS TEXT) AS user_id) AS w");

/// What a request brings, by its digest.
#[derive(Clone, Copy)]
pub(in super::super) enum Key {
    Token([u8; 32]),
    Session([u8; 32]),
}

/// A session, and the factors of its user where it has one.
pub(super) fn parse(row: &Row, id: &SessionId) -> Result<(Session, Option<Factors>), Error> {
    let session = parse_session(row, id)?;
    let factors = session.user.clone().map(|user| parse_factors(user, row)).transpose()?;
    Ok((session, factors))
}

pub(super) async fn factors(c: &mut Connection, user: &UserId) -> Result<Factors, Error> {
    let row = query(FACTORS).bind(user.as_str()).fetch_one(c).await?;
    parse_factors(user.to_owned(), &row)
}

fn parse_session(row: &Row, id: &SessionId) -> Result<Session, Error> {
    let name: String = row.try_get("user_id")?;
    Ok(Session::restore(Kept {
        id: id.clone(),
        user: (!name.is_empty()).then(|| user(name)).transpose()?,
        binding: Bound::from_bytes(array(row.try_get("binding")?, "binding")?),
        completed: split_stages(row.try_get("completed")?)?,
        expires: timestamp(row.try_get("expires")?)?,
        memo: row.try_get("memo")?,
    }))
}

fn parse_factors(user: OwnedUserId, row: &Row) -> Result<Factors, Error> {
    let authenticators: Vec<AuthenticatorRow<'_>> = json_rows(row, "authenticators")?;
    let mut factors = Factors {
        user,
        version: Version(row.try_get::<Option<i64>, _>("version")?.unwrap_or(0)),
        epoch: Epoch(row.try_get::<Option<i64>, _>("epoch")?.unwrap_or(0)),
        totp: Throttle::default(),
        recovery: Throttle::default(),
        authenticators: authenticators.into_iter().map(enrolled).collect::<Result<_, _>>()?,
        codes: None,
    };
    factors.authenticators.sort_by_key(|it| (it.created, it.id.clone()));
    if factors.version == Version(0) {
        return Ok(factors);
    }
    factors.totp = throttle(row, TOTP)?;
    factors.recovery = throttle(row, RECOVERY)?;
    factors.codes = codes(row)?;
    Ok(factors)
}

/// The rows of a column that [`json_rows!`] made; none are null.
fn json_rows<'r, T: Deserialize<'r>>(row: &'r Row, column: &'static str) -> Result<Vec<T>, Error> {
    let json: Option<&str> = row.try_get(column)?;
    serde_json::from_str(json.unwrap_or("[]")).map_err(|_| Error::Corrupt { what: column })
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

/// In the order of its columns; the secret in hexadecimal.
#[derive(Deserialize)]
struct AuthenticatorRow<'r>(
    &'r str,
    String,
    &'r str,
    i64,
    Option<i64>,
    Option<i64>,
    i64,
    String,
    &'r str,
);

fn enrolled(row: AuthenticatorRow<'_>) -> Result<Enrolled, Error> {
    let AuthenticatorRow(id, name, status, created, last_used, last_step, failures, key, secret) =
        row;
    let corrupt = |what| move || Error::Corrupt { what };
    Ok(Enrolled {
        id: AuthenticatorId::parse(id).ok_or_else(corrupt("authenticator"))?,
        name: Name::parse(Some(&name)).map_err(|_| Error::Corrupt { what: "name" })?,
        status: Status::parse(status).ok_or_else(corrupt("status"))?,
        created: timestamp(created)?,
        last_used: optional_timestamp(last_used)?,
        last_step: last_step.map(|step| unsigned(step, "step")).transpose()?.map(Step),
        confirm_failures: unsigned(failures, "count")?,
        secret: sealed(key, secret)?,
    })
}

/// In the order of its columns; the hash in hexadecimal.
#[derive(Deserialize)]
struct CodeRow<'r>(i64, Option<i64>, String, &'r str);

fn codes(row: &Row) -> Result<Option<RecoveryCodes>, Error> {
    let Some(salt) = row.try_get::<Option<&[u8]>, _>("recovery_salt")? else {
        return Ok(None);
    };
    let (mut unused, mut used) = (Vec::new(), Vec::new());
    for CodeRow(number, spent, key, hash) in json_rows(row, "codes")? {
        let code = (unsigned(number, "number")?, sealed(key, hash)?);
        if spent.is_some() { used.push(code) } else { unused.push(code) }
    }
    unused.sort_by_key(|(number, _)| *number);
    Ok(Some(RecoveryCodes {
        salt: RecoverySalt::from_bytes(array(salt, "salt")?),
        generated: timestamp(row.try_get("recovery_generated")?)?,
        total: unsigned(row.try_get("recovery_total")?, "count")?,
        unused,
        used,
    }))
}

fn sealed(key_id: String, hex: &str) -> Result<SealedSecret, Error> {
    let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes());
    Ok(SealedSecret { key_id, bytes: bytes.map_err(|_| Error::Corrupt { what: "secret" })? })
}
