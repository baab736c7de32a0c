//! Passing a stage, in one statement.
//!
//! The parts of the statement see the same moment, the one at which it began;
//! a row that it locks or changes is looked at again as it is by then. So each
//! part is gated on the one before it, and the order is what makes it whole:
//!
//! 1. `held` takes the user's anchor row if its version is still the one that
//!    the decision was made on, and if the code is still there to be spent. No
//!    code changes without the version, so while the anchor is held, what was
//!    seen of the code holds. Where nothing is spent, the row is shared: who
//!    changes the factors or the password waits, or has been waited for.
//! 2. `advanced` or `ended` moves the session, if it stands where the decision
//!    found it. This is the last condition: up to here nothing was written.
//! 3. `raised` and `spent` write what cannot fail any more, `logged` the
//!    event.
//!
//! The last line divides by the number of codes spent: should a row be changed
//! by hand in between, the statement fails as a whole and the stage is not
//! passed.

use super::{
    Backend, Columns as _, Query, query,
    sql::{anchor::bind_counters, audit},
};
use crate::{
    Error, Event,
    passage::{Cost, Passage, Spent},
    values::signed,
};

/// The statements, by what a stage costs.
struct Statements {
    nothing: &'static str,
    totp: &'static str,
    recovery: &'static str,
}

const STATEMENTS: Statements = Statements { nothing: NOTHING, totp: TOTP, recovery: RECOVERY };

/// Moves the session.
macro_rules! moved {
    () => {
        "advanced AS (
            UPDATE uia_sessions SET completed = $5
            WHERE NOT $6 AND EXISTS (SELECT 1 FROM held)
                AND id = $1 AND user_id = $2 AND completed = $3 AND expires > $4
            RETURNING id
        ), ended AS (
            DELETE FROM uia_sessions
            WHERE $6 AND EXISTS (SELECT 1 FROM held)
                AND id = $1 AND user_id = $2 AND completed = $3 AND expires > $4
            RETURNING id
        ), moved AS (
            SELECT id FROM advanced UNION ALL SELECT id FROM ended
        )"
    };
}

/// Writes the event, if there is one, and answers 1 or 0.
macro_rules! logged {
    () => {
        "logged AS (
            INSERT INTO audit (at, user_id, action, actor, address, request_id, detail)
            SELECT $7, $8, $9, $10, $11, $12, $13 FROM moved WHERE $7 IS NOT NULL
        )
        SELECT CASE (SELECT COUNT(*) FROM moved)
            WHEN 0 THEN 0 ELSE 1 / (SELECT COUNT(*) FROM spent) END"
    };
}

/// Raises the version and writes the counters.
macro_rules! raised {
    () => {
        "raised AS (
            UPDATE factors SET version = version + 1,
                totp_in_a_row = $15, totp_window_started = $16,
                totp_window_failures = $17, totp_wait_until = $18,
                recovery_in_a_row = $19, recovery_window_started = $20,
                recovery_window_failures = $21, recovery_wait_until = $22
            WHERE EXISTS (SELECT 1 FROM moved) AND user_id = $2 AND version = $14
            RETURNING user_id
        )"
    };
}

/// `$14` null where there is no user. `anchor` shows the row as it is once it
/// is taken. A row that is only being inserted is not seen: then nothing has
/// been committed that could make the decision stale, and this comes before it.
const NOTHING: &str = concat!(
    "WITH anchor AS (
        SELECT version FROM factors WHERE user_id = $2 AND $14 IS NOT NULL FOR SHARE
    ), held AS (
        SELECT 1 WHERE $14 IS NULL OR COALESCE((SELECT version FROM anchor), 0) = $14
    ), ",
    moved!(),
    ", spent AS (SELECT 1 FROM moved), ",
    logged!()
);

/// RFC 6238 §5.2: a code is accepted once.
const TOTP: &str = concat!(
    "WITH held AS (
        SELECT 1 FROM factors
        WHERE user_id = $2 AND version = $14 AND EXISTS (
            SELECT 1 FROM authenticators
            WHERE user_id = $2 AND id = $23 AND status = 'active'
                AND (last_step IS NULL OR last_step < $24))
        FOR NO KEY UPDATE
    ), ",
    moved!(),
    ", ",
    raised!(),
    ", spent AS (
        UPDATE authenticators SET last_step = $24, last_used = $4
        WHERE EXISTS (SELECT 1 FROM raised)
            AND user_id = $2 AND id = $23 AND status = 'active'
            AND (last_step IS NULL OR last_step < $24)
        RETURNING id
    ), ",
    logged!()
);

const RECOVERY: &str = concat!(
    "WITH held AS (
        SELECT 1 FROM factors
        WHERE user_id = $2 AND version = $14 AND EXISTS (
            SELECT 1 FROM recovery_codes
            WHERE user_id = $2 AND number = $23 AND used IS NULL)
        FOR NO KEY UPDATE
    ), ",
    moved!(),
    ", ",
    raised!(),
    ", spent AS (
        UPDATE recovery_codes SET used = $4
        WHERE EXISTS (SELECT 1 FROM raised)
            AND user_id = $2 AND number = $23 AND used IS NULL
        RETURNING number
    ), ",
    logged!()
);

/// Commits `passage`; `false` if it was decided on something that has changed.
pub(super) async fn pass_stage(
    db: &Backend,
    passage: Passage,
    event: Option<Event>,
) -> Result<bool, Error> {
    db.statement(move |c| {
        Box::pin(async move {
            let row = bound(&STATEMENTS, &passage, event.as_ref()).fetch_one(c).await?;
            Ok(row.try_get::<i64, _>(0)? == 1)
        })
    })
    .await
}

/// Binds `$1` the session, `$2` its user, `$3` the stages completed before,
/// `$4` now, `$5` the stages completed after, `$6` whether the session ends,
/// `$7` to `$13` the event, `$14` the version that was read, `$15` to `$22` the
/// counters, `$23` the authenticator or the code's number, `$24` the step.
fn bound<'q>(statements: &Statements, passage: &Passage, event: Option<&'q Event>) -> Query<'q> {
    let statement = match &passage.cost {
        Cost::Nothing(_) => statements.nothing,
        Cost::Code(_, Spent::Totp { .. }) => statements.totp,
        Cost::Code(_, Spent::Recovery { .. }) => statements.recovery,
    };
    let query = query(statement)
        .bind(passage.session.to_vec())
        .bind(passage.user.as_str())
        .bind(passage.before.as_str())
        .bind(passage.now)
        .bind(passage.after.as_str())
        .bind(passage.finishes);
    let query = audit::bind(query, event);
    match &passage.cost {
        Cost::Nothing(read) => query.bind(read.as_ref().map(|(_, version)| version.0)),
        Cost::Code(claim, spent) => {
            let query = bind_counters(query.bind(claim.version.0), claim);
            match spent {
                Spent::Totp { authenticator, step } => {
                    query.bind(authenticator.as_str()).bind(signed(step.0))
                }
                Spent::Recovery { index } => query.bind(i64::from(*index)),
            }
        }
    }
}
