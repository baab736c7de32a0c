//! What was proven holds only in its epoch, also for users who never had a
//! second factor.

use std::sync::Arc;

use myelin_ambient::SystemEntropy;
use myelin_storage::{
    Accounts, Action, Change, Database, Epoch, Factors, LogoutDevices, Outcome, Spend, Store,
};
use myelin_testing::fixture::{
    ADDRESS, enrol, event, factors_of, keep, login_session, origin, unhashed_codes,
};
use myelin_testing::race::race;
use myelin_testing::{NOW, TestDatabase, on_every_database};
use myelin_two_factor::{AuthenticatorId, Step, Throttle};
use myelin_uia::{Kept, Session, Stage};
use ruma::{UserId, device_id};

use crate::devices::{login, owner, register};
use crate::enrolment::begin_as;
use crate::raw::Raw;
use crate::support::{
    admit, alice, bob, change, code, current_step, finish, is_open, recovery_code, snapshot, times,
};

on_every_database!(
    an_account_has_an_epoch_from_the_start,
    a_code_that_is_spent_or_counted_begins_no_epoch,
    a_change_to_what_protects_begins_an_epoch,
    what_voids_sessions_begins_an_epoch_of_a_user_without_factors,
    a_login_decided_in_an_old_epoch_is_stale_and_writes_nothing,
    a_login_without_an_epoch_is_not_compared,
    what_was_proven_before_changes_no_account_and_ends_nothing,
    a_session_in_which_stages_are_passed_is_kept_in_its_epoch_only,
    a_login_on_a_closed_account_is_refused_and_not_stale,
    a_login_that_waited_for_a_new_password_is_stale,
    a_new_password_leaves_no_device_of_a_racing_login,
    a_password_decided_in_an_old_epoch_is_stale,
    a_password_begins_no_epoch,
    a_password_that_waited_for_a_change_is_stale,
    factors_of_another_user_pass_no_password,
);

async fn epoch(store: &dyn Store, user: &UserId) -> Epoch {
    factors_of(store, user).await.epoch
}

async fn set_password(accounts: &dyn Accounts, user: &UserId, logout: LogoutDevices) {
    let changed = event(user, Action::PasswordChanged, NOW);
    accounts.set_password(user, "new", logout, None, changed).await.expect("it answers");
}

/// A login of alice on this device, decided in this epoch.
async fn log_in_at(
    accounts: &dyn Accounts,
    (device, number): (&str, u8),
    epoch: Epoch,
) -> Outcome<bool> {
    let logged_in = event(&alice(), Action::LoggedIn, NOW);
    let login = login(device, number);
    accounts.log_in(&alice(), &login, Some(epoch), NOW, logged_in).await.expect("it answers")
}

/// A login session that has passed nothing, kept.
async fn open_fresh(store: &dyn Store, user: &UserId) -> Session {
    let session =
        Session::restore(Kept { completed: Vec::new(), ..login_session(user, NOW).into_kept() });
    keep(store, &session, &origin(ADDRESS), NOW).await;
    session
}

/// Passes the password, decided on `factors`; whether it was committed.
async fn pass_password(store: &dyn Store, session: &Session, factors: &Factors) -> bool {
    let admitted = admit(session, Stage::Password);
    let passed = event(&factors.user, Action::PasswordPassed, NOW);
    let outcome =
        store.pass_stage(admitted, Some(factors), Spend::Nothing, NOW, Some(passed)).await;
    matches!(outcome.expect("it answers"), Outcome::Committed(_))
}

async fn an_account_has_an_epoch_from_the_start(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let factors = factors_of(&*store, &alice()).await;
    assert_eq!(factors.epoch, Epoch(1));
    assert!(!factors.protect() && factors.codes.is_none());
    assert_eq!((factors.totp.in_a_row, factors.recovery.in_a_row), (0, 0));
    // There is nothing to reset, and a second factor can be set up.
    let reset = event(&alice(), Action::TwoFactorReset, NOW);
    assert!(!store.reset(&alice(), reset).await.expect("it answers"));
    assert_eq!(epoch(&*store, &alice()).await, Epoch(1));
    enrol(&*store, &alice(), 0, NOW).await;
}

async fn what_voids_sessions_begins_an_epoch_of_a_user_without_factors(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    set_password(&*accounts, &alice(), LogoutDevices::Keep).await;
    assert_eq!(epoch(&*store, &alice()).await, Epoch(2));
    store.end_sessions(&alice(), None).await.expect("it answers");
    assert_eq!(epoch(&*store, &alice()).await, Epoch(3));
    let deactivated = event(&alice(), Action::Deactivated, NOW);
    accounts.deactivate(&alice(), None, deactivated).await.expect("it answers");
    assert_eq!(epoch(&*store, &alice()).await, Epoch(4));
    // One whose account is kept elsewhere.
    assert_eq!(epoch(&*store, &bob()).await, Epoch(0));
    store.end_sessions(&bob(), None).await.expect("it answers");
    assert_eq!(epoch(&*store, &bob()).await, Epoch(1));
}

/// Makes these changes one after the other; how many of them begin an epoch, and
/// whether each raises the version.
async fn epochs_of(store: &dyn Store, changes: Vec<Change>) -> i64 {
    let first = epoch(store, &alice()).await.0;
    for each in changes {
        let read = factors_of(store, &alice()).await;
        assert!(change(store, &read, each, Action::TotpFailed).await);
        assert_ne!(factors_of(store, &alice()).await.version, read.version);
    }
    epoch(store, &alice()).await.0 - first
}

async fn a_code_that_is_spent_or_counted_begins_no_epoch(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let user = enrol(&*store, &alice(), 2, NOW).await;
    let proven = epoch(&*store, &alice()).await;
    for spend in [code(&user, current_step()), recovery_code(0)] {
        let session = login_session(&alice(), NOW);
        keep(&*store, &session, &origin(ADDRESS), NOW).await;
        let read = factors_of(&*store, &alice()).await;
        assert!(finish(&*store, &session, &read, spend).await);
        assert_ne!(factors_of(&*store, &alice()).await.version, read.version);
    }
    let throttle = Throttle { in_a_row: 1, ..Throttle::default() };
    let id = AuthenticatorId::generate(&SystemEntropy);
    let changes = vec![
        Change::CountTotpFailure { throttle: throttle.clone(), disable: false },
        Change::CountRecoveryFailure { throttle },
        begin_as(&id),
        Change::CountConfirmFailure { id: id.clone(), failures: 1 },
        Change::Drop { id },
    ];
    assert_eq!(epochs_of(&*store, changes).await, 0);
    // So a login that was proven before is still one.
    let outcome = log_in_at(&*accounts, ("PHONE", 2), proven).await;
    assert!(matches!(outcome, Outcome::Committed(true)), "{outcome:?}");
}

async fn a_change_to_what_protects_begins_an_epoch(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    let id = AuthenticatorId::generate(&SystemEntropy);
    let throttle = Throttle::default();
    let changes = vec![
        begin_as(&id),
        Change::Confirm { id: id.clone(), step: Step(1), throttle: throttle.clone(), codes: None },
        Change::Regenerate { codes: unhashed_codes(2) },
        Change::CountTotpFailure { throttle, disable: true },
        Change::Remove { id },
    ];
    assert_eq!(epochs_of(&*store, changes).await, 4);
    let before = epoch(&*store, &alice()).await;
    let reset = event(&alice(), Action::TwoFactorReset, NOW);
    assert!(store.reset(&alice(), reset).await.expect("it answers"));
    assert_eq!(epoch(&*store, &alice()).await, before.next());
}

async fn a_login_decided_in_an_old_epoch_is_stale_and_writes_nothing(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let before = epoch(&*store, &alice()).await;
    set_password(&*accounts, &alice(), LogoutDevices::Keep).await;
    for old in [before, Epoch(0)] {
        let outcome = log_in_at(&*accounts, ("PHONE", 2), old).await;
        assert!(matches!(outcome, Outcome::Stale), "{outcome:?}");
    }
    assert!(owner(&*accounts, 1).await.is_some() && owner(&*accounts, 2).await.is_none());
    assert_eq!(times(&*store, &alice(), Action::LoggedIn).await, 0);

    let now = epoch(&*store, &alice()).await;
    let outcome = log_in_at(&*accounts, ("PHONE", 2), now).await;
    assert!(matches!(outcome, Outcome::Committed(true)), "{outcome:?}");
    assert!(owner(&*accounts, 1).await.is_none() && owner(&*accounts, 2).await.is_some());
    assert_eq!(times(&*store, &alice(), Action::LoggedIn).await, 1);
    assert_eq!(epoch(&*store, &alice()).await, now, "a login begins no epoch");
}

async fn a_login_without_an_epoch_is_not_compared(database: &TestDatabase) {
    let Database { accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    set_password(&*accounts, &alice(), LogoutDevices::Keep).await;
    assert!(crate::devices::log_in(&*accounts, &alice(), &login("PHONE", 2)).await);
}

async fn what_was_proven_before_changes_no_account_and_ends_nothing(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let old = epoch(&*store, &alice()).await;
    set_password(&*accounts, &alice(), LogoutDevices::Keep).await;
    let session = open_fresh(&*store, &alice()).await;
    let now = epoch(&*store, &alice()).await;
    let changed = event(&alice(), Action::PasswordChanged, NOW);
    let all_but = LogoutDevices::AllBut(device_id!("OTHER").to_owned());
    let set = accounts.set_password(&alice(), "theirs", all_but, Some(old), changed).await;
    assert!(matches!(set, Ok(Outcome::Stale)), "{set:?}");
    let deactivated = event(&alice(), Action::Deactivated, NOW);
    let closed = accounts.deactivate(&alice(), Some(old), deactivated.clone()).await;
    assert!(matches!(closed, Ok(Outcome::Stale)), "{closed:?}");
    let ended = store.end_sessions(&alice(), Some(old)).await;
    assert!(matches!(ended, Ok(Outcome::Stale)), "{ended:?}");
    let account = accounts.lookup(&alice()).await.expect("it answers").expect("she has one");
    assert_eq!((account.password_hash.as_deref(), account.deactivated), (Some("new"), false));
    assert!(is_open(&*store, &session).await && owner(&*accounts, 1).await.is_some());
    assert_eq!(epoch(&*store, &alice()).await, now);
    let closed = accounts.deactivate(&alice(), Some(now), deactivated).await;
    assert!(matches!(closed, Ok(Outcome::Committed(()))), "{closed:?}");
}

async fn a_session_in_which_stages_are_passed_is_kept_in_its_epoch_only(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 0, NOW).await;
    for user in [alice(), bob()] {
        let old = epoch(&*store, &user).await;
        let [kept, late] = [login_session(&user, NOW), login_session(&user, NOW)];
        let origin = origin(ADDRESS);
        let keep = store.keep_session(&kept, &origin, old, NOW, None).await;
        assert!(matches!(keep, Ok(Outcome::Committed(()))), "{keep:?}");
        store.end_sessions(&user, None).await.expect("it answers");
        let passed = event(&user, Action::PasswordPassed, NOW);
        let keep = store.keep_session(&late, &origin, old, NOW, Some(passed)).await;
        assert!(matches!(keep, Ok(Outcome::Stale)), "{keep:?}");
        assert!(!is_open(&*store, &kept).await && !is_open(&*store, &late).await);
        assert_eq!(times(&*store, &user, Action::PasswordPassed).await, 0);
    }
}

async fn a_login_on_a_closed_account_is_refused_and_not_stale(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    let outcome = log_in_at(&*accounts, ("PHONE", 1), Epoch(0)).await;
    assert!(matches!(outcome, Outcome::Committed(false)), "{outcome:?}");
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let before = epoch(&*store, &alice()).await;
    let deactivated = event(&alice(), Action::Deactivated, NOW);
    accounts.deactivate(&alice(), None, deactivated).await.expect("it answers");
    let outcome = log_in_at(&*accounts, ("PHONE", 2), before).await;
    assert!(matches!(outcome, Outcome::Committed(false)), "{outcome:?}");
}

/// What is written on another connection, while somebody waits for it.
async fn hold(database: &TestDatabase, statements: &[&'static str]) -> Raw {
    let mut raw = Raw::connect(database).await;
    let begin = if database.is_postgres() { "BEGIN" } else { "BEGIN IMMEDIATE" };
    raw.execute(begin).await.expect("it begins");
    for statement in statements {
        raw.execute(statement).await.expect("nobody else holds it");
    }
    raw
}

async fn a_login_that_waited_for_a_new_password_is_stale(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let before = epoch(&*store, &alice()).await;
    let statements =
        ["UPDATE accounts SET password_hash = 'new'", "UPDATE factors SET epoch = epoch + 1"];
    // Whether it waits for the account or only for the anchor.
    for (number, statements) in [(2, &statements[..]), (3, &statements[1..])] {
        let mut raw = hold(database, statements).await;
        let contender = Arc::clone(&accounts);
        let login =
            tokio::spawn(async move { log_in_at(&*contender, ("LAPTOP", number), before).await });
        Raw::wait_for_waiters(database, &login).await;
        raw.execute("COMMIT").await.expect("it commits");
        let outcome = login.await.expect("it does not panic");
        assert!(matches!(outcome, Outcome::Stale), "{outcome:?}");
        assert_eq!(owner(&*accounts, number).await, None);
    }
}

async fn a_new_password_leaves_no_device_of_a_racing_login(database: &TestDatabase) {
    let [one, other] = [database.open().await, database.open().await];
    register(&*one.accounts, &alice(), &login("PHONE", 1)).await;
    for round in 0..16 {
        let before = epoch(&*one.store, &alice()).await;
        let contenders = [Arc::clone(&one.accounts), Arc::clone(&other.accounts)];
        race(contenders.into_iter().enumerate().map(|(place, accounts)| async move {
            if place == 0 {
                let all_but = LogoutDevices::AllBut(device_id!("PHONE").to_owned());
                set_password(&*accounts, &alice(), all_but).await;
            } else {
                log_in_at(&*accounts, ("LAPTOP", 2), before).await;
            }
        }))
        .await;
        // Before the change, and so it was logged out; or not at all.
        assert_eq!(owner(&*one.accounts, 2).await, None, "round {round}");
        assert!(owner(&*one.accounts, 1).await.is_some());
    }
}

async fn a_password_decided_in_an_old_epoch_is_stale(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let read = factors_of(&*store, &alice()).await;
    set_password(&*accounts, &alice(), LogoutDevices::Keep).await;
    // Kept after the change had ended the user's sessions.
    let session = open_fresh(&*store, &alice()).await;
    let before = snapshot(&*store, &alice(), &[&session]).await;
    assert!(!pass_password(&*store, &session, &read).await);
    assert_eq!(snapshot(&*store, &alice(), &[&session]).await, before);

    enrol(&*store, &alice(), 0, NOW).await;
    let read = factors_of(&*store, &alice()).await;
    let codes = Change::Regenerate { codes: unhashed_codes(2) };
    assert!(change(&*store, &read, codes, Action::RecoveryRegenerated).await);
    let session = open_fresh(&*store, &alice()).await;
    assert!(!pass_password(&*store, &session, &read).await);
    let read = factors_of(&*store, &alice()).await;
    assert!(pass_password(&*store, &session, &read).await);

    // A user without a row is at epoch zero, until there is one.
    let read = factors_of(&*store, &bob()).await;
    let session = open_fresh(&*store, &bob()).await;
    assert!(pass_password(&*store, &session, &read).await);
    store.end_sessions(&bob(), None).await.expect("it answers");
    let session = open_fresh(&*store, &bob()).await;
    assert!(!pass_password(&*store, &session, &read).await);
}

async fn a_password_begins_no_epoch(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 0, NOW).await;
    for user in [alice(), bob()] {
        let read = factors_of(&*store, &user).await;
        let sessions = [open_fresh(&*store, &user).await, open_fresh(&*store, &user).await];
        for session in &sessions {
            assert!(pass_password(&*store, session, &read).await);
        }
        assert_eq!(epoch(&*store, &user).await, read.epoch);
        assert_eq!(times(&*store, &user, Action::PasswordPassed).await, 2);
    }
}

async fn a_password_that_waited_for_a_change_is_stale(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let read = factors_of(&*store, &alice()).await;
    let session = open_fresh(&*store, &alice()).await;
    let mut raw = hold(database, &["UPDATE factors SET epoch = epoch + 1"]).await;
    let (contender, kept) = (Arc::clone(&store), session.clone());
    let passage = tokio::spawn(async move { pass_password(&*contender, &kept, &read).await });
    Raw::wait_for_waiters(database, &passage).await;
    raw.execute("COMMIT").await.expect("it commits");
    assert!(!passage.await.expect("it does not panic"));
    assert!(is_open(&*store, &session).await);
}

async fn factors_of_another_user_pass_no_password(database: &TestDatabase) {
    let store = database.open().await.store;
    let session = open_fresh(&*store, &alice()).await;
    let of_bob = factors_of(&*store, &bob()).await;
    let admitted = admit(&session, Stage::Password);
    let outcome = store.pass_stage(admitted, Some(&of_bob), Spend::Nothing, NOW, None).await;
    assert!(outcome.is_err());
    let kept = store.lookup_session(&session.id, NOW).await.expect("it answers");
    assert!(kept.is_some_and(|(kept, _)| kept.completed.is_empty()));
}
