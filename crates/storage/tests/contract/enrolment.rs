//! From pending to active to gone.

use myelin_ambient::SystemEntropy;
use myelin_storage::{Action, Change, Database, LogoutDevices, Store};
use myelin_testing::fixture::{enrol, event, factors_of, unhashed_codes};
use myelin_testing::{NOW, TestDatabase, on_every_database};
use myelin_two_factor::{AuthenticatorId, Name, Status, Throttle, TotpSecret};
use ruma::UserId;

use crate::devices::{login, register};
use crate::support::{alice, bob, change, current_step, log, snapshot, times};

on_every_database!(
    a_user_without_factors_has_version_zero_and_nothing,
    a_pending_authenticator_is_kept_and_protects_nothing,
    beginning_again_replaces_the_pending_one_only,
    confirming_makes_it_active_and_keeps_the_codes,
    an_authenticator_is_confirmed_once,
    nobody_confirms_the_authenticator_of_another,
    wrong_codes_at_confirmation_are_counted,
    an_active_authenticator_is_not_dropped,
    with_the_last_authenticator_the_codes_go,
    a_disabled_authenticator_keeps_the_codes,
    disabling_leaves_the_pending_one,
    renaming_is_for_the_owner,
    a_reset_leaves_nothing_and_touches_nobody_else,
    a_reset_of_nothing_is_no_reset,
    a_decision_from_before_a_reset_is_stale,
    a_decision_from_before_a_removal_is_stale,
    whatever_ends_the_sessions_of_an_account_ends_a_set_up,
);

/// Begins set-up; the pending authenticator.
pub(crate) async fn begin(store: &dyn Store, user: &UserId) -> AuthenticatorId {
    let id = AuthenticatorId::generate(&SystemEntropy);
    let begin = begin_as(&id);
    let factors = factors_of(store, user).await;
    assert!(change(store, &factors, begin, Action::EnrolmentBegun).await);
    id
}

/// Set-up of an authenticator with this id.
pub(crate) fn begin_as(id: &AuthenticatorId) -> Change {
    let secret = TotpSecret::generate(&SystemEntropy);
    Change::Begin { id: id.clone(), name: Name::default(), secret }
}

/// Confirmation with the code of the current step.
pub(crate) fn confirm(id: &AuthenticatorId, recovery_codes: usize) -> Change {
    Change::Confirm {
        id: id.clone(),
        step: current_step(),
        throttle: Throttle::default(),
        codes: (recovery_codes > 0).then(|| unhashed_codes(recovery_codes)),
    }
}

async fn a_user_without_factors_has_version_zero_and_nothing(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &bob(), 2, NOW).await;
    let factors = factors_of(&*store, &alice()).await;
    assert_eq!((factors.user.clone(), factors.version.0), (alice(), 0));
    assert!(factors.authenticators.is_empty() && factors.codes.is_none());
    assert_eq!((factors.totp, factors.recovery), (Throttle::default(), Throttle::default()));
}

async fn a_pending_authenticator_is_kept_and_protects_nothing(database: &TestDatabase) {
    let store = database.open().await.store;
    let id = AuthenticatorId::generate(&SystemEntropy);
    let secret = TotpSecret::generate(&SystemEntropy);
    let name = Name::parse(Some("Söhne & \"Töchter\" 📱")).expect("it is a name");
    let begin = Change::Begin {
        id: id.clone(),
        name: name.clone(),
        secret: TotpSecret::from_bytes(*secret.expose()),
    };
    let factors = factors_of(&*store, &alice()).await;
    assert!(change(&*store, &factors, begin, Action::EnrolmentBegun).await);
    let factors = factors_of(&*store, &alice()).await;
    assert!(!factors.protect() && !factors.recoverable());
    let [pending] = &factors.authenticators[..] else { panic!("there is one") };
    assert_eq!((&pending.id, &pending.name, pending.status), (&id, &name, Status::Pending));
    assert_eq!((pending.created, pending.last_used, pending.last_step), (NOW, None, None));
    assert_eq!(pending.confirm_failures, 0);
    let unsealed = store.unseal(&alice(), pending).expect("the key is at hand");
    assert_eq!(unsealed.expose(), secret.expose());
}

async fn beginning_again_replaces_the_pending_one_only(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let of_bob = begin(&*store, &bob()).await;
    let first = begin(&*store, &alice()).await;
    let second = begin(&*store, &alice()).await;
    let factors = factors_of(&*store, &alice()).await;
    assert!(factors.authenticator(&first).is_none());
    let ids: Vec<_> = factors.authenticators.iter().map(|one| (&one.id, one.status)).collect();
    assert_eq!(ids, [(&user.authenticator, Status::Active), (&second, Status::Pending)]);
    assert!(factors_of(&*store, &bob()).await.authenticator(&of_bob).is_some());
}

async fn confirming_makes_it_active_and_keeps_the_codes(database: &TestDatabase) {
    let store = database.open().await.store;
    let id = begin(&*store, &alice()).await;
    let factors = factors_of(&*store, &alice()).await;
    let codes = unhashed_codes(10);
    let throttle =
        Throttle { window_started: Some(NOW), window_failures: 2, ..Throttle::default() };
    let confirm = Change::Confirm {
        id: id.clone(),
        step: current_step(),
        throttle: throttle.clone(),
        codes: Some(codes.clone()),
    };
    assert!(change(&*store, &factors, confirm, Action::AuthenticatorAdded).await);
    let factors = factors_of(&*store, &alice()).await;
    assert!(factors.protect() && factors.recoverable());
    let active = factors.authenticator(&id).expect("it is there");
    assert_eq!((active.status, active.last_step), (Status::Active, Some(current_step())));
    assert_eq!(active.last_used, Some(NOW));
    assert_eq!(factors.totp, throttle);
    let kept = factors.codes.expect("they are there");
    assert_eq!((kept.salt, kept.generated, kept.total), (codes.salt, NOW, 10));
    for (place, (index, sealed)) in kept.unused.iter().enumerate() {
        assert_eq!(usize::try_from(*index), Ok(place));
        let hash = store.unseal_hash(&alice(), *index, sealed).expect("the key is at hand");
        assert_eq!(hash, codes.hashes[place]);
    }
    assert_eq!(kept.unused.len(), 10);
}

async fn an_authenticator_is_confirmed_once(database: &TestDatabase) {
    let store = database.open().await.store;
    let id = begin(&*store, &alice()).await;
    for expected in [true, false] {
        let factors = factors_of(&*store, &alice()).await;
        let committed =
            change(&*store, &factors, confirm(&id, 10), Action::AuthenticatorAdded).await;
        assert_eq!(committed, expected);
    }
    assert_eq!(times(&*store, &alice(), Action::AuthenticatorAdded).await, 1);
}

async fn nobody_confirms_the_authenticator_of_another(database: &TestDatabase) {
    let store = database.open().await.store;
    let of_bob = begin(&*store, &bob()).await;
    begin(&*store, &alice()).await;
    let before = (snapshot(&*store, &alice(), &[]).await, snapshot(&*store, &bob(), &[]).await);
    let unknown = AuthenticatorId::generate(&SystemEntropy);
    let count = Change::CountConfirmFailure { id: of_bob.clone(), failures: 1 };
    let changes = [
        confirm(&of_bob, 10),
        confirm(&unknown, 10),
        count,
        Change::Drop { id: of_bob.clone() },
        Change::Remove { id: of_bob },
    ];
    for attempt in changes {
        let factors = factors_of(&*store, &alice()).await;
        assert!(!change(&*store, &factors, attempt, Action::AuthenticatorAdded).await);
    }
    let after = (snapshot(&*store, &alice(), &[]).await, snapshot(&*store, &bob(), &[]).await);
    assert_eq!(after, before);
}

async fn wrong_codes_at_confirmation_are_counted(database: &TestDatabase) {
    let store = database.open().await.store;
    let id = begin(&*store, &alice()).await;
    for failures in 1..=4 {
        let factors = factors_of(&*store, &alice()).await;
        let count = Change::CountConfirmFailure { id: id.clone(), failures };
        assert!(change(&*store, &factors, count, Action::TotpFailed).await);
        let reopened = database.open().await.store;
        let factors = factors_of(&*reopened, &alice()).await;
        assert_eq!(factors.authenticator(&id).map(|one| one.confirm_failures), Some(failures));
    }
    let factors = factors_of(&*store, &alice()).await;
    let dropped = Change::Drop { id };
    assert!(change(&*store, &factors, dropped, Action::EnrolmentDropped).await);
    assert!(factors_of(&*store, &alice()).await.authenticators.is_empty());
}

async fn an_active_authenticator_is_not_dropped(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 2, NOW).await;
    let before = snapshot(&*store, &alice(), &[]).await;
    let factors = factors_of(&*store, &alice()).await;
    // Dropping needs no second factor, so it must not take a factor away.
    let dropped = Change::Drop { id: user.authenticator };
    assert!(!change(&*store, &factors, dropped, Action::EnrolmentDropped).await);
    assert_eq!(snapshot(&*store, &alice(), &[]).await, before);
}

async fn with_the_last_authenticator_the_codes_go(database: &TestDatabase) {
    let store = database.open().await.store;
    let first = enrol(&*store, &alice(), 2, NOW).await.authenticator;
    let second = enrol(&*store, &alice(), 0, NOW).await.authenticator;
    begin(&*store, &alice()).await;
    for (id, codes_left) in [(first, true), (second, false)] {
        let factors = factors_of(&*store, &alice()).await;
        let remove = Change::Remove { id: id.clone() };
        assert!(change(&*store, &factors, remove, Action::AuthenticatorRemoved).await);
        let factors = factors_of(&*store, &alice()).await;
        assert!(factors.authenticator(&id).is_none());
        assert_eq!(factors.codes.is_some(), codes_left);
        assert_eq!(factors.protect(), codes_left);
    }
}

async fn a_disabled_authenticator_keeps_the_codes(database: &TestDatabase) {
    let store = database.open().await.store;
    let first = enrol(&*store, &alice(), 2, NOW).await.authenticator;
    let disable = Change::CountTotpFailure { throttle: Throttle::default(), disable: true };
    let factors = factors_of(&*store, &alice()).await;
    assert!(change(&*store, &factors, disable, Action::TotpDisabled).await);
    let second = enrol(&*store, &alice(), 0, NOW).await.authenticator;
    let factors = factors_of(&*store, &alice()).await;
    assert!(
        change(&*store, &factors, Change::Remove { id: second }, Action::AuthenticatorRemoved)
            .await
    );
    let factors = factors_of(&*store, &alice()).await;
    assert!(factors.protect() && factors.recoverable());
    assert!(
        change(&*store, &factors, Change::Remove { id: first }, Action::AuthenticatorRemoved).await
    );
    assert!(factors_of(&*store, &alice()).await.codes.is_none());
}

async fn disabling_leaves_the_pending_one(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 0, NOW).await;
    enrol(&*store, &bob(), 0, NOW).await;
    begin(&*store, &alice()).await;
    let disable = Change::CountTotpFailure { throttle: Throttle::default(), disable: true };
    let factors = factors_of(&*store, &alice()).await;
    assert!(change(&*store, &factors, disable, Action::TotpDisabled).await);
    let factors = factors_of(&*store, &alice()).await;
    let status: Vec<_> = factors.authenticators.iter().map(|one| one.status).collect();
    assert_eq!(status, [Status::Disabled, Status::Pending]);
    assert!(factors.protect() && factors.active().next().is_none());
    assert!(factors_of(&*store, &bob()).await.active().next().is_some());
}

async fn renaming_is_for_the_owner(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let name = Name::parse(Some("Tablet")).expect("it is a name");
    let unknown = AuthenticatorId::generate(&SystemEntropy);
    let version = factors_of(&*store, &alice()).await.version;
    for (owner, id, expected) in [
        (bob(), &user.authenticator, false),
        (alice(), &unknown, false),
        (alice(), &user.authenticator, true),
    ] {
        let event = event(&owner, Action::AuthenticatorRenamed, NOW);
        let renamed = store.rename(&owner, id, &name, event).await.expect("it answers");
        assert_eq!(renamed, expected);
        let factors = factors_of(&*store, &alice()).await;
        assert_eq!(factors.authenticators[0].name == name, expected);
        assert_eq!(factors.version, version, "it makes no decision stale");
        assert_eq!(
            times(&*store, &owner, Action::AuthenticatorRenamed).await,
            usize::from(expected)
        );
    }
}

async fn a_reset_leaves_nothing_and_touches_nobody_else(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    enrol(&*store, &bob(), 2, NOW).await;
    begin(&*store, &alice()).await;
    let throttle = Throttle { in_a_row: 3, ..Throttle::default() };
    let factors = factors_of(&*store, &alice()).await;
    let count = Change::CountRecoveryFailure { throttle };
    assert!(change(&*store, &factors, count, Action::RecoveryFailed).await);
    let of_bob = snapshot(&*store, &bob(), &[]).await;
    let reset = event(&alice(), Action::TwoFactorReset, NOW);
    assert!(store.reset(&alice(), reset).await.expect("it answers"));
    let factors = factors_of(&*store, &alice()).await;
    assert!(factors.authenticators.is_empty() && factors.codes.is_none() && !factors.protect());
    assert_eq!((factors.totp, factors.recovery), (Throttle::default(), Throttle::default()));
    assert_eq!(snapshot(&*store, &bob(), &[]).await, of_bob);
    assert_eq!(times(&*store, &alice(), Action::TwoFactorReset).await, 1);
}

async fn a_reset_of_nothing_is_no_reset(database: &TestDatabase) {
    let store = database.open().await.store;
    let reset = event(&alice(), Action::TwoFactorReset, NOW);
    assert!(!store.reset(&alice(), reset).await.expect("it answers"));
    assert_eq!(log(&*store, &alice()).await, []);
}

async fn a_decision_from_before_a_reset_is_stale(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    let old = factors_of(&*store, &alice()).await;
    let reset = event(&alice(), Action::TwoFactorReset, NOW);
    assert!(store.reset(&alice(), reset).await.expect("it answers"));
    enrol(&*store, &alice(), 2, NOW).await;
    let before = snapshot(&*store, &alice(), &[]).await;
    // The same number of changes has been made: the version must not come back.
    let regenerate = Change::Regenerate { codes: unhashed_codes(2) };
    assert!(!change(&*store, &old, regenerate, Action::RecoveryRegenerated).await);
    assert_eq!(snapshot(&*store, &alice(), &[]).await, before);
}

async fn a_decision_from_before_a_removal_is_stale(database: &TestDatabase) {
    let store = database.open().await.store;
    let never = factors_of(&*store, &alice()).await;
    let id = enrol(&*store, &alice(), 2, NOW).await.authenticator;
    let old = factors_of(&*store, &alice()).await;
    assert!(change(&*store, &old, Change::Remove { id }, Action::AuthenticatorRemoved).await);
    for old in [never, old] {
        let begin = begin_as(&AuthenticatorId::generate(&SystemEntropy));
        assert!(!change(&*store, &old, begin, Action::EnrolmentBegun).await);
    }
    assert!(factors_of(&*store, &alice()).await.authenticators.is_empty());
}

async fn whatever_ends_the_sessions_of_an_account_ends_a_set_up(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let active = enrol(&*store, &alice(), 0, NOW).await.authenticator;
    begin(&*store, &bob()).await;
    for round in 0..2 {
        let begun = begin(&*store, &alice()).await;
        if round == 0 {
            let changed = event(&alice(), Action::PasswordChanged, NOW);
            accounts
                .set_password(&alice(), "new", LogoutDevices::Keep, None, changed)
                .await
                .expect("ok");
        } else {
            store.end_sessions(&alice(), None).await.expect("it answers");
        }
        let factors = factors_of(&*store, &alice()).await;
        let left: Vec<_> = factors.authenticators.iter().map(|one| &one.id).collect();
        assert_eq!(left, [&active]);
        let confirm = confirm(&begun, 0);
        assert!(!change(&*store, &factors, confirm, Action::AuthenticatorAdded).await);
    }
    assert_eq!(factors_of(&*store, &bob()).await.authenticators.len(), 1);
}
