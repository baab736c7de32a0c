//! A code works once.

use myelin_storage::{Action, Change, Outcome, Spend};
use myelin_testing::fixture::{enrol, event, factors_of, open_login};
use myelin_testing::{NOW, TestDatabase, on_every_database};
use myelin_two_factor::{Status, Step, Throttle};
use myelin_uia::{Flows, Kept, Session, Stage};

use crate::sessions::{anonymous_binding, anonymous_session};
use crate::support::{
    Attempt, admit, alice, attempt, bob, change, code, current_step, finish, is_open, snapshot,
    times,
};

on_every_database!(
    a_code_is_spent_once,
    a_code_is_spent_for_every_session_of_the_user,
    a_code_of_an_earlier_step_is_refused,
    a_spent_code_is_written_down_whole,
    a_code_decided_on_old_factors_is_stale,
    a_code_of_another_user_moves_nothing,
    factors_of_another_user_move_nothing,
    a_code_of_a_pending_or_disabled_authenticator_moves_nothing,
    authenticators_count_their_steps_apart,
    a_code_without_factors_never_passes,
    a_code_never_passes_a_session_without_a_user,
    the_callers_loop_accepts_a_code_once_and_the_next_one_after,
);

async fn a_code_is_spent_once(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let first = open_login(&*store, &user.user, NOW).await;
    let second = open_login(&*store, &user.user, NOW).await;
    let factors = factors_of(&*store, &user.user).await;
    assert!(finish(&*store, &first, &factors, code(&user, current_step())).await);
    let before = snapshot(&*store, &user.user, &[&first, &second]).await;
    // Decided on the newest factors: the store itself refuses the step.
    let factors = factors_of(&*store, &user.user).await;
    assert!(!finish(&*store, &second, &factors, code(&user, current_step())).await);
    assert_eq!(snapshot(&*store, &user.user, &[&first, &second]).await, before);
}

async fn a_code_is_spent_for_every_session_of_the_user(database: &TestDatabase) {
    let (one, other) = (database.open().await.store, database.open().await.store);
    let user = enrol(&*one, &alice(), 0, NOW).await;
    let (first, second) =
        (open_login(&*one, &alice(), NOW).await, open_login(&*other, &alice(), NOW).await);
    let token = || user.code(current_step());
    assert_eq!(attempt(one.clone(), first.id.clone(), token(), NOW).await, Attempt::Passed);
    assert_eq!(attempt(other, second.id.clone(), token(), NOW).await, Attempt::Replayed);
}

async fn a_code_of_an_earlier_step_is_refused(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let first = open_login(&*store, &user.user, NOW).await;
    let second = open_login(&*store, &user.user, NOW).await;
    let factors = factors_of(&*store, &user.user).await;
    let Step(step) = current_step();
    assert!(finish(&*store, &first, &factors, code(&user, Step(step + 1))).await);
    let factors = factors_of(&*store, &user.user).await;
    assert!(!finish(&*store, &second, &factors, code(&user, Step(step))).await);
    assert!(finish(&*store, &second, &factors, code(&user, Step(step + 2))).await);
}

async fn a_spent_code_is_written_down_whole(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let session = open_login(&*store, &user.user, NOW).await;
    let factors = factors_of(&*store, &user.user).await;
    let throttle =
        Throttle { window_started: Some(NOW), window_failures: 3, ..Throttle::default() };
    let spend = Spend::Totp {
        authenticator: user.authenticator.clone(),
        step: current_step(),
        throttle: throttle.clone(),
    };
    assert!(finish(&*store, &session, &factors, spend).await);
    let after = factors_of(&*store, &user.user).await;
    let authenticator = after.authenticator(&user.authenticator).expect("it is still there");
    assert_eq!(authenticator.last_step, Some(current_step()));
    assert_eq!(authenticator.last_used, Some(NOW));
    assert_eq!(after.totp, throttle);
    assert_eq!(after.recovery, factors.recovery);
    assert_ne!(after.version, factors.version);
    assert!(!is_open(&*store, &session).await);
    assert_eq!(times(&*store, &user.user, Action::TotpPassed).await, 1);
}

async fn a_code_decided_on_old_factors_is_stale(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let session = open_login(&*store, &user.user, NOW).await;
    let old = factors_of(&*store, &user.user).await;
    let throttle = Throttle { in_a_row: 1, ..Throttle::default() };
    let count = Change::CountTotpFailure { throttle, disable: false };
    assert!(change(&*store, &old, count, Action::TotpFailed).await);
    let before = snapshot(&*store, &user.user, &[&session]).await;
    assert!(!finish(&*store, &session, &old, code(&user, current_step())).await);
    assert_eq!(snapshot(&*store, &user.user, &[&session]).await, before);
}

async fn a_code_of_another_user_moves_nothing(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let other = enrol(&*store, &bob(), 0, NOW).await;
    let session = open_login(&*store, &user.user, NOW).await;
    let before = (
        snapshot(&*store, &user.user, &[&session]).await,
        snapshot(&*store, &other.user, &[]).await,
    );
    let factors = factors_of(&*store, &user.user).await;
    assert!(!finish(&*store, &session, &factors, code(&other, current_step())).await);
    let after = (
        snapshot(&*store, &user.user, &[&session]).await,
        snapshot(&*store, &other.user, &[]).await,
    );
    assert_eq!(after, before);
}

async fn factors_of_another_user_move_nothing(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 2, NOW).await;
    let other = enrol(&*store, &bob(), 2, NOW).await;
    let session = open_login(&*store, &user.user, NOW).await;
    let before = (
        snapshot(&*store, &user.user, &[&session]).await,
        snapshot(&*store, &other.user, &[]).await,
    );
    // Bob has the password of alice, and his own authenticator and codes.
    let factors = factors_of(&*store, &other.user).await;
    let spends = [
        (Stage::Totp, code(&other, current_step())),
        (Stage::Recovery, crate::support::recovery_code(0)),
    ];
    for (stage, spend) in spends {
        let event = event(&other.user, Action::TotpPassed, NOW);
        let admitted = admit(&session, stage);
        let outcome = store.pass_stage(admitted, Some(&factors), spend, NOW, Some(event)).await;
        assert!(!matches!(outcome, Ok(Outcome::Committed(_))), "{stage:?} passed");
    }
    let after = (
        snapshot(&*store, &user.user, &[&session]).await,
        snapshot(&*store, &other.user, &[]).await,
    );
    assert_eq!(after, before);
}

async fn a_code_of_a_pending_or_disabled_authenticator_moves_nothing(database: &TestDatabase) {
    let store = database.open().await.store;
    let mut user = enrol(&*store, &alice(), 0, NOW).await;
    let active = user.authenticator.clone();
    user.authenticator = crate::enrolment::begin(&*store, &user.user).await;
    let session = open_login(&*store, &user.user, NOW).await;
    let factors = factors_of(&*store, &user.user).await;
    assert!(!finish(&*store, &session, &factors, code(&user, current_step())).await);
    let disable = Change::CountTotpFailure { throttle: Throttle::default(), disable: true };
    assert!(change(&*store, &factors, disable, Action::TotpDisabled).await);
    user.authenticator = active;
    let session = open_login(&*store, &user.user, NOW).await;
    let factors = factors_of(&*store, &user.user).await;
    let disabled = factors.authenticator(&user.authenticator).expect("it is still there");
    assert_eq!(disabled.status, Status::Disabled);
    assert!(!finish(&*store, &session, &factors, code(&user, current_step())).await);
    assert!(is_open(&*store, &session).await);
}

async fn authenticators_count_their_steps_apart(database: &TestDatabase) {
    let store = database.open().await.store;
    let phone = enrol(&*store, &alice(), 0, NOW).await;
    let tablet = enrol(&*store, &alice(), 0, NOW).await;
    for user in [&phone, &tablet] {
        let session = open_login(&*store, &user.user, NOW).await;
        let factors = factors_of(&*store, &user.user).await;
        assert!(finish(&*store, &session, &factors, code(user, current_step())).await);
    }
}

async fn a_code_without_factors_never_passes(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let session = open_login(&*store, &user.user, NOW).await;
    let spend = code(&user, current_step());
    let outcome = store.pass_stage(admit(&session, Stage::Totp), None, spend, NOW, None).await;
    assert!(!matches!(outcome, Ok(Outcome::Committed(_))));
    assert!(is_open(&*store, &session).await);
}

async fn a_code_never_passes_a_session_without_a_user(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let nobody = Session::restore(Kept {
        completed: vec![Stage::Password],
        ..anonymous_session().0.into_kept()
    });
    crate::sessions::keep_anonymous(&*store, &nobody).await;
    let flows = Flows::new([[Stage::Password, Stage::Totp]]);
    let admitted =
        nobody.clone().admit(&anonymous_binding(), &flows, Stage::Totp, NOW).expect("it may come");
    let factors = factors_of(&*store, &user.user).await;
    let spend = code(&user, current_step());
    let outcome = store.pass_stage(admitted, Some(&factors), spend, NOW, None).await;
    assert!(!matches!(outcome, Ok(Outcome::Committed(_))));
    let after = factors_of(&*store, &user.user).await;
    assert_eq!(after.version, factors.version);
}

async fn the_callers_loop_accepts_a_code_once_and_the_next_one_after(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let Step(step) = current_step();
    let cases = [
        (step, Attempt::Passed),
        (step, Attempt::Replayed),
        (step - 1, Attempt::Replayed),
        (step + 1, Attempt::Passed),
        (step + 1, Attempt::Replayed),
    ];
    for (step, expected) in cases {
        let session = open_login(&*store, &user.user, NOW).await;
        let token = user.code(Step(step));
        assert_eq!(attempt(store.clone(), session.id.clone(), token, NOW).await, expected);
    }
}
