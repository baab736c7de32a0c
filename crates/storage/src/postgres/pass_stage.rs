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
//! 2. `moved` moves the session, if it stands where the decision found it. This
//!    is the last condition: up to here nothing was written.
//! 3. `raised` and `spent` write what cannot fail any more, `logged` the
//!    event.
//!
//! The last line divides by the number of codes spent: should a row be changed
//! by hand in between, the statement fails as a whole and the stage is not
//! passed.
//!
//! Each case has a statement of its own: PostgreSQL prepares every part before
//! the first runs, and what is not needed costs nearly as much as what is.

use super::{
    Backend, Query, query,
    sql::{anchor::bind_counters, audit},
};
use crate::{
    Error, Event,
    passage::{Cost, Passage, Spent},
    values::signed,
};

/// The statements for a session that goes on, and for one that ends; of each
/// the one without an event, and the one with.
type Statements = [[&'static str; 2]; 2];

/// What is `$held`, then the session's move, what is `$written` after it, and
/// the answer: a row if the stage is passed.
macro_rules! statements {
    ($held:literal, $written:expr, $answer:literal) => {
        [
            [
                concat!($held, advanced!(), $written, $answer),
                concat!($held, advanced!(), $written, logged!(), $answer),
            ],
            [
                concat!($held, ended!(), $written, $answer),
                concat!($held, ended!(), $written, logged!(), $answer),
            ],
        ]
    };
}

/// If the session stands where the decision found it.
macro_rules! stands {
    () => {
        " WHERE EXISTS (SELECT 1 FROM held)
            AND id = $1 AND user_id = $2 AND completed = $3 AND expires > $4
        RETURNING id)"
    };
}
macro_rules! advanced {
    () => {
        concat!(", moved AS (UPDATE uia_sessions SET completed = $5", stands!())
    };
}
macro_rules! ended {
    () => {
        concat!(", moved AS (DELETE FROM uia_sessions", stands!())
    };
}

/// Raises the version and writes the counters.
macro_rules! raised {
    () => {
        ", raised AS (
            UPDATE factors SET version = version + 1,
                totp_in_a_row = $14, totp_window_started = $15,
                totp_window_failures = $16, totp_wait_until = $17,
                recovery_in_a_row = $18, recovery_window_started = $19,
                recovery_window_failures = $20, recovery_wait_until = $21
            WHERE EXISTS (SELECT 1 FROM moved) AND user_id = $2 AND version = $13
            RETURNING user_id
        )"
    };
}

macro_rules! logged {
    () => {
        ", logged AS (
            INSERT INTO audit (at, user_id, action, actor, address, request_id, detail)
            SELECT $6, $7, $8, $9, $10, $11, $12 FROM moved
        )"
    };
}

/// `$13` null where there is no user. `anchor` shows the row as it is once it
/// is taken. A row that is only being inserted is not seen: then nothing has
/// been committed that could make the decision stale, and this comes before it.
const NOTHING: Statements = statements!(
    "WITH anchor AS (
        SELECT version FROM factors WHERE user_id = $2 AND $13 IS NOT NULL FOR SHARE
    ), held AS (
        SELECT 1 WHERE $13 IS NULL OR COALESCE((SELECT version FROM anchor), 0) = $13
    )",
    "",
    " SELECT 1 FROM moved"
);

/// RFC 6238 §5.2: a code is accepted once.
const TOTP: Statements = statements!(
    "WITH held AS (
        SELECT 1 FROM factors
        WHERE user_id = $2 AND version = $13 AND EXISTS (
            SELECT 1 FROM authenticators
            WHERE user_id = $2 AND id = $22 AND status = 'active'
                AND (last_step IS NULL OR last_step < $23))
        FOR NO KEY UPDATE
    )",
    concat!(
        raised!(),
        ", spent AS (
            UPDATE authenticators SET last_step = $23, last_used = $4
            WHERE EXISTS (SELECT 1 FROM raised)
                AND user_id = $2 AND id = $22 AND status = 'active'
                AND (last_step IS NULL OR last_step < $23)
            RETURNING id
        )"
    ),
    " SELECT 1 / (SELECT COUNT(*) FROM spent) FROM moved"
);

const RECOVERY: Statements = statements!(
    "WITH held AS (
        SELECT 1 FROM factors
        WHERE user_id = $2 AND version = $13 AND EXISTS (
            SELECT 1 FROM recovery_codes
            WHERE user_id = $2 AND number = $22 AND used IS NULL)
        FOR NO KEY UPDATE
    )",
    concat!(
        raised!(),
        ", spent AS (
            UPDATE recovery_codes SET used = $4
            WHERE EXISTS (SELECT 1 FROM raised)
                AND user_id = $2 AND number = $22 AND used IS NULL
            RETURNING number
        )"
    ),
    " SELECT 1 / (SELECT COUNT(*) FROM spent) FROM moved"
);

/// Commits `passage`; `false` if it was decided on something that has changed.
pub(super) async fn pass_stage(
    db: &Backend,
    passage: Passage,
    event: Option<Event>,
) -> Result<bool, Error> {
    db.statement(move |c| {
        Box::pin(async move {
            let moved = bound(&passage, event.as_ref()).fetch_optional(c).await?;
            Ok(moved.is_some())
        })
    })
    .await
}

/// Binds `$1` the session, `$2` its user, `$3` the stages completed before,
/// `$4` now, `$5` the stages completed after, `$6` to `$12` the event, `$13` the
/// version that was read, `$14` to `$21` the counters, `$22` the authenticator
/// or the code's number, `$23` the step.
fn bound<'q>(passage: &Passage, event: Option<&'q Event>) -> Query<'q> {
    let statements = match &passage.cost {
        Cost::Nothing(_) => NOTHING,
        Cost::Code(_, Spent::Totp { .. }) => TOTP,
        Cost::Code(_, Spent::Recovery { .. }) => RECOVERY,
    };
    let statement = statements[usize::from(passage.finishes)][usize::from(event.is_some())];
    let query = query(statement)
        .bind(passage.session.to_vec())
        .bind(passage.user.as_str())
        .bind(passage.before.as_str())
        .bind(passage.now)
        .bind(passage.after.as_str());
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
