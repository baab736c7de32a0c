//! An authenticator's life, its name and its identifier.

use std::{collections::HashSet, time::Duration};

use myelin_ambient::{SeededEntropy, Timestamp};
use myelin_two_factor::{
    Authenticator, AuthenticatorId, Confirmation, Name, NameError, Status, Step, TotpParameters,
    TotpToken, Verdict,
    limits::{MAX_CONFIRM_FAILURES, PENDING_LIFETIME},
    totp::verify,
};
use proptest::prelude::*;

use crate::NOW;

const PARAMETERS: fn() -> TotpParameters = TotpParameters::default;

fn pending() -> Authenticator {
    Authenticator::enrol(Name::default(), NOW, &SeededEntropy::new(1))
}

fn code(authenticator: &Authenticator, now: Timestamp) -> TotpToken {
    TotpToken::generate(&authenticator.secret, PARAMETERS().step_at(now), &PARAMETERS())
}

/// A well-formed code that is wrong at `now`.
fn wrong_code(authenticator: &Authenticator, now: Timestamp) -> TotpToken {
    let is_wrong = |token: &TotpToken| {
        verify(&authenticator.secret, token, &PARAMETERS(), now, None) == Verdict::Wrong
    };
    (0..10).map(|code| crate::token(&format!("{code:06}"))).find(is_wrong).expect("most are wrong")
}

fn confirmed(authenticator: Authenticator, now: Timestamp) -> Authenticator {
    let code = code(&authenticator, now);
    match authenticator.confirm(&code, &PARAMETERS(), now) {
        Confirmation::Confirmed(active) => active,
        other => panic!("not confirmed: {other:?}"),
    }
}

fn active() -> Authenticator {
    confirmed(pending(), NOW)
}

#[test]
fn enrolment_begins_pending_with_a_secret_of_its_own() {
    let entropy = SeededEntropy::new(1);
    let first = Authenticator::enrol(Name::default(), NOW, &entropy);
    let second = Authenticator::enrol(Name::default(), NOW, &entropy);
    assert_eq!(first.status, Status::Pending);
    assert_eq!((first.last_used, first.last_step, first.confirm_failures), (None, None, 0));
    assert_eq!(first.created, NOW);
    assert_ne!(first.id, second.id);
    assert_ne!(first.secret.expose(), second.secret.expose());
}

#[test]
fn right_code_activates_and_is_spent() {
    let later = NOW + Duration::from_secs(100);
    let active = confirmed(pending(), later);
    assert_eq!(active.status, Status::Active);
    assert_eq!(active.last_used, Some(later));
    assert_eq!(active.last_step, Some(PARAMETERS().step_at(later)));
    let verdict =
        verify(&active.secret, &code(&active, later), &PARAMETERS(), later, active.last_step);
    assert_eq!(verdict, Verdict::Replayed);
}

#[test]
fn fifth_wrong_code_destroys_a_pending_authenticator() {
    let mut authenticator = pending();
    for failures in 1..MAX_CONFIRM_FAILURES {
        let wrong = wrong_code(&authenticator, NOW);
        let Confirmation::Wrong(next) = authenticator.confirm(&wrong, &PARAMETERS(), NOW) else {
            panic!("failure {failures} is not the last");
        };
        assert_eq!((next.confirm_failures, next.status), (failures, Status::Pending));
        authenticator = next;
    }
    let wrong = wrong_code(&authenticator, NOW);
    let confirmation = authenticator.confirm(&wrong, &PARAMETERS(), NOW);
    assert!(matches!(confirmation, Confirmation::Destroyed));
}

#[test]
fn right_code_after_four_wrong_ones_activates() {
    let mut authenticator = pending();
    authenticator.confirm_failures = MAX_CONFIRM_FAILURES - 1;
    assert_eq!(confirmed(authenticator, NOW).status, Status::Active);
}

#[test]
fn pending_authenticator_expires_after_its_lifetime() {
    let millisecond = Duration::from_millis(1);
    let deadline = NOW + PENDING_LIFETIME;
    assert_eq!(pending().confirm_by(), deadline);
    confirmed(pending(), deadline - millisecond);
    for now in [deadline, deadline + millisecond, deadline + Duration::from_hours(1000)] {
        let authenticator = pending();
        let code = code(&authenticator, now);
        let confirmation = authenticator.confirm(&code, &PARAMETERS(), now);
        assert!(matches!(confirmation, Confirmation::Expired), "{confirmation:?}");
    }
}

#[test]
fn clock_set_back_does_not_keep_a_pending_authenticator_alive() {
    let authenticator = pending();
    let now = NOW - PENDING_LIFETIME - Duration::from_millis(1);
    let code = code(&authenticator, now);
    let confirmation = authenticator.confirm(&code, &PARAMETERS(), now);
    assert!(matches!(confirmation, Confirmation::Expired));
    // A machine whose clock is a little behind may confirm.
    confirmed(pending(), NOW - Duration::from_secs(2));
}

#[test]
fn only_a_pending_authenticator_can_be_confirmed() {
    let later = NOW + Duration::from_mins(1);
    for authenticator in [active(), active().disable()] {
        let before = (authenticator.status, authenticator.last_step);
        let code = code(&authenticator, later);
        let confirmation = authenticator.confirm(&code, &PARAMETERS(), later);
        let Confirmation::NotPending(same) = confirmation else {
            panic!("{confirmation:?}");
        };
        assert_eq!((same.status, same.last_step), before);
    }
}

#[test]
fn only_an_active_authenticator_is_asked_for_codes() {
    assert!(pending().candidate().is_none());
    assert!(active().disable().candidate().is_none());
    let active = active();
    let (id, secret, last_step) = active.candidate().unwrap();
    assert_eq!(id, &active.id);
    assert_eq!(secret.expose(), active.secret.expose());
    assert_eq!(last_step, active.last_step);
}

#[test]
fn disabled_is_for_good_and_for_active_ones_only() {
    assert_eq!(pending().disable().status, Status::Pending);
    assert_eq!(active().disable().status, Status::Disabled);
    assert_eq!(active().disable().disable().status, Status::Disabled);
}

#[test]
fn status_survives_its_text() {
    for (status, text) in
        [(Status::Pending, "pending"), (Status::Active, "active"), (Status::Disabled, "disabled")]
    {
        assert_eq!(status.as_str(), text);
        assert_eq!(Status::parse(text), Some(status));
    }
    for text in ["", "Active", "active ", "removed"] {
        assert_eq!(Status::parse(text), None, "{text:?}");
    }
}

#[test]
fn bad_names_are_refused() {
    let table = [
        ("", NameError::Empty),
        (&*"x".repeat(65), NameError::TooLong),
        (&*"ü".repeat(65), NameError::TooLong),
        ("a\nb", NameError::ControlCharacter),
        ("a\0", NameError::ControlCharacter),
        ("\u{1b}[31m", NameError::ControlCharacter),
        ("\u{85}", NameError::ControlCharacter),
        (" Phone", NameError::OuterWhitespace),
        ("Phone ", NameError::OuterWhitespace),
        ("\u{3000}", NameError::OuterWhitespace),
        (" ", NameError::OuterWhitespace),
    ];
    for (text, expected) in table {
        assert_eq!(Name::parse(Some(text)), Err(expected), "{text:?}");
    }
}

#[test]
fn good_names_are_kept_as_they_are() {
    assert_eq!(Name::parse(None).unwrap().as_str(), "Authenticator");
    for text in ["P", "My phone", "<script>", "手机", &"ü".repeat(64), &"📱".repeat(64)] {
        assert_eq!(Name::parse(Some(text)).unwrap().as_str(), text);
    }
}

#[test]
fn identifiers_of_another_form_are_refused() {
    let table = [
        "",
        "t_",
        "t_AAAAAAAAAAAAAAA",
        "t_AAAAAAAAAAAAAAAAA",
        "T_AAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAA",
        "t_AAAAAAAAAAAAAAA/",
        "t_AAAAAAAAAAAAAAA+",
        "t_AAAAAAAAAAAAAAA=",
        "t_AAAAAAAAAAAAAA%2",
        "t_AAAAAAAAAAAAAA..",
        " t_AAAAAAAAAAAAAAAA",
        "t_AAAAAAAAAAAAAAüA",
    ];
    for text in table {
        assert_eq!(AuthenticatorId::parse(text), None, "{text:?}");
    }
    assert!(AuthenticatorId::parse("t_AZaz09-_AZaz09-_").is_some());
}

#[test]
fn generated_identifiers_are_well_formed_and_differ() {
    let entropy = SeededEntropy::new(3);
    let ids: HashSet<_> = (0..1000).map(|_| AuthenticatorId::generate(&entropy)).collect();
    assert_eq!(ids.len(), 1000);
    for id in ids {
        assert_eq!(AuthenticatorId::parse(id.as_str()), Some(id));
    }
}

#[test]
fn step_that_is_spent_already_changes_nothing() {
    let active = active();
    let (step, used) = (active.last_step.unwrap(), active.last_used);
    let later = NOW + Duration::from_secs(5);
    assert_eq!(active.spend(step, later).last_used, used);
}

proptest! {
    #[test]
    fn last_step_never_goes_back(steps in prop::collection::vec(any::<u64>(), 1..50)) {
        let mut authenticator = active();
        let mut highest = authenticator.last_step;
        for (secs, step) in (1..).zip(steps) {
            let now = NOW + Duration::from_secs(secs);
            let used_before = authenticator.last_used;
            authenticator = authenticator.spend(Step(step), now);
            let grew = Some(Step(step)) > highest;
            highest = highest.max(Some(Step(step)));
            prop_assert_eq!(authenticator.last_step, highest);
            prop_assert_eq!(authenticator.last_used, if grew { Some(now) } else { used_before });
        }
    }

    #[test]
    fn any_text_is_a_name_as_it_stands_or_none(text in any::<String>()) {
        if let Ok(name) = Name::parse(Some(&text)) {
            prop_assert_eq!(name.as_str(), &text);
            prop_assert!((1..=64).contains(&text.chars().count()));
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
