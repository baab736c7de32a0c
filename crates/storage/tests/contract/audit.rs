//! The audit log: one entry for each change, and none is ever changed.

use std::{net::IpAddr, time::Duration};

use myelin_ambient::SystemEntropy;
use myelin_storage::{
    Action, Actor, Change, Database, Event, LogoutDevices, Origin, RecordedEvent, Spend, Store,
};
use myelin_testing::fixture::{enrol, event, factors_of, keep, login_session, open_login, origin};
use myelin_testing::race::race;
use myelin_testing::{NOW, TestDatabase, on_every_database};
use myelin_two_factor::{AuthenticatorId, Throttle};
use myelin_uia::{Kept, Session, Stage};

use crate::devices::{login, register};
use crate::enrolment::{begin_as, confirm};
use crate::raw::Raw;
use crate::support::{
    admit, alice, bob, change, code, current_step, finish, log, recovery_code, snapshot,
};

on_every_database!(
    an_entry_is_read_as_it_was_written,
    the_newest_entries_come_first_and_only_those_of_the_user,
    nothing_changes_or_removes_an_entry,
    every_change_leaves_one_entry,
    a_stale_change_leaves_none,
    parallel_entries_are_all_kept,
    nothing_in_the_log_ends_with_the_account,
);

async fn an_entry_is_read_as_it_was_written(database: &TestDatabase) {
    let store = database.open().await.store;
    let addresses: [Option<IpAddr>; 3] =
        [None, "192.0.2.7".parse().ok(), "2001:db8::1:2".parse().ok()];
    let actors = [
        Actor::User,
        Actor::Admin("root".to_owned()),
        Actor::Admin("user".to_owned()),
        Actor::Admin(String::new()),
    ];
    let texts = [None, Some("POST /x ' \" \\ 📱\n".to_owned())];
    let written: Vec<_> = Action::ALL
        .into_iter()
        .enumerate()
        .map(|(number, action)| Event {
            at: NOW + Duration::from_millis(number as u64),
            user: alice(),
            action,
            origin: Origin {
                actor: actors[number % 4].clone(),
                address: addresses[number % 3],
                request_id: texts[number % 2].clone(),
            },
            detail: texts[(number / 2) % 2].clone(),
        })
        .collect();
    for event in &written {
        store.record(event.clone()).await.expect("it answers");
    }
    assert_eq!(log(&*database.open().await.store, &alice()).await, written);
}

async fn the_newest_entries_come_first_and_only_those_of_the_user(database: &TestDatabase) {
    let store = database.open().await.store;
    for number in 0..6 {
        let user = if number % 2 == 0 { alice() } else { bob() };
        let detail = Some(number.to_string());
        // The clock may jump; the order is that of writing.
        let at = NOW - Duration::from_secs(number);
        store.record(Event { detail, ..event(&user, Action::TotpFailed, at) }).await.expect("ok");
    }
    let details = |events: Vec<RecordedEvent>| -> Vec<String> {
        events.into_iter().filter_map(|recorded| recorded.event.detail).collect()
    };
    let newest = store.events(&alice(), 2).await.expect("it answers");
    assert!(newest[0].id > newest[1].id);
    assert_eq!(details(newest), ["4", "2"]);
    assert_eq!(details(store.events(&bob(), 10).await.expect("it answers")), ["5", "3", "1"]);
    assert_eq!(details(store.events(&bob(), 0).await.expect("it answers")), [""; 0]);
}

async fn nothing_changes_or_removes_an_entry(database: &TestDatabase) {
    let store = database.open().await.store;
    for _ in 0..2 {
        store.record(event(&alice(), Action::TotpFailed, NOW)).await.expect("it answers");
    }
    let before = log(&*store, &alice()).await;
    let mut raw = Raw::connect(database).await;
    let mut attempts = vec![
        "UPDATE audit SET detail = 'x'",
        "UPDATE audit SET id = id + 100",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = (SELECT min(id) FROM audit)",
    ];
    attempts.extend(if database.is_postgres() {
        [
            "TRUNCATE audit",
            "INSERT INTO audit (id, at, user_id, action, actor) OVERRIDING SYSTEM VALUE
             SELECT id, 0, 'x', 'x', 'x' FROM audit ON CONFLICT (id) DO UPDATE SET at = 0",
        ]
    } else {
        [
            "INSERT OR REPLACE INTO audit (id, at, user_id, action, actor)
             SELECT id, 0, 'x', 'x', 'x' FROM audit",
            "UPDATE OR REPLACE audit SET id = (SELECT max(id) FROM audit)",
        ]
    });
    for attempt in attempts {
        assert!(raw.execute(attempt).await.is_err(), "this went through: {attempt}");
        assert_eq!(log(&*store, &alice()).await, before, "{attempt}");
    }
}

/// The actions that were written since there were `before` of them.
async fn since(store: &dyn Store, before: usize) -> Vec<Action> {
    log(store, &alice()).await.into_iter().skip(before).map(|event| event.action).collect()
}

async fn every_change_leaves_one_entry(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    let store = &*store;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let id = AuthenticatorId::generate(&SystemEntropy);
    let throttle = Throttle::default();
    let changes = [
        (begin_as(&id), Action::EnrolmentBegun),
        (Change::CountConfirmFailure { id: id.clone(), failures: 1 }, Action::TotpFailed),
        (confirm(&id, 3), Action::AuthenticatorAdded),
        (
            Change::CountTotpFailure { throttle: throttle.clone(), disable: false },
            Action::TotpFailed,
        ),
        (Change::CountRecoveryFailure { throttle }, Action::RecoveryFailed),
        (
            Change::Regenerate { codes: myelin_testing::fixture::unhashed_codes(3) },
            Action::RecoveryRegenerated,
        ),
        (Change::Remove { id }, Action::AuthenticatorRemoved),
    ];
    for (committed, action) in changes {
        let before = log(store, &alice()).await.len();
        let factors = factors_of(store, &alice()).await;
        assert!(change(store, &factors, committed, action).await, "{action:?}");
        assert_eq!(since(store, before).await, [action]);
    }
    let before = log(store, &alice()).await.len();
    let user = enrol(store, &alice(), 1, NOW).await;
    for spend in [code(&user, current_step()), recovery_code(0)] {
        let session = open_login(store, &alice(), NOW).await;
        let factors = factors_of(store, &alice()).await;
        assert!(finish(store, &session, &factors, spend).await);
    }
    let keys = event(&alice(), Action::CrossSigningUploaded, NOW);
    assert!(accounts.set_cross_signing(&alice(), "{}", true, keys.clone()).await.expect("ok"));
    assert!(!accounts.set_cross_signing(&alice(), "{}", true, keys).await.expect("ok"));
    let password = event(&alice(), Action::PasswordChanged, NOW);
    accounts.set_password(&alice(), "x", LogoutDevices::Keep, None, password).await.expect("ok");
    store.end_sessions(&alice(), None).await.expect("ok");
    let deleted = event(&alice(), Action::DevicesDeleted, NOW);
    accounts.delete_all_devices(&alice(), deleted).await.expect("ok");
    assert!(store.reset(&alice(), event(&alice(), Action::TwoFactorReset, NOW)).await.expect("ok"));
    let expected = [
        Action::EnrolmentBegun,
        Action::AuthenticatorAdded,
        Action::TotpPassed,
        Action::RecoveryPassed,
        Action::CrossSigningUploaded,
        Action::PasswordChanged,
        Action::DevicesDeleted,
        Action::TwoFactorReset,
    ];
    assert_eq!(since(store, before).await, expected);
}

async fn a_stale_change_leaves_none(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 2, NOW).await;
    let old = factors_of(&*store, &alice()).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let fresh = Session::restore(Kept {
        completed: Vec::new(),
        ..login_session(&alice(), NOW).into_kept()
    });
    keep(&*store, &fresh, &origin(myelin_testing::fixture::ADDRESS), NOW).await;
    assert!(crate::support::count(&*store, &old, NOW).await);
    let before = snapshot(&*store, &alice(), &[&session, &fresh]).await;
    let id = AuthenticatorId::generate(&SystemEntropy);
    let throttle = Throttle { in_a_row: 9, ..Throttle::default() };
    let stale = [
        begin_as(&id),
        confirm(&id, 3),
        Change::CountConfirmFailure { id: user.authenticator.clone(), failures: 1 },
        Change::CountTotpFailure { throttle: throttle.clone(), disable: true },
        Change::CountRecoveryFailure { throttle },
        Change::Drop { id: user.authenticator.clone() },
        Change::Regenerate { codes: myelin_testing::fixture::unhashed_codes(3) },
        Change::Remove { id: user.authenticator.clone() },
    ];
    for stale in stale {
        assert!(!change(&*store, &old, stale, Action::TotpFailed).await);
    }
    for spend in [code(&user, current_step()), recovery_code(0)] {
        assert!(!finish(&*store, &session, &old, spend).await);
    }
    let passed = event(&alice(), Action::PasswordPassed, NOW);
    let late = fresh.expires;
    let admitted = admit(&fresh, Stage::Password);
    let outcome = store.pass_stage(admitted, None, Spend::Nothing, late, Some(passed)).await;
    assert!(matches!(outcome, Ok(myelin_storage::Outcome::Stale)));
    assert_eq!(snapshot(&*store, &alice(), &[&session, &fresh]).await, before);
}

async fn parallel_entries_are_all_kept(database: &TestDatabase) {
    let stores = [database.open().await.store, database.open().await.store];
    race((0..100_usize).map(|number| {
        let store = stores[number % 2].clone();
        let detail = Some(number.to_string());
        async move {
            let event = Event { detail, ..event(&alice(), Action::TotpFailed, NOW) };
            store.record(event).await.expect("it answers");
        }
    }))
    .await;
    let mut numbers: Vec<usize> = log(&*stores[0], &alice())
        .await
        .into_iter()
        .filter_map(|event| event.detail?.parse().ok())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

async fn nothing_in_the_log_ends_with_the_account(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    enrol(&*store, &alice(), 1, NOW).await;
    let mut expected = log(&*store, &alice()).await;
    let deactivated = event(&alice(), Action::Deactivated, NOW);
    accounts.deactivate(&alice(), None, deactivated.clone()).await.expect("it answers");
    store.sweep(NOW + Duration::from_hours(10_000)).await.expect("it answers");
    expected.push(deactivated);
    assert_eq!(log(&*store, &alice()).await, expected);
}
