//! Passing a stage, in one command: each part is handed to SQLite's thread by
//! itself otherwise, and back.
//!
//! The first part is made only if everything that the later ones need is
//! there, and each later one only if the one before it was made (`changes()`).
//! The one writer has locked everything: nothing changes in between. So the
//! command does the whole or nothing.

use super::{
    Backend,
    sql::stage::{self, Statements},
};
use crate::{Error, Event, passage::Passage, settled::Settled};

/// Whether the session stands where the decision found it.
macro_rules! stands {
    () => {
        "id = $1 AND user_id = $2 AND completed = $3 AND expires > $4"
    };
}

/// Raises the version and writes the counters, if the code (`$unspent`) is
/// still there to be spent, and spends it (`$spend`).
macro_rules! spent {
    ($unspent:literal, $spend:literal) => {
        concat!(
            "UPDATE factors SET version = version + 1,
                totp_in_a_row = $15, totp_window_started = $16,
                totp_window_failures = $17, totp_wait_until = $18,
                recovery_in_a_row = $19, recovery_window_started = $20,
                recovery_window_failures = $21, recovery_wait_until = $22
            WHERE user_id = $2 AND version = $14
                AND EXISTS (SELECT 1 FROM uia_sessions WHERE ",
            stands!(),
            ") AND EXISTS (SELECT 1 FROM ",
            $unspent,
            ");
            UPDATE ",
            $spend,
            " AND changes() = 1;"
        )
    };
}

/// Moves the session, which answers with a row, and writes the event.
macro_rules! moved {
    ($before:expr, $move:literal, $if:literal) => {
        concat!(
            $before,
            $move,
            " WHERE ",
            stands!(),
            " AND ",
            $if,
            " RETURNING 1;
            INSERT INTO audit (at, user_id, action, actor, address, request_id, detail)
            SELECT $7, $8, $9, $10, $11, $12, $13 WHERE changes() = 1 AND $7 IS NOT NULL"
        )
    };
}

/// The statements with `$move` for the session.
macro_rules! statements {
    ($move:literal) => {
        Statements {
            nothing: moved!(
                "",
                $move,
                "($14 IS NULL
                    OR COALESCE((SELECT version FROM factors WHERE user_id = $2), 0) = $14)"
            ),
            // RFC 6238 §5.2: a code is accepted once.
            totp: moved!(
                spent!(
                    "authenticators
                    WHERE user_id = $2 AND id = $23 AND status = 'active'
                        AND (last_step IS NULL OR last_step < $24)",
                    "authenticators SET last_step = $24, last_used = $4
                    WHERE user_id = $2 AND id = $23"
                ),
                $move,
                "changes() = 1"
            ),
            recovery: moved!(
                spent!(
                    "recovery_codes WHERE user_id = $2 AND number = $23 AND used IS NULL",
                    "recovery_codes SET used = $4 WHERE user_id = $2 AND number = $23"
                ),
                $move,
                "changes() = 1"
            ),
        }
    };
}

const ADVANCE: Statements = statements!("UPDATE uia_sessions SET completed = $5");
const END: Statements = statements!("DELETE FROM uia_sessions");

/// Commits `passage`; `false` if it was decided on something that has changed.
pub(super) async fn pass_stage(
    db: &Backend,
    passage: Passage,
    event: Option<Event>,
) -> Result<bool, Error> {
    db.command(move |c| {
        Box::pin(async move {
            let statements = if passage.finishes { &END } else { &ADVANCE };
            let query = stage::query(statements, &passage, event.as_ref());
            Ok(Settled::Commit(query.fetch_all(c).await?.len() == 1))
        })
    })
    .await
}
