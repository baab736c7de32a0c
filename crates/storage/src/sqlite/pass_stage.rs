//! Passing a stage: each part goes on only if the one before it found what the
//! decision was made on, and the one thread has locked everything in between.

use super::{
    Backend, Connection, query,
    sql::{anchor, audit},
};
use crate::{
    Error, Event,
    passage::{Cost, Passage, Spent},
    settled::Settled,
    values::signed,
};

/// Commits `passage`; `false` if it was decided on something that has changed.
pub(super) async fn pass_stage(
    db: &Backend,
    passage: Passage,
    event: Option<Event>,
) -> Result<bool, Error> {
    db.write(move |c| {
        Box::pin(async move {
            let passes = pay(c, &passage).await? && move_session(c, &passage).await?;
            if passes && let Some(event) = &event {
                audit::record(c, event).await?;
            }
            Ok(Settled::from(passes))
        })
    })
    .await
}

/// Spends what the stage costs, if the user's factors are still those of the
/// decision.
async fn pay(c: &mut Connection, passage: &Passage) -> Result<bool, Error> {
    let (claim, spent) = match &passage.cost {
        Cost::Nothing(None) => return Ok(true),
        Cost::Nothing(Some((user, read))) => return Ok(anchor::epoch(c, user).await? == *read),
        Cost::Code(claim, spent) => (claim, spent),
    };
    if !anchor::claim(c, claim).await? {
        return Ok(false);
    }
    let update = match spent {
        // RFC 6238 §5.2: a code is accepted once.
        Spent::Totp { authenticator, step } => query(
            "UPDATE authenticators SET last_step = $3, last_used = $4
             WHERE user_id = $1 AND id = $2 AND status = 'active'
                AND (last_step IS NULL OR last_step < $3)",
        )
        .bind(claim.user.as_str())
        .bind(authenticator.as_str())
        .bind(signed(step.0)),
        Spent::Recovery { index } => query(
            "UPDATE recovery_codes SET used = $3
             WHERE user_id = $1 AND number = $2 AND used IS NULL",
        )
        .bind(claim.user.as_str())
        .bind(i64::from(*index)),
    };
    Ok(update.bind(passage.now).execute(c).await?.rows_affected() == 1)
}

/// Moves the session, if it stands where the decision found it.
async fn move_session(c: &mut Connection, passage: &Passage) -> Result<bool, Error> {
    let moved = if passage.finishes {
        query(
            "DELETE FROM uia_sessions
             WHERE id = $1 AND user_id = $2 AND completed = $3 AND expires > $4",
        )
    } else {
        query(
            "UPDATE uia_sessions SET completed = $5
             WHERE id = $1 AND user_id = $2 AND completed = $3 AND expires > $4",
        )
    };
    let moved = moved
        .bind(passage.session.as_slice())
        .bind(passage.user.as_str())
        .bind(passage.before.as_str())
        .bind(passage.now)
        .bind(passage.after.as_str())
        .execute(c)
        .await?;
    Ok(moved.rows_affected() == 1)
}
