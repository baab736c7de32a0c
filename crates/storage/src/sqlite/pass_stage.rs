//! Passing a stage.

use super::{
    Backend, Connection,
    sql::{anchor, audit},
    version,
};
use crate::{
    Error, Event,
    passage::{Claim, Cost, Passage, Spent},
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
            if !(move_session(c, &passage).await? && pay(c, &passage).await?) {
                return Ok(Settled::RollBack(false));
            }
            if let Some(event) = &event {
                audit::record(c, event).await?;
            }
            Ok(Settled::Commit(true))
        })
    })
    .await
}

/// Advances the session, or ends it.
async fn move_session(c: &mut Connection, passage: &Passage) -> Result<bool, Error> {
    let statement = if passage.finishes {
        "DELETE FROM uia_sessions
         WHERE id = $1 AND user_id = $2 AND completed = $3 AND expires > $4"
    } else {
        "UPDATE uia_sessions SET completed = $5
         WHERE id = $1 AND user_id = $2 AND completed = $3 AND expires > $4"
    };
    let moved = sqlx::query(statement)
        .bind(passage.session.to_vec())
        .bind(passage.user.as_str())
        .bind(passage.before.as_str())
        .bind(passage.now)
        .bind(passage.after.as_str())
        .execute(c)
        .await?;
    Ok(moved.rows_affected() == 1)
}

/// Spends what the stage costs.
async fn pay(c: &mut Connection, passage: &Passage) -> Result<bool, Error> {
    match &passage.cost {
        Cost::Nothing(None) => Ok(true),
        Cost::Nothing(Some((user, read))) => version::is_at(c, user, *read).await,
        Cost::Code(claim, spent) => {
            Ok(anchor::claim(c, claim).await? && spend(c, passage.now, claim, spent).await?)
        }
    }
}

async fn spend(c: &mut Connection, now: i64, claim: &Claim, spent: &Spent) -> Result<bool, Error> {
    let update = match spent {
        // RFC 6238 §5.2: a code is accepted once.
        Spent::Totp { authenticator, step } => sqlx::query(
            "UPDATE authenticators SET last_step = $4, last_used = $1
             WHERE user_id = $2 AND id = $3 AND status = 'active'
                AND (last_step IS NULL OR last_step < $4)",
        )
        .bind(now)
        .bind(claim.user.as_str())
        .bind(authenticator.as_str())
        .bind(signed(step.0)),
        Spent::Recovery { index } => sqlx::query(
            "UPDATE recovery_codes SET used = $1
             WHERE user_id = $2 AND number = $3 AND used IS NULL",
        )
        .bind(now)
        .bind(claim.user.as_str())
        .bind(i64::from(*index)),
    };
    Ok(update.execute(c).await?.rows_affected() == 1)
}
