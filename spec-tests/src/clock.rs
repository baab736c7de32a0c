//! The clock and its TOTP steps.
//!
//! The suite shares no clock with the server, only the time of day.

use std::{
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Seconds in a TOTP step.
pub(crate) const PERIOD: u64 = 30;

/// With less than this left in a step, a request may arrive in the next one.
const GUARD: Duration = Duration::from_secs(5);

/// Time since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a black box has to read the real clock")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The current step.
pub(crate) fn step() -> u64 {
    now().as_secs() / PERIOD
}

/// Whether a request sent now may be judged in the next step.
pub(crate) fn is_step_ending() -> bool {
    left_in_step() < GUARD
}

/// Waits out the last seconds of a step, and returns the step that then runs.
pub(crate) fn settled_step() -> u64 {
    if is_step_ending() {
        wait_for_next_step();
    }
    step()
}

/// Waits until the next step has begun.
pub(crate) fn wait_for_next_step() {
    let current = step();
    while step() == current {
        thread::sleep(left_in_step() + Duration::from_millis(20));
    }
}

fn left_in_step() -> Duration {
    let period = u128::from(PERIOD) * 1000;
    let left = period - now().as_millis() % period;
    Duration::from_millis(u64::try_from(left).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_never_more_than_a_period() {
        let left = left_in_step();
        assert!(left > Duration::ZERO && left <= Duration::from_secs(PERIOD), "{left:?}");
    }

    #[test]
    fn the_clock_tells_this_century() {
        assert!(step() > 1_700_000_000 / PERIOD);
    }
}
