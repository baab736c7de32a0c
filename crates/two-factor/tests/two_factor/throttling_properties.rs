//! What the throttle keeps, whatever happens and in whatever order.

use std::time::Duration;

use myelin_ambient::Timestamp;
use myelin_two_factor::{
    Admission, FailureEffect, Throttle, ThrottlePolicy,
    limits::{DISABLE_AFTER, LONG_WINDOW, LONGEST_WAIT},
};
use proptest::prelude::*;

use crate::NOW;

/// How long somebody pauses before the next attempt.
fn pause() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0_u64..1000).prop_map(Duration::from_millis),
        (0_u64..4000).prop_map(Duration::from_secs),
        (0_u64..100).prop_map(Duration::from_hours),
    ]
}

/// What happens to a throttle.
#[derive(Clone, Debug)]
enum Event {
    /// A wrong code comes.
    Guess,
    /// The right code comes.
    Login,
    /// The clock is moved by this many seconds.
    Jump(i64),
}

fn events(jumps: bool) -> impl Strategy<Value = Vec<(Duration, Event)>> {
    let jump = u32::from(jumps);
    let event = prop_oneof![
        8 => Just(Event::Guess),
        1 => Just(Event::Login),
        jump => (-40_000_000_i64..40_000_000).prop_map(Event::Jump),
    ];
    prop::collection::vec((pause(), event), 1..200)
}

fn policy() -> impl Strategy<Value = ThrottlePolicy> {
    prop_oneof![Just(ThrottlePolicy::TOTP), Just(ThrottlePolicy::RECOVERY)]
}

/// The least time between the first and the n-th evaluated guess, where the
/// first `free` ones are free. Written anew, not with the crate's own code.
fn least_time(n: usize, free: usize) -> Duration {
    let wait = |guess: usize| match guess.checked_sub(free + 1) {
        None => 0,
        Some(doublings @ 0..=6) => 30 << doublings,
        Some(_) => 3600,
    };
    Duration::from_secs((1..n).map(wait).sum())
}

proptest! {
    #[test]
    fn no_schedule_gets_more_guesses_in_a_run_than_the_waits_allow(
        pauses in prop::collection::vec(pause(), 1..400),
    ) {
        let mut throttle = Throttle::default();
        let mut now = NOW;
        let mut evaluated: Vec<Timestamp> = Vec::new();
        for pause in pauses {
            now = now + pause;
            if throttle.admit(now) == Admission::Open {
                evaluated.push(now);
                throttle = throttle.fail(now, ThrottlePolicy::RECOVERY).throttle;
            }
        }
        for (place, time) in evaluated.iter().enumerate() {
            prop_assert!(time.saturating_since(NOW) >= least_time(place + 1, 4));
        }
    }

    #[test]
    fn successes_do_not_buy_more_guesses_than_the_week_allows(
        pauses in prop::collection::vec((pause(), any::<bool>()), 1..600),
    ) {
        let mut throttle = Throttle::default();
        let mut now = NOW;
        let mut week: Vec<Timestamp> = Vec::new();
        for (pause, login) in pauses {
            now = now + pause;
            if throttle.admit(now) == Admission::Open {
                if login {
                    throttle = throttle.succeed(now);
                    continue;
                }
                if week.first().is_some_and(|first| now.saturating_since(*first) >= LONG_WINDOW) {
                    week.clear();
                }
                week.push(now);
                throttle = throttle.fail(now, ThrottlePolicy::TOTP).throttle;
                let least = least_time(week.len(), 20);
                prop_assert!(now.saturating_since(week[0]) >= least, "{} guesses", week.len());
            }
        }
    }

    #[test]
    fn waiting_is_not_lengthened_and_not_cut_short_by_asking(
        failures in 5_u32..80,
        asks in prop::collection::vec(0_u64..3_600_000, 1..20),
    ) {
        let mut throttle = Throttle::default();
        for _ in 0..failures {
            throttle = throttle.fail(NOW, ThrottlePolicy::RECOVERY).throttle;
        }
        let Admission::Wait { until } = throttle.admit(NOW) else { panic!("a wait is on") };
        for millis in asks {
            let now = NOW + Duration::from_millis(millis);
            let expected =
                if now < until { Admission::Wait { until } } else { Admission::Open };
            prop_assert_eq!(throttle.admit(now), expected);
        }
    }

    #[test]
    fn waits_in_a_run_only_grow(pauses in prop::collection::vec(pause(), 1..100)) {
        let mut throttle = Throttle::default();
        let mut now = NOW;
        let mut longest = Duration::ZERO;
        for pause in pauses {
            now = now + pause;
            if let Admission::Wait { until } = throttle.admit(now) {
                now = until;
            }
            let failure = throttle.fail(now, ThrottlePolicy::RECOVERY);
            let wait = match failure.effect {
                FailureEffect::Wait { until } => until.saturating_since(now),
                _ => Duration::ZERO,
            };
            prop_assert!(wait >= longest || failure.throttle.window_failures == 1);
            longest = wait;
            throttle = failure.throttle;
        }
    }

    #[test]
    fn lockout_comes_at_fifty_in_a_row_and_never_for_recovery(
        events in events(true),
        policy in policy(),
    ) {
        let mut throttle = Throttle::default();
        let mut now = NOW;
        let mut run = 0;
        for (pause, event) in events {
            now = now + pause;
            match event {
                Event::Guess => {
                    let failure = throttle.fail(now, policy);
                    run += 1;
                    let disable = failure.effect == FailureEffect::Disable;
                    let due = policy == ThrottlePolicy::TOTP && run == DISABLE_AFTER;
                    prop_assert_eq!(disable, due);
                    if disable {
                        run = 0;
                    }
                    throttle = failure.throttle;
                }
                Event::Login => {
                    throttle = throttle.succeed(now);
                    run = 0;
                }
                Event::Jump(secs) => now = jumped(now, secs),
            }
            prop_assert_eq!(throttle.in_a_row, run);
        }
    }

    #[test]
    fn nobody_waits_longer_than_an_hour_however_the_clock_jumps(events in events(true)) {
        let mut throttle = Throttle::default();
        let mut now = NOW;
        for (pause, event) in events {
            now = now + pause;
            if let Event::Jump(secs) = event {
                now = jumped(now, secs);
            }
            throttle = throttle.corrected(now).unwrap_or(throttle);
            if let Admission::Wait { until } = throttle.admit(now) {
                prop_assert!(until > now && until <= now + LONGEST_WAIT);
            }
            prop_assert_eq!(throttle.admit(now + LONGEST_WAIT), Admission::Open);
            throttle = match event {
                Event::Guess if throttle.admit(now) == Admission::Open => {
                    throttle.fail(now, ThrottlePolicy::TOTP).throttle
                }
                Event::Login if throttle.admit(now) == Admission::Open => throttle.succeed(now),
                _ => throttle,
            };
        }
    }

    #[test]
    fn clock_set_back_frees_nobody(failures in 1_u32..60, secs in 0_i64..40_000_000) {
        let mut throttle = Throttle::default();
        for _ in 0..failures {
            throttle = throttle.fail(NOW, ThrottlePolicy::RECOVERY).throttle;
        }
        let back = jumped(NOW, -secs);
        let after = throttle.corrected(back).unwrap_or_else(|| throttle.clone());
        prop_assert_eq!(after.in_a_row, throttle.in_a_row);
        prop_assert_eq!(after.window_failures, throttle.window_failures);
        let waiting = matches!(throttle.admit(NOW), Admission::Wait { .. });
        prop_assert_eq!(matches!(after.admit(back), Admission::Wait { .. }), waiting);
        prop_assert_eq!(after.admit(back), throttle.admit(back));
        let (one, other) = (
            after.fail(back, ThrottlePolicy::RECOVERY),
            throttle.fail(back, ThrottlePolicy::RECOVERY),
        );
        prop_assert_eq!(one, other);
    }

    #[test]
    fn success_keeps_the_weeks_count(events in events(false)) {
        let mut throttle = Throttle::default();
        let mut now = NOW;
        let mut week: Option<(Timestamp, u32)> = None;
        for (pause, event) in events {
            now = now + pause;
            let ended = week.is_some_and(|(start, _)| now.saturating_since(start) >= LONG_WINDOW);
            if ended {
                week = None;
            }
            if let Event::Guess = event {
                let (start, count) = week.unwrap_or((now, 0));
                week = Some((start, count + 1));
                throttle = throttle.fail(now, ThrottlePolicy::TOTP).throttle;
            } else {
                throttle = throttle.succeed(now);
                prop_assert_eq!((throttle.in_a_row, throttle.wait_until), (0, None));
            }
            let kept = throttle.window_started.map(|start| (start, throttle.window_failures));
            prop_assert_eq!(kept, week);
        }
    }
}

/// `now` moved by `secs` seconds.
fn jumped(now: Timestamp, secs: i64) -> Timestamp {
    let by = Duration::from_secs(secs.unsigned_abs());
    if secs < 0 { now - by } else { now + by }
}
