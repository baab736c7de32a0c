//! Passing stages, as many as wait, in one statement.
//!
//! The parts of the statement see the same moment, the one at which it began;
//! a row that it locks or changes is looked at again as it is by then. So each
//! part is gated on the one before it, and the order is what makes it whole:
//!
//! 1. `held` takes the user's anchor row if it is still what the decision was
//!    made on. Where a code is spent, its version is, and is raised, and the
//!    counters are written. Where nothing is spent, its epoch is, and the row is
//!    shared: who changes the factors or the password waits, or has been waited
//!    for.
//! 2. `moved` moves the session, if it stands where the decision found it.
//! 3. `spent` spends the code if it is still there to be spent, and `logged`
//!    writes the event.
//!
//! What is changed is also looked for among the keys of all that is asked. That
//! changes nothing but the plan: where the tables were empty when they were
//! counted, it would else begin with all of their rows.
//!
//! Of those in a group who want the same row, one gets it: no row is changed
//! twice by one statement. So two who spend one code, or move one session, are
//! never both answered with their number.
//!
//! The last line divides by zero where an anchor was taken, but its session had
//! moved on or its code was gone. Then the statement fails as a whole, and
//! nothing of it is written.

use myelin_two_factor::Throttle;

use super::{Query, query, sql::audit::Entry};
use crate::{
    Event,
    passage::{Claim, Cost, Passage, Spent},
    values::{millis, signed},
};

/// What is asked: an element of each array is a stage. `unnest` with as many
/// arrays is slower: noticeably for one stage, a little for many.
macro_rules! asked {
    () => {
        "WITH asked AS (
            SELECT number, $1[number] AS session, $2[number] AS owner, $3[number] AS before,
                $4[number] AS now, $5[number] AS after, $6[number] AS at,
                $7[number] AS user_id, $8[number] AS action, $9[number] AS actor,
                $10[number] AS address, $11[number] AS request_id, $12[number] AS detail,
                $13[number] AS read, $14[number] AS totp_in_a_row,
                $15[number] AS totp_window_started, $16[number] AS totp_window_failures,
                $17[number] AS totp_wait_until, $18[number] AS recovery_in_a_row,
                $19[number] AS recovery_window_started, $20[number] AS recovery_window_failures,
                $21[number] AS recovery_wait_until, $22[number] AS authenticator,
                $23[number] AS code
            FROM generate_subscripts($1, 1) AS number
        )"
    };
}

/// Where nothing is spent. What was read is the epoch, null where there is no user. `anchor`
/// shows the row as it is once it is taken. A row that is only being inserted is
/// not seen: then nothing has been committed that could make the decision stale,
/// and this comes before it.
macro_rules! shared {
    () => {
        ", held AS (
            SELECT asked.* FROM asked LEFT JOIN LATERAL (
                SELECT epoch FROM factors
                WHERE user_id = owner AND read IS NOT NULL FOR SHARE
            ) AS anchor ON TRUE
            WHERE read IS NULL OR COALESCE(epoch, 0) = read
        )"
    };
}

/// Where a code is spent. What was read is the version.
///
/// Takes the anchors in the order in which they are asked for, whatever the plan
/// of the update: two groups that want the same ones do not wait for each other.
macro_rules! raised {
    () => {
        ", taken AS (
            SELECT asked.* FROM asked CROSS JOIN LATERAL (
                SELECT 1 FROM factors
                WHERE user_id = owner AND version = read FOR NO KEY UPDATE
            ) AS anchor
        ), held AS (
            UPDATE factors SET version = factors.version + 1,
                totp_in_a_row = taken.totp_in_a_row,
                totp_window_started = taken.totp_window_started,
                totp_window_failures = taken.totp_window_failures,
                totp_wait_until = taken.totp_wait_until,
                recovery_in_a_row = taken.recovery_in_a_row,
                recovery_window_started = taken.recovery_window_started,
                recovery_window_failures = taken.recovery_window_failures,
                recovery_wait_until = taken.recovery_wait_until
            FROM taken
            WHERE factors.user_id = owner AND factors.version = read
                AND factors.user_id = ANY($2)
            RETURNING taken.*
        )"
    };
}

/// What a session goes through, if it stands where the decision found it.
macro_rules! advanced {
    () => {
        concat!(", moved AS (UPDATE uia_sessions SET completed = after FROM held", stands!())
    };
}
macro_rules! ended {
    () => {
        concat!(", moved AS (DELETE FROM uia_sessions USING held", stands!())
    };
}
macro_rules! stands {
    () => {
        " WHERE id = session AND uia_sessions.user_id = owner AND completed = before
            AND expires > now AND id = ANY($1)
        RETURNING held.*)"
    };
}

/// RFC 6238 §5.2: a code is accepted once.
macro_rules! totp {
    () => {
        ", spent AS (
            UPDATE authenticators SET last_step = code, last_used = now FROM moved
            WHERE authenticators.user_id = owner AND id = authenticator AND status = 'active'
                AND (last_step IS NULL OR last_step < code) AND id = ANY($22)
            RETURNING id
        )"
    };
}
macro_rules! recovery {
    () => {
        ", spent AS (
            UPDATE recovery_codes SET used = now FROM moved
            WHERE recovery_codes.user_id = owner AND recovery_codes.number = code
                AND used IS NULL AND recovery_codes.user_id = ANY($2)
            RETURNING code
        )"
    };
}

macro_rules! logged {
    () => {
        ", logged AS (
            INSERT INTO audit (at, user_id, action, actor, address, request_id, detail)
            SELECT at, user_id, action, actor, address, request_id, detail FROM moved
            WHERE action IS NOT NULL
        )"
    };
}

/// The numbers of those who passed.
macro_rules! passed {
    () => {
        " SELECT number, 1 / CAST(
            (SELECT COUNT(*) FROM spent) = (SELECT COUNT(*) FROM held) AS INTEGER
        ) FROM held"
    };
}

/// SQLSTATE of a division by zero.
pub(super) const NOT_WHOLE: &str = "22012";

/// For sessions that go on, and for those that end. PostgreSQL prepares every
/// part of a statement before the first runs, so each case has its own.
type Statements = [&'static str; 2];

const NOTHING: Statements = [
    concat!(asked!(), shared!(), advanced!(), logged!(), " SELECT number FROM moved"),
    concat!(asked!(), shared!(), ended!(), logged!(), " SELECT number FROM moved"),
];
const TOTP: Statements = [
    concat!(asked!(), raised!(), advanced!(), totp!(), logged!(), passed!()),
    concat!(asked!(), raised!(), ended!(), totp!(), logged!(), passed!()),
];
const RECOVERY: Statements = [
    concat!(asked!(), raised!(), advanced!(), recovery!(), logged!(), passed!()),
    concat!(asked!(), raised!(), ended!(), recovery!(), logged!(), passed!()),
];

/// A stage that was decided on.
pub(super) struct Stage {
    pub(super) passage: Passage,
    pub(super) event: Option<Event>,
}

impl Stage {
    /// The statement for stages like this one.
    pub(super) fn statement(&self) -> &'static str {
        let statements = match &self.passage.cost {
            Cost::Nothing(_) => NOTHING,
            Cost::Code(_, Spent::Totp { .. }) => TOTP,
            Cost::Code(_, Spent::Recovery { .. }) => RECOVERY,
        };
        statements[usize::from(self.passage.finishes)]
    }

    fn throttle(&self, of: fn(&Claim) -> &Throttle) -> Option<&Throttle> {
        match &self.passage.cost {
            Cost::Nothing(_) => None,
            Cost::Code(claim, _) => Some(of(claim)),
        }
    }

    /// The version, or the epoch, that was read.
    fn read(&self) -> Option<i64> {
        match &self.passage.cost {
            Cost::Nothing(read) => read.as_ref().map(|(_, epoch)| epoch.0),
            Cost::Code(claim, _) => Some(claim.version.0),
        }
    }

    /// The authenticator, and the step or the number of the code.
    fn code(&self) -> (Option<&str>, Option<i64>) {
        match &self.passage.cost {
            Cost::Nothing(_) => (None, None),
            Cost::Code(_, Spent::Totp { authenticator, step }) => {
                (Some(authenticator.as_str()), Some(signed(step.0)))
            }
            Cost::Code(_, Spent::Recovery { index }) => (None, Some(i64::from(*index))),
        }
    }
}

/// The statement, asked for these stages.
pub(super) fn bound<'q>(statement: &'static str, stages: &[&'q Stage]) -> Query<'q> {
    let passages = column(stages, |stage| &stage.passage);
    let entries = column(stages, |stage| Entry::from(stage.event.as_ref()));
    let codes = column(stages, |stage| stage.code());
    let query = query(statement)
        .bind(column(&passages, |passage| passage.session.as_slice()))
        .bind(column(&passages, |passage| passage.user.as_str()))
        .bind(column(&passages, |passage| passage.before.as_str()))
        .bind(column(&passages, |passage| passage.now))
        .bind(column(&passages, |passage| passage.after.as_str()))
        .bind(column(&entries, |entry| entry.at))
        .bind(column(&entries, |entry| entry.user))
        .bind(column(&entries, |entry| entry.action))
        .bind(column(&entries, |entry| entry.actor.clone()))
        .bind(column(&entries, |entry| entry.address.clone()))
        .bind(column(&entries, |entry| entry.request_id))
        .bind(column(&entries, |entry| entry.detail))
        .bind(column(stages, |stage| stage.read()));
    let query = bind_throttles(query, &column(stages, |stage| stage.throttle(|it| &it.totp)));
    let query = bind_throttles(query, &column(stages, |stage| stage.throttle(|it| &it.recovery)));
    query
        .bind(column(&codes, |(authenticator, _)| *authenticator))
        .bind(column(&codes, |(_, code)| *code))
}

fn bind_throttles<'q>(query: Query<'q>, throttles: &[Option<&Throttle>]) -> Query<'q> {
    query
        .bind(column(throttles, |it| it.map(|it| i64::from(it.in_a_row))))
        .bind(column(throttles, |it| it.and_then(|it| it.window_started.map(millis))))
        .bind(column(throttles, |it| it.map(|it| i64::from(it.window_failures))))
        .bind(column(throttles, |it| it.and_then(|it| it.wait_until.map(millis))))
}

fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
