//! Wrong passwords answer no faster than right ones.
//!
//! A homeserver hashes nothing for a user who does not exist, and so says who
//! exists by how fast it refuses (Synapse: 2.5 ms instead of 300 ms). A refusal
//! is held back until a check has taken as long as checks do here.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use myelin_ambient::{Clock, Timestamp};

/// No refusal is held back longer.
const MOST: Duration = Duration::from_secs(2);

/// How long a check takes here.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Duration>);

impl Pace {
    /// Learns from a check that began at `started` and found the password
    /// right. Only that fades what was learned: otherwise whoever asks for
    /// many users who do not exist would make fast the usual.
    pub(super) fn learn(&self, started: Timestamp, clock: &dyn Clock) {
        let took = clock.now().saturating_since(started).min(MOST);
        let mut usual = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *usual = took.max(*usual * 31 / 32);
    }

    /// How long a refusal has still to wait. The longest that a refusal took
    /// is how long they take.
    fn missing(&self, started: Timestamp, now: Timestamp) -> Duration {
        let took = now.saturating_since(started);
        let mut usual = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *usual = took.min(MOST).max(*usual);
        usual.saturating_sub(took)
    }

    /// Holds a refusal back.
    pub(super) async fn hold(&self, started: Timestamp, clock: &dyn Clock) {
        tokio::time::sleep(self.missing(started, clock.now())).await;
    }
}

#[cfg(test)]
mod tests {
    use myelin_ambient::FrozenClock;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const USUAL: Duration = Duration::from_millis(300);

    fn learned(took: Duration) -> Pace {
        let pace = Pace::default();
        pace.learn(NOW, &FrozenClock::at(NOW + took));
        pace
    }

    #[test]
    fn a_fast_refusal_waits_for_what_is_usual() {
        let pace = learned(USUAL);
        let fast = NOW + Duration::from_millis(2);
        assert_eq!(pace.missing(NOW, fast), Duration::from_millis(298));
        assert_eq!(pace.missing(NOW, NOW + USUAL), Duration::ZERO);
    }

    #[test]
    fn refusals_never_make_fast_the_usual() {
        let pace = learned(USUAL);
        for _ in 0..1_000 {
            pace.missing(NOW, NOW);
        }
        assert_eq!(pace.missing(NOW, NOW), USUAL);
        // What a refusal takes where nobody has logged in yet counts as well.
        let new = Pace::default();
        new.missing(NOW, NOW + USUAL);
        assert_eq!(new.missing(NOW, NOW), USUAL);
    }

    #[test]
    fn a_slow_homeserver_holds_nobody_for_long() {
        assert_eq!(learned(Duration::from_hours(1)).missing(NOW, NOW), MOST);
    }
}
