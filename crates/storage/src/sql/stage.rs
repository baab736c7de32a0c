//! What the statements that pass a stage have in common.

use super::{super::Query, anchor::bind_counters, audit};
use crate::{
    Event,
    passage::{Cost, Passage, Spent},
    values::signed,
};

/// The statements, by what a stage costs.
pub(in super::super) struct Statements {
    pub(in super::super) nothing: &'static str,
    pub(in super::super) totp: &'static str,
    pub(in super::super) recovery: &'static str,
}

/// Binds `$1` the session, `$2` its user, `$3` the stages completed before,
/// `$4` now, `$5` the stages completed after, `$6` whether the session ends,
/// `$7` to `$13` the event, `$14` the version that was read, `$15` to `$22` the
/// counters, `$23` the authenticator or the code's number, `$24` the step.
pub(in super::super) fn query<'q>(
    statements: &Statements,
    passage: &Passage,
    event: Option<&Event>,
) -> Query<'q> {
    let statement = match &passage.cost {
        Cost::Nothing(_) => statements.nothing,
        Cost::Code(_, Spent::Totp { .. }) => statements.totp,
        Cost::Code(_, Spent::Recovery { .. }) => statements.recovery,
    };
    let query = sqlx::query(statement)
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
