//! The throttle's rules, one by one, and the odds that its document states.

use std::time::Duration;

use myelin_ambient::Timestamp;
use myelin_two_factor::{
    Admission, FailureEffect, Throttle, ThrottlePolicy,
    limits::{DISABLE_AFTER, FREE_FAILURES, FREE_LONG_WINDOW_FAILURES, LONG_WINDOW, LONGEST_WAIT},
};

use crate::NOW;

const MILLISECOND: Duration = Duration::from_millis(1);

/// The waits in seconds, from the first failure that is not free.
const WAITS: [u64; 10] = [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600];

/// The moment at which `throttle` next admits, `now` or later.
fn next_admission(throttle: &Throttle, now: Timestamp) -> Timestamp {
    match throttle.admit(now) {
        Admission::Open => now,
        Admission::Wait { until } => until,
    }
}

/// Counts failures without heed of the waits.
fn failed(mut throttle: Throttle, times: u32, now: Timestamp) -> Throttle {
    for _ in 0..times {
        throttle = throttle.fail(now, ThrottlePolicy::TOTP).throttle;
    }
    throttle
}

#[test]
fn new_throttle_is_open() {
    assert_eq!(Throttle::default().admit(NOW), Admission::Open);
}

#[test]
fn four_failures_are_free_and_the_fifth_starts_a_wait_of_thirty_seconds() {
    let mut throttle = Throttle::default();
    for _ in 0..FREE_FAILURES {
        let failure = throttle.fail(NOW, ThrottlePolicy::TOTP);
        assert_eq!(failure.effect, FailureEffect::Counted);
        assert_eq!(failure.throttle.admit(NOW), Admission::Open);
        throttle = failure.throttle;
    }
    let until = NOW + Duration::from_secs(30);
    let failure = throttle.fail(NOW, ThrottlePolicy::TOTP);
    assert_eq!(failure.effect, FailureEffect::Wait { until });
    assert_eq!(failure.throttle.admit(NOW), Admission::Wait { until });
    assert_eq!(failure.throttle.admit(until - MILLISECOND), Admission::Wait { until });
    assert_eq!(failure.throttle.admit(until), Admission::Open);
}

#[test]
fn waits_double_up_to_an_hour() {
    let mut throttle = failed(Throttle::default(), FREE_FAILURES, NOW);
    let mut now = NOW;
    for secs in WAITS {
        let until = now + Duration::from_secs(secs);
        let failure = throttle.fail(now, ThrottlePolicy::TOTP);
        assert_eq!(failure.effect, FailureEffect::Wait { until });
        (throttle, now) = (failure.throttle, until);
    }
}

#[test]
fn fiftieth_failure_in_a_row_disables_totp() {
    let throttle = failed(Throttle::default(), DISABLE_AFTER - 1, NOW);
    let failure = throttle.fail(NOW, ThrottlePolicy::TOTP);
    assert_eq!(failure.effect, FailureEffect::Disable);
    let until = NOW + LONGEST_WAIT;
    assert_eq!(failure.throttle.admit(NOW), Admission::Wait { until });
}

#[test]
fn new_authenticator_after_a_lockout_survives_the_first_mistake() {
    let locked = failed(Throttle::default(), DISABLE_AFTER, NOW);
    assert_eq!(locked.window_failures, DISABLE_AFTER, "the week's count is the user's");
    let later = NOW + LONGEST_WAIT;
    let failure = locked.fail(later, ThrottlePolicy::TOTP);
    // Not disabled, but the week's count still makes it an hour.
    assert_eq!(failure.effect, FailureEffect::Wait { until: later + LONGEST_WAIT });
}

#[test]
fn recovery_is_never_disabled() {
    let mut throttle = Throttle::default();
    for _ in 0..1000 {
        let failure = throttle.fail(NOW, ThrottlePolicy::RECOVERY);
        assert_ne!(failure.effect, FailureEffect::Disable);
        throttle = failure.throttle;
    }
    assert_eq!(throttle.admit(NOW + LONGEST_WAIT), Admission::Open);
}

#[test]
fn success_ends_the_run_and_the_wait_but_not_the_weeks_count() {
    let throttle = failed(Throttle::default(), 7, NOW).succeed(NOW);
    let expected =
        Throttle { in_a_row: 0, window_started: Some(NOW), window_failures: 7, wait_until: None };
    assert_eq!(throttle, expected);
    // The count goes once its week is over.
    assert_eq!(throttle.clone().succeed(NOW + LONG_WINDOW - MILLISECOND), expected);
    assert_eq!(throttle.succeed(NOW + LONG_WINDOW), Throttle::default());
}

#[test]
fn twenty_first_failure_in_a_week_starts_a_wait_despite_successes() {
    let mut throttle = Throttle::default();
    for _ in 0..FREE_LONG_WINDOW_FAILURES {
        let failure = throttle.fail(NOW, ThrottlePolicy::TOTP);
        assert_eq!(failure.effect, FailureEffect::Counted);
        throttle = failure.throttle.succeed(NOW);
    }
    for secs in WAITS {
        let until = NOW + Duration::from_secs(secs);
        let failure = throttle.fail(NOW, ThrottlePolicy::TOTP);
        assert_eq!(failure.effect, FailureEffect::Wait { until });
        throttle = failure.throttle.succeed(NOW);
    }
}

#[test]
fn week_begins_anew_with_the_first_failure_after_it() {
    let throttle = failed(Throttle::default(), 21, NOW);
    let last = throttle.clone().fail(NOW + LONG_WINDOW - MILLISECOND, ThrottlePolicy::TOTP);
    assert_eq!((last.throttle.window_started, last.throttle.window_failures), (Some(NOW), 22));
    let later = NOW + LONG_WINDOW;
    let next = throttle.fail(later, ThrottlePolicy::TOTP);
    assert_eq!((next.throttle.window_started, next.throttle.window_failures), (Some(later), 1));
    assert_eq!(next.throttle.in_a_row, 22, "a run has no end but success or lockout");
}

#[test]
fn racing_failure_never_shortens_the_wait() {
    let throttle = Throttle { wait_until: Some(NOW + LONGEST_WAIT), ..Throttle::default() };
    let failure = throttle.fail(NOW, ThrottlePolicy::TOTP);
    assert_eq!(failure.effect, FailureEffect::Wait { until: NOW + LONGEST_WAIT });
}

#[test]
fn clock_set_back_makes_a_wait_one_hour_at_most() {
    let throttle = Throttle {
        in_a_row: 30,
        window_started: Some(NOW),
        window_failures: 30,
        wait_until: Some(NOW + LONGEST_WAIT),
    };
    let back = NOW - Duration::from_hours(24 * 365);
    let until = back + LONGEST_WAIT;
    assert_eq!(throttle.admit(back), Admission::Wait { until });
    let corrected = throttle.corrected(back).unwrap();
    assert_eq!(corrected.admit(back), Admission::Wait { until });
    assert_eq!(corrected.admit(until - MILLISECOND), Admission::Wait { until });
    assert_eq!(corrected.admit(until), Admission::Open);
    assert_eq!((corrected.in_a_row, corrected.window_failures), (30, 30));
    assert_eq!(corrected.window_started, Some(back));
    assert_eq!(corrected.corrected(back), None);
}

#[test]
fn clock_set_back_does_not_wipe_the_weeks_count() {
    let throttle = failed(Throttle::default(), 21, NOW).succeed(NOW);
    let back = NOW - Duration::from_hours(24 * 30);
    let failure = throttle.fail(back, ThrottlePolicy::TOTP);
    assert_eq!(failure.effect, FailureEffect::Wait { until: back + Duration::from_mins(1) });
    assert_eq!(failure.throttle.window_started, Some(back));
    assert_eq!(failure.throttle.window_failures, 22);
}

#[test]
fn throttle_that_the_clock_did_not_upset_needs_no_correction() {
    assert_eq!(Throttle::default().corrected(NOW), None);
    for failures in 1..60 {
        assert_eq!(failed(Throttle::default(), failures, NOW).corrected(NOW), None);
    }
}

#[test]
fn counts_do_not_overflow() {
    let full = Throttle {
        in_a_row: u32::MAX,
        window_started: Some(NOW),
        window_failures: u32::MAX,
        wait_until: None,
    };
    let end = Timestamp::from_millis(u64::MAX);
    for now in [Timestamp::from_millis(0), NOW, end] {
        let failure = full.clone().fail(now, ThrottlePolicy::RECOVERY);
        assert_eq!(failure.effect, FailureEffect::Wait { until: now + LONGEST_WAIT });
    }
}

/// How many guesses are evaluated in `period` by somebody who never waits
/// longer than needed; `between` stands for what the owner does after each.
fn guesses(period: Duration, between: fn(Throttle, Timestamp) -> Throttle) -> u32 {
    let mut throttle = Throttle::default();
    let mut now = NOW;
    let mut evaluated = 0;
    while now < NOW + period {
        // Without the lockout, to see the waits alone.
        throttle = throttle.fail(now, ThrottlePolicy::RECOVERY).throttle;
        evaluated += 1;
        now = next_admission(&throttle, now);
        throttle = between(throttle, now);
    }
    evaluated
}

#[test]
fn odds_in_the_document_are_those_of_the_code() {
    let nothing = |throttle, _| throttle;
    assert_eq!(guesses(Duration::from_hours(1), nothing), 11);
    assert_eq!(guesses(Duration::from_hours(24), nothing), 34);
    assert_eq!(guesses(LONG_WINDOW, Throttle::succeed), 194);
    let until_lockout = Duration::from_secs(140_610);
    assert_eq!(guesses(until_lockout, nothing), DISABLE_AFTER - 1);
    assert_eq!(guesses(until_lockout + MILLISECOND, nothing), DISABLE_AFTER);
}
