//! A recovery code works once, and only in its set.

use myelin_storage::{Action, Change, Spend};
use myelin_testing::fixture::{commit, enrol, event, factors_of, open_login, unhashed_codes};
use myelin_testing::{NOW, TestDatabase, on_every_database};
use myelin_two_factor::{Throttle, recovery};

use crate::support::{alice, bob, change, finish, is_open, recovery_code, snapshot};

on_every_database!(
    a_recovery_code_is_found_by_its_hash,
    a_recovery_code_is_redeemed_once,
    an_unknown_recovery_code_moves_nothing,
    a_recovery_code_has_its_own_counter,
    recovery_works_while_codes_are_throttled_and_disabled,
    new_codes_replace_all_old_ones,
    the_last_recovery_code_leaves_an_empty_set,
    a_recovery_code_decided_on_an_old_set_is_stale,
    another_users_codes_are_untouched,
);

async fn a_recovery_code_is_found_by_its_hash(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 3, NOW).await;
    let codes = factors_of(&*store, &alice()).await.codes.expect("they are there");
    let unused: Vec<_> = codes
        .unused
        .iter()
        .map(|(index, sealed)| {
            let hash = store.unseal_hash(&alice(), *index, sealed).expect("the key is at hand");
            (*index, hash)
        })
        .collect();
    for (index, code) in (0..).zip(&user.codes) {
        assert_eq!(recovery::find(&code.hash(&codes.salt), &unused), Some(index));
    }
}

async fn a_recovery_code_is_redeemed_once(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 3, NOW).await;
    let first = open_login(&*store, &alice(), NOW).await;
    let second = open_login(&*store, &alice(), NOW).await;
    let factors = factors_of(&*store, &alice()).await;
    assert!(finish(&*store, &first, &factors, recovery_code(1)).await);
    assert!(!is_open(&*store, &first).await);
    let factors = factors_of(&*store, &alice()).await;
    let codes = factors.codes.as_ref().expect("two are left");
    let left: Vec<_> = codes.unused.iter().map(|(index, _)| *index).collect();
    assert_eq!((left, codes.total), (vec![0, 2], 3));
    let before = snapshot(&*store, &alice(), &[&second]).await;
    assert!(!finish(&*store, &second, &factors, recovery_code(1)).await);
    assert_eq!(snapshot(&*store, &alice(), &[&second]).await, before);
}

async fn an_unknown_recovery_code_moves_nothing(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    enrol(&*store, &bob(), 3, NOW).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let before = snapshot(&*store, &alice(), &[&session]).await;
    let factors = factors_of(&*store, &alice()).await;
    for index in [2, u32::MAX] {
        assert!(!finish(&*store, &session, &factors, recovery_code(index)).await);
    }
    assert_eq!(snapshot(&*store, &alice(), &[&session]).await, before);
}

async fn a_recovery_code_has_its_own_counter(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    let totp = Throttle { in_a_row: 5, wait_until: Some(NOW), ..Throttle::default() };
    let recovery = Throttle { in_a_row: 2, ..Throttle::default() };
    let counts = [
        Change::CountTotpFailure { throttle: totp.clone(), disable: false },
        Change::CountRecoveryFailure { throttle: recovery.clone() },
    ];
    for count in counts {
        let factors = factors_of(&*store, &alice()).await;
        assert!(change(&*store, &factors, count, Action::TotpFailed).await);
    }
    let factors = factors_of(&*store, &alice()).await;
    assert_eq!((&factors.totp, &factors.recovery), (&totp, &recovery));
    let session = open_login(&*store, &alice(), NOW).await;
    let after = Throttle { window_started: Some(NOW), window_failures: 2, ..Throttle::default() };
    let spend = Spend::Recovery { index: 0, throttle: after.clone() };
    assert!(finish(&*store, &session, &factors, spend).await);
    let factors = factors_of(&*store, &alice()).await;
    assert_eq!((&factors.totp, &factors.recovery), (&totp, &after));
}

async fn recovery_works_while_codes_are_throttled_and_disabled(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    let wait_until = Some(NOW + std::time::Duration::from_hours(1));
    let throttle = Throttle { wait_until, ..Throttle::default() };
    let disable = Change::CountTotpFailure { throttle, disable: true };
    let factors = factors_of(&*store, &alice()).await;
    assert!(change(&*store, &factors, disable, Action::TotpDisabled).await);
    let session = open_login(&*store, &alice(), NOW).await;
    let factors = factors_of(&*store, &alice()).await;
    assert!(factors.recoverable());
    assert!(finish(&*store, &session, &factors, recovery_code(0)).await);
}

async fn new_codes_replace_all_old_ones(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 10, NOW).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let factors = factors_of(&*store, &alice()).await;
    assert!(finish(&*store, &session, &factors, recovery_code(4)).await);
    let codes = unhashed_codes(4);
    let regenerated = event(&alice(), Action::RecoveryRegenerated, NOW);
    let factors = factors_of(&*store, &alice()).await;
    commit(&*store, &factors, Change::Regenerate { codes: codes.clone() }, regenerated).await;
    let kept = factors_of(&*store, &alice()).await.codes.expect("they are there");
    assert_eq!((kept.salt, kept.generated, kept.total), (codes.salt, NOW, 4));
    assert_eq!(kept.unused.len(), 4);
    for (index, sealed) in &kept.unused {
        let hash = store.unseal_hash(&alice(), *index, sealed).expect("the key is at hand");
        assert_eq!(hash, codes.hashes[*index as usize]);
    }
}

async fn the_last_recovery_code_leaves_an_empty_set(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 1, NOW).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let factors = factors_of(&*store, &alice()).await;
    assert!(finish(&*store, &session, &factors, recovery_code(0)).await);
    let factors = factors_of(&*store, &alice()).await;
    assert!(factors.protect() && !factors.recoverable());
    // The status endpoint says `remaining: 0` with the total, not nothing.
    let codes = factors.codes.expect("the set is still known");
    assert_eq!((codes.unused.len(), codes.total), (0, 1));
}

async fn a_recovery_code_decided_on_an_old_set_is_stale(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    let old = factors_of(&*store, &alice()).await;
    let regenerate = Change::Regenerate { codes: unhashed_codes(2) };
    assert!(change(&*store, &old, regenerate, Action::RecoveryRegenerated).await);
    // Opened after it: only the version tells that the code is of the old set.
    let session = open_login(&*store, &alice(), NOW).await;
    let before = snapshot(&*store, &alice(), &[&session]).await;
    assert!(!finish(&*store, &session, &old, recovery_code(0)).await);
    assert_eq!(snapshot(&*store, &alice(), &[&session]).await, before);
}

async fn another_users_codes_are_untouched(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    enrol(&*store, &bob(), 2, NOW).await;
    let of_bob = snapshot(&*store, &bob(), &[]).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let factors = factors_of(&*store, &alice()).await;
    assert!(finish(&*store, &session, &factors, recovery_code(0)).await);
    let factors = factors_of(&*store, &alice()).await;
    let regenerate = Change::Regenerate { codes: unhashed_codes(2) };
    assert!(change(&*store, &factors, regenerate, Action::RecoveryRegenerated).await);
    assert_eq!(snapshot(&*store, &bob(), &[]).await, of_bob);
}
