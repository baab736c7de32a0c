//! One counter per user and kind of code, and it loses nothing.

use myelin_storage::{Action, Change};
use myelin_testing::fixture::{enrol, factors_of, open_login};
use myelin_testing::race::race;
use myelin_testing::{NOW, SeededUser, TestDatabase, on_every_database};
use myelin_two_factor::limits::FREE_FAILURES;
use myelin_two_factor::{Admission, Status, Throttle};

use crate::support::{
    Attempt, alice, attempt, bob, change, count, current_step, snapshot, times, wrong_code,
};

on_every_database!(
    failures_survive_reopening,
    a_count_on_old_factors_is_stale_and_leaves_nothing,
    counters_of_users_are_apart,
    far_too_many_failures_disable_what_is_active,
    of_a_hundred_parallel_guesses_five_are_evaluated,
    the_right_code_waits_like_a_wrong_one,
    parallel_failures_are_all_counted,
);

/// Guesses in one race: more than are evaluated, from two processes.
const GUESSES: usize = 100;

/// Failures that race to be counted. Each may need as many tries as there are
/// others.
const FAILURES: u32 = 32;

async fn failures_survive_reopening(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    let totp = Throttle {
        in_a_row: 7,
        window_started: Some(NOW),
        window_failures: 19,
        wait_until: Some(NOW + std::time::Duration::from_millis(1)),
    };
    let recovery = Throttle { in_a_row: u32::MAX, window_failures: u32::MAX, ..totp.clone() };
    let counts = [
        Change::CountTotpFailure { throttle: totp.clone(), disable: false },
        Change::CountRecoveryFailure { throttle: recovery.clone() },
    ];
    for count in counts {
        let factors = factors_of(&*store, &alice()).await;
        assert!(change(&*store, &factors, count, Action::TotpFailed).await);
    }
    drop(store);
    let factors = factors_of(&*database.open().await.store, &alice()).await;
    assert_eq!((factors.totp, factors.recovery), (totp, recovery));
}

async fn a_count_on_old_factors_is_stale_and_leaves_nothing(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 0, NOW).await;
    let old = factors_of(&*store, &alice()).await;
    assert!(count(&*store, &old, NOW).await);
    let before = snapshot(&*store, &alice(), &[]).await;
    assert!(!count(&*store, &old, NOW).await);
    assert_eq!(snapshot(&*store, &alice(), &[]).await, before);
}

async fn counters_of_users_are_apart(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 0, NOW).await;
    enrol(&*store, &bob(), 0, NOW).await;
    let of_bob = snapshot(&*store, &bob(), &[]).await;
    let factors = factors_of(&*store, &alice()).await;
    assert!(count(&*store, &factors, NOW).await);
    assert_eq!(snapshot(&*store, &bob(), &[]).await, of_bob);
}

async fn far_too_many_failures_disable_what_is_active(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    enrol(&*store, &alice(), 0, NOW).await;
    for _ in 0..myelin_two_factor::limits::DISABLE_AFTER {
        let factors = factors_of(&*store, &alice()).await;
        assert!(count(&*store, &factors, NOW).await);
    }
    let factors = factors_of(&*store, &alice()).await;
    assert_eq!(factors.authenticators.len(), 2);
    assert!(factors.authenticators.iter().all(|one| one.status == Status::Disabled));
    assert!(factors.protect() && factors.recoverable());
}

/// What came of that many wrong codes, each in a session of its own, at the
/// same time in two processes.
async fn guess(database: &TestDatabase, user: &SeededUser) -> Vec<Attempt> {
    let stores = [database.open().await.store, database.open().await.store];
    let session = open_login(&*stores[0], &user.user, NOW).await;
    race((0..GUESSES).map(|number| {
        let (store, id) = (stores[number % 2].clone(), session.id.clone());
        attempt(store, id, wrong_code(user), NOW)
    }))
    .await
}

async fn of_a_hundred_parallel_guesses_five_are_evaluated(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let attempts = guess(database, &user).await;
    let evaluated = attempts.iter().filter(|outcome| **outcome == Attempt::Wrong).count();
    let waiting = attempts.iter().filter(|outcome| **outcome == Attempt::Waiting).count();
    let limit = FREE_FAILURES + 1;
    assert_eq!((evaluated, waiting), (limit as usize, GUESSES - limit as usize));
    let factors = factors_of(&*store, &alice()).await;
    assert_eq!((factors.totp.in_a_row, factors.totp.window_failures), (limit, limit));
    assert!(matches!(factors.totp.admit(NOW), Admission::Wait { .. }));
    assert_eq!(times(&*store, &alice(), Action::TotpFailed).await, limit as usize);
}

async fn the_right_code_waits_like_a_wrong_one(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    guess(database, &user).await;
    let before = snapshot(&*store, &alice(), &[]).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let token = user.code(current_step());
    assert_eq!(attempt(store.clone(), session.id.clone(), token, NOW).await, Attempt::Waiting);
    assert_eq!(snapshot(&*store, &alice(), &[]).await, before);
}

async fn parallel_failures_are_all_counted(database: &TestDatabase) {
    let stores = [database.open().await.store, database.open().await.store];
    enrol(&*stores[0], &alice(), 0, NOW).await;
    race((0..FAILURES as usize).map(|number| {
        let store = stores[number % 2].clone();
        async move {
            // They were all admitted before the first one was counted.
            loop {
                let factors = factors_of(&*store, &alice()).await;
                if count(&*store, &factors, NOW).await {
                    break;
                }
            }
        }
    }))
    .await;
    let factors = factors_of(&*stores[0], &alice()).await;
    assert_eq!((factors.totp.in_a_row, factors.totp.window_failures), (FAILURES, FAILURES));
    assert_eq!(times(&*stores[1], &alice(), Action::TotpFailed).await, FAILURES as usize);
}
