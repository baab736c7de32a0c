//! Which codes are accepted: drift, replay, and several authenticators.

use std::time::Duration;

use myelin_ambient::{SeededEntropy, Timestamp};
use myelin_two_factor::{
    AuthenticatorId, Match, Step, TotpParameters, TotpToken, Verdict,
    totp::{verify, verify_any},
};
use proptest::prelude::*;

use crate::{NOW, at_secs, secret, token, with_window};

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn drift_is_forgiven_up_to_the_window_and_no_further() {
    let secret = secret(1);
    for window in 0..=2 {
        let parameters = with_window(window);
        let Step(current) = parameters.step_at(NOW);
        for drift in -4_i64..=4 {
            let step = Step(current.checked_add_signed(drift).unwrap());
            let token = TotpToken::generate(&secret, step, &parameters);
            let expected = if drift.unsigned_abs() <= u64::from(window) {
                Verdict::Accepted(step)
            } else {
                Verdict::Wrong
            };
            let verdict = verify(&secret, &token, &parameters, NOW, None);
            assert_eq!(verdict, expected, "drift {drift}, window {window}");
        }
    }
}

#[test]
fn code_lives_from_its_first_to_its_last_millisecond() {
    let secret = secret(2);
    let step = 50_000_000;
    for window in 0..=2_u8 {
        let parameters = with_window(window);
        let token = TotpToken::generate(&secret, Step(step), &parameters);
        let first = at_secs((step - u64::from(window)) * 30);
        let past = at_secs((step + u64::from(window) + 1) * 30);
        let table = [
            (first - MILLISECOND, Verdict::Wrong),
            (first, Verdict::Accepted(Step(step))),
            (past - MILLISECOND, Verdict::Accepted(Step(step))),
            (past, Verdict::Wrong),
        ];
        for (now, expected) in table {
            let verdict = verify(&secret, &token, &parameters, now, None);
            assert_eq!(verdict, expected, "{now}, window {window}");
        }
    }
}

#[test]
fn epoch_and_end_of_time_have_no_step_outside() {
    let secret = secret(3);
    let parameters = with_window(2);
    let epoch = Timestamp::from_millis(0);
    for (step, now) in [(0, epoch), (2, epoch)] {
        let token = TotpToken::generate(&secret, Step(step), &parameters);
        let verdict = verify(&secret, &token, &parameters, now, None);
        assert_eq!(verdict, Verdict::Accepted(Step(step)));
    }
    let end = Timestamp::from_millis(u64::MAX);
    let last = parameters.step_at(end);
    let token = TotpToken::generate(&secret, last, &parameters);
    assert_eq!(verify(&secret, &token, &parameters, end, None), Verdict::Accepted(last));
}

#[test]
fn replayed_code_is_rejected() {
    let secret = secret(4);
    let parameters = TotpParameters::default();
    let Step(current) = parameters.step_at(NOW);
    // The step of the code, the last accepted step, the verdict.
    let table = [
        (current, Some(current - 1), Verdict::Accepted(Step(current))),
        (current, Some(current), Verdict::Replayed),
        (current, Some(current + 1), Verdict::Replayed),
        (current - 1, Some(current), Verdict::Replayed),
        (current - 1, Some(current - 2), Verdict::Accepted(Step(current - 1))),
        (current + 1, Some(current), Verdict::Accepted(Step(current + 1))),
        (current + 1, Some(u64::MAX), Verdict::Replayed),
        (current, Some(0), Verdict::Accepted(Step(current))),
        // Out of the window it is a guess, whatever was spent.
        (current - 2, Some(current), Verdict::Wrong),
        (current + 2, Some(current), Verdict::Wrong),
    ];
    for (step, last, expected) in table {
        let token = TotpToken::generate(&secret, Step(step), &parameters);
        let verdict = verify(&secret, &token, &parameters, NOW, last.map(Step));
        assert_eq!(verdict, expected, "step {step} after {last:?}");
    }
}

#[test]
fn step_zero_can_be_spent() {
    let secret = secret(5);
    let parameters = TotpParameters::default();
    let token = TotpToken::generate(&secret, Step(0), &parameters);
    let verdict = |last| verify(&secret, &token, &parameters, at_secs(0), last);
    assert_eq!(verdict(None), Verdict::Accepted(Step(0)));
    assert_eq!(verdict(Some(Step(0))), Verdict::Replayed);
}

#[test]
fn code_of_several_steps_spends_the_earliest_that_is_left() {
    let secret = secret(COINCIDENCE.0);
    let parameters = TotpParameters::default();
    let step = COINCIDENCE.1;
    let now = at_secs((step + 1) * 30);
    let token = TotpToken::generate(&secret, Step(step), &parameters);
    let later = TotpToken::generate(&secret, Step(step + 2), &parameters);
    assert_eq!(token.expose(), later.expose(), "the steps were chosen for this");
    let verdict = |last: Option<u64>| verify(&secret, &token, &parameters, now, last.map(Step));
    assert_eq!(verdict(None), Verdict::Accepted(Step(step)));
    assert_eq!(verdict(Some(step - 1)), Verdict::Accepted(Step(step)));
    assert_eq!(verdict(Some(step)), Verdict::Accepted(Step(step + 2)));
    assert_eq!(verdict(Some(step + 1)), Verdict::Accepted(Step(step + 2)));
    assert_eq!(verdict(Some(step + 2)), Verdict::Replayed);
}

/// A seed, and a step whose code is also that of the second step after it.
const COINCIDENCE: (u64, u64) = (6, 2_568_231);

#[test]
fn code_of_any_authenticator_is_found() {
    let entropy = SeededEntropy::new(7);
    let parameters = TotpParameters::default();
    let step = parameters.step_at(NOW);
    let owned: Vec<_> =
        (0..5).map(|seed| (AuthenticatorId::generate(&entropy), secret(seed))).collect();
    let candidates: Vec<_> = owned.iter().map(|(id, secret)| (id, secret, None)).collect();
    for (id, secret) in &owned {
        let token = TotpToken::generate(secret, step, &parameters);
        let expected = Match { authenticator: id.clone(), verdict: Verdict::Accepted(step) };
        assert_eq!(verify_any(&candidates, &token, &parameters, NOW), Some(expected));
    }
    let stranger = TotpToken::generate(&secret(99), step, &parameters);
    assert_eq!(verify_any(&candidates, &stranger, &parameters, NOW), None);
    assert_eq!(verify_any(&[], &stranger, &parameters, NOW), None);
}

#[test]
fn accepted_wins_over_replayed_in_any_order() {
    let entropy = SeededEntropy::new(8);
    let (spent, fresh) = (AuthenticatorId::generate(&entropy), AuthenticatorId::generate(&entropy));
    let (shared, other) = (secret(9), secret(10));
    let parameters = TotpParameters::default();
    let step = parameters.step_at(NOW);
    let token = TotpToken::generate(&shared, step, &parameters);
    let replayed = (&spent, &shared, Some(step));
    let accepted = (&fresh, &shared, None);
    let wrong = (&spent, &other, None);
    for candidates in [[wrong, replayed, accepted], [accepted, replayed, wrong]] {
        let found = verify_any(&candidates, &token, &parameters, NOW).unwrap();
        assert_eq!(found.authenticator, fresh);
        assert_eq!(found.verdict, Verdict::Accepted(step));
    }
    for candidates in [[wrong, replayed], [replayed, wrong]] {
        let found = verify_any(&candidates, &token, &parameters, NOW).unwrap();
        assert_eq!((found.authenticator, found.verdict), (spent.clone(), Verdict::Replayed));
    }
}

proptest! {
    #[test]
    fn accepted_steps_only_grow_however_the_clock_moves(
        seed: u64,
        window in 0_u8..=2,
        attempts in prop::collection::vec((-100_i64..100, -4_i64..=4), 1..60),
    ) {
        let secret = secret(seed);
        let parameters = with_window(window);
        let mut now = NOW;
        let mut last = None;
        for (secs, drift) in attempts {
            now = at_secs(now.as_secs().saturating_add_signed(secs));
            let Step(current) = parameters.step_at(now);
            let step = Step(current.saturating_add_signed(drift));
            let token = TotpToken::generate(&secret, step, &parameters);
            if let Verdict::Accepted(accepted) = verify(&secret, &token, &parameters, now, last) {
                prop_assert!(last.is_none_or(|last| accepted > last));
                prop_assert!(accepted.0.abs_diff(current) <= u64::from(window));
                last = Some(accepted);
                let again = verify(&secret, &token, &parameters, now, last);
                prop_assert!(!matches!(again, Verdict::Accepted(step) if step <= accepted));
            }
        }
    }

    #[test]
    fn no_code_outside_the_window_is_accepted(seed: u64, secs in 0_u64..1 << 40, code in 0..1_000_000) {
        let secret = secret(seed);
        let parameters = TotpParameters::default();
        let text = format!("{code:06}");
        let now = at_secs(secs);
        let Step(current) = parameters.step_at(now);
        let valid = (current.saturating_sub(1)..=current + 1).any(|step| {
            TotpToken::generate(&secret, Step(step), &parameters).expose() == text
        });
        let verdict = verify(&secret, &token(&text), &parameters, now, None);
        prop_assert_eq!(matches!(verdict, Verdict::Accepted(_)), valid);
        prop_assert!(verdict != Verdict::Replayed);
    }
}
