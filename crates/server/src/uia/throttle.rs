//! Attempts during a wait.

use myelin_ambient::Timestamp;
use myelin_homeserver::Refusal;
use myelin_storage::{Action, Change};
use myelin_two_factor::Throttle;

use super::gate::Judgement;
use crate::texts;

/// An attempt during a wait is not looked at. A wait that lies too far ahead,
/// because the clock was set back, is cut to what it can be at most and kept
/// so: else it would begin anew with every attempt, for years.
pub(super) fn wait(
    throttle: &Throttle,
    until: Timestamp,
    now: Timestamp,
    action: Action,
    change: impl FnOnce(Throttle) -> Change,
) -> Judgement {
    match throttle.corrected(now) {
        Some(corrected) if throttle.wait_until != Some(until) => {
            Judgement::Count { change: change(corrected), action, wait: Some(until) }
        }
        _ => Judgement::Wait(until),
    }
}

/// Says until when.
pub(super) fn wait_until(until: Timestamp, now: Timestamp) -> Refusal {
    Refusal::wait(until.saturating_since(now), texts::WAIT)
}
