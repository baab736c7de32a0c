//! An app password is its user's, until it is revoked.

use std::{sync::Arc, time::Duration};

use myelin_ambient::SystemEntropy;
use myelin_storage::{
    APP_PASSWORDS, Action, Change, Database, Epoch, ListedAppPassword, LogoutDevices,
    NewAppPassword, Outcome, Store, TokenDigest,
};
use myelin_testing::fixture::{ADDRESS, enrol, event, factors_of, keep, login_session, origin};
use myelin_testing::race::race;
use myelin_testing::{NOW, TestDatabase, on_every_database};
use myelin_two_factor::{AppPasswordId, AuthenticatorId, Name, Step, Throttle};
use ruma::UserId;

use crate::devices::{log_in, login, owner, register};
use crate::enrolment::begin_as;
use crate::support::{alice, bob, change, is_open, log, times};

on_every_database!(
    an_app_password_is_listed_as_it_was_made,
    an_app_password_is_redeemed_by_its_user_again_and_again,
    a_use_is_noted_with_its_time_and_its_id,
    an_app_password_of_another_user_is_not_revoked,
    a_revoked_app_password_is_worth_nothing,
    a_user_has_a_few_app_passwords_at_most,
    of_many_that_are_made_at_once_the_limit_is_kept,
    an_app_password_decided_in_an_old_epoch_is_not_made,
    a_new_password_ends_all_app_passwords,
    a_reset_ends_all_app_passwords_also_without_factors,
    a_closed_account_has_no_app_passwords,
    the_first_factor_ends_all_app_passwords_and_the_second_none,
    a_password_changed_elsewhere_ends_all_app_passwords,
    no_login_with_an_app_password_survives_its_end,
);

fn digest(number: u8) -> TokenDigest {
    TokenDigest([number; 32])
}

fn new(number: u8) -> NewAppPassword {
    let name = Name::parse(Some(&format!("Bot {number}"))).expect("it is a name");
    NewAppPassword { id: AppPasswordId::generate(&SystemEntropy), name, digest: digest(number) }
}

/// Makes one in this epoch.
async fn make_at(
    store: &dyn Store,
    user: &UserId,
    password: &NewAppPassword,
    epoch: Epoch,
) -> Outcome<bool> {
    let created = event(user, Action::AppPasswordCreated, NOW);
    store.create_app_password(user, password, epoch, created).await.expect("it answers")
}

/// Makes one; its id.
async fn make(store: &dyn Store, user: &UserId, number: u8) -> AppPasswordId {
    let password = new(number);
    let epoch = factors_of(store, user).await.epoch;
    let made = make_at(store, user, &password, epoch).await;
    assert!(matches!(made, Outcome::Committed(true)), "{made:?}");
    password.id
}

async fn redeem(store: &dyn Store, user: &UserId, number: u8) -> Option<Epoch> {
    let event = event(user, Action::AppPasswordUsed, NOW);
    store.redeem_app_password(user, &digest(number), event).await.expect("it answers")
}

async fn revoke(store: &dyn Store, user: &UserId, id: &AppPasswordId) -> bool {
    let revoked = event(user, Action::AppPasswordRevoked, NOW);
    store.revoke_app_password(user, id, revoked).await.expect("it answers")
}

async fn count(store: &dyn Store, user: &UserId) -> usize {
    store.app_passwords(user).await.expect("it answers").len()
}

async fn an_app_password_is_listed_as_it_was_made(database: &TestDatabase) {
    let store = database.open().await.store;
    let id = make(&*store, &alice(), 1).await;
    make(&*store, &bob(), 2).await;
    let name = Name::parse(Some("Bot 1")).expect("it is a name");
    let expected = ListedAppPassword { id, name, created: NOW, last_used: None };
    assert_eq!(store.app_passwords(&alice()).await.expect("it answers"), [expected]);
    assert_eq!(times(&*store, &alice(), Action::AppPasswordCreated).await, 1);
}

async fn an_app_password_is_redeemed_by_its_user_again_and_again(database: &TestDatabase) {
    let store = database.open().await.store;
    make(&*store, &alice(), 1).await;
    for _ in 0..3 {
        let epoch = factors_of(&*store, &alice()).await.epoch;
        assert_eq!(redeem(&*store, &alice(), 1).await, Some(epoch));
    }
    assert_eq!(redeem(&*store, &bob(), 1).await, None);
    assert_eq!(redeem(&*store, &alice(), 2).await, None);
    assert_eq!(times(&*store, &alice(), Action::AppPasswordUsed).await, 3);
    assert_eq!(log(&*store, &bob()).await, []);
}

async fn a_use_is_noted_with_its_time_and_its_id(database: &TestDatabase) {
    let store = database.open().await.store;
    let id = make(&*store, &alice(), 1).await;
    let at = NOW + Duration::from_secs(7);
    let used = event(&alice(), Action::AppPasswordUsed, at);
    store.redeem_app_password(&alice(), &digest(1), used).await.expect("it answers");
    let listed = store.app_passwords(&alice()).await.expect("it answers");
    assert_eq!(listed[0].last_used, Some(at));
    let last = log(&*store, &alice()).await.pop().expect("there are some");
    assert_eq!((last.at, last.detail), (at, Some(id.to_string())));
}

async fn an_app_password_of_another_user_is_not_revoked(database: &TestDatabase) {
    let store = database.open().await.store;
    let id = make(&*store, &alice(), 1).await;
    make(&*store, &bob(), 2).await;
    assert!(!revoke(&*store, &bob(), &id).await);
    assert!(redeem(&*store, &alice(), 1).await.is_some());
    assert_eq!(times(&*store, &bob(), Action::AppPasswordRevoked).await, 0);
}

async fn a_revoked_app_password_is_worth_nothing(database: &TestDatabase) {
    let store = database.open().await.store;
    let id = make(&*store, &alice(), 1).await;
    make(&*store, &alice(), 2).await;
    assert!(revoke(&*store, &alice(), &id).await);
    assert!(!revoke(&*store, &alice(), &id).await);
    assert_eq!(redeem(&*store, &alice(), 1).await, None);
    assert!(redeem(&*store, &alice(), 2).await.is_some());
    assert_eq!(times(&*store, &alice(), Action::AppPasswordRevoked).await, 1);
}

async fn a_user_has_a_few_app_passwords_at_most(database: &TestDatabase) {
    let store = database.open().await.store;
    let limit = u8::try_from(APP_PASSWORDS).expect("there are few");
    for number in 0..limit {
        make(&*store, &alice(), number).await;
    }
    let epoch = factors_of(&*store, &alice()).await.epoch;
    let refused = make_at(&*store, &alice(), &new(limit), epoch).await;
    assert!(matches!(refused, Outcome::Committed(false)), "{refused:?}");
    assert_eq!(redeem(&*store, &alice(), limit).await, None);
    make(&*store, &bob(), 200).await;
}

async fn of_many_that_are_made_at_once_the_limit_is_kept(database: &TestDatabase) {
    let stores = [database.open().await.store, database.open().await.store];
    let limit = u8::try_from(APP_PASSWORDS).expect("there are few");
    make(&*stores[0], &alice(), 0).await;
    let epoch = factors_of(&*stores[0], &alice()).await.epoch;
    let made = race((1..2 * limit).map(|number| {
        let store = Arc::clone(&stores[usize::from(number % 2)]);
        async move {
            let made = make_at(&*store, &alice(), &new(number), epoch).await;
            matches!(made, Outcome::Committed(true))
        }
    }))
    .await;
    assert_eq!(made.iter().filter(|made| **made).count(), usize::from(limit) - 1);
    assert_eq!(count(&*stores[0], &alice()).await, usize::from(limit));
}

async fn an_app_password_decided_in_an_old_epoch_is_not_made(database: &TestDatabase) {
    let store = database.open().await.store;
    for _ in 0..2 {
        let old = factors_of(&*store, &alice()).await.epoch;
        store.end_sessions(&alice(), None).await.expect("it answers");
        assert!(matches!(make_at(&*store, &alice(), &new(1), old).await, Outcome::Stale));
        assert_eq!(count(&*store, &alice()).await, 0);
    }
}

async fn a_new_password_ends_all_app_passwords(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    make(&*store, &alice(), 1).await;
    make(&*store, &bob(), 2).await;
    let changed = event(&alice(), Action::PasswordChanged, NOW);
    accounts.set_password(&alice(), "new", LogoutDevices::Keep, None, changed).await.expect("ok");
    assert_eq!(redeem(&*store, &alice(), 1).await, None);
    assert!(redeem(&*store, &bob(), 2).await.is_some());
}

async fn a_reset_ends_all_app_passwords_also_without_factors(database: &TestDatabase) {
    let store = database.open().await.store;
    for round in 0..2 {
        if round == 1 {
            enrol(&*store, &alice(), 0, NOW).await;
        }
        make(&*store, &alice(), 1).await;
        let reset = event(&alice(), Action::TwoFactorReset, NOW);
        assert!(store.reset(&alice(), reset.clone()).await.expect("it answers"));
        assert_eq!(redeem(&*store, &alice(), 1).await, None);
        assert!(!store.reset(&alice(), reset).await.expect("it answers"));
    }
}

async fn a_closed_account_has_no_app_passwords(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    make(&*store, &alice(), 1).await;
    let deactivated = event(&alice(), Action::Deactivated, NOW);
    accounts.deactivate(&alice(), None, deactivated).await.expect("it answers");
    assert_eq!(redeem(&*store, &alice(), 1).await, None);
    assert_eq!(count(&*store, &alice()).await, 0);
}

async fn the_first_factor_ends_all_app_passwords_and_the_second_none(database: &TestDatabase) {
    let store = database.open().await.store;
    make(&*store, &alice(), 1).await;
    enrol(&*store, &alice(), 1, NOW).await;
    assert_eq!(redeem(&*store, &alice(), 1).await, None);
    make(&*store, &alice(), 2).await;
    let id = AuthenticatorId::generate(&SystemEntropy);
    let factors = factors_of(&*store, &alice()).await;
    assert!(change(&*store, &factors, begin_as(&id), Action::EnrolmentBegun).await);
    let throttle = Throttle::default();
    let second = Change::Confirm { id, step: Step(1), throttle, codes: None };
    let factors = factors_of(&*store, &alice()).await;
    assert!(change(&*store, &factors, second, Action::AuthenticatorAdded).await);
    assert!(redeem(&*store, &alice(), 2).await.is_some());
}

async fn a_password_changed_elsewhere_ends_all_app_passwords(database: &TestDatabase) {
    let store = database.open().await.store;
    make(&*store, &alice(), 1).await;
    make(&*store, &alice(), 2).await;
    make(&*store, &bob(), 3).await;
    let before = factors_of(&*store, &alice()).await.epoch;
    let session = login_session(&alice(), NOW);
    keep(&*store, &session, &origin(ADDRESS), NOW).await;
    let changed = event(&alice(), Action::PasswordChanged, NOW);
    store.end_all(&alice(), changed).await.expect("it answers");
    assert!(!is_open(&*store, &session).await);
    assert_eq!(count(&*store, &alice()).await, 0);
    assert_eq!(count(&*store, &bob()).await, 1);
    assert_eq!(times(&*store, &alice(), Action::PasswordChanged).await, 1);
    assert_eq!(factors_of(&*store, &alice()).await.epoch, before.next());
}

async fn no_login_with_an_app_password_survives_its_end(database: &TestDatabase) {
    let first = database.open().await;
    let second = database.open().await;
    register(&*first.accounts, &alice(), &login("PHONE", 1)).await;
    assert!(log_in(&*first.accounts, &alice(), &login("BOT", 2)).await);
    for round in 0..20 {
        let id = make(&*first.store, &alice(), 1).await;
        let (store, accounts) = (Arc::clone(&first.store), Arc::clone(&first.accounts));
        let logs_in = async move {
            let Some(epoch) = redeem(&*store, &alice(), 1).await else { return false };
            let logged_in = event(&alice(), Action::LoggedIn, NOW);
            let login = login("BOT", 3);
            let done = accounts.log_in(&alice(), &login, Some(epoch), NOW, logged_in).await;
            matches!(done.expect("it answers"), Outcome::Committed(true))
        };
        let (store, accounts) = (Arc::clone(&second.store), Arc::clone(&second.accounts));
        let ends = async move {
            assert!(revoke(&*store, &alice(), &id).await);
            // What is logged in by now was logged in before the end.
            owner(&*accounts, 3).await.is_some()
        };
        let contenders: [std::pin::Pin<Box<dyn Future<Output = bool> + Send>>; 2] =
            [Box::pin(logs_in), Box::pin(ends)];
        let outcomes = race(contenders).await;
        let after = owner(&*first.accounts, 3).await.is_some();
        assert_eq!(after, outcomes[0], "round {round}");
        assert!(outcomes[1] || !after, "round {round}: a login after the end");
        let bot = [ruma::device_id!("BOT").to_owned()];
        let deleted = event(&alice(), Action::DevicesDeleted, NOW);
        first.accounts.delete_devices(&alice(), &bot, deleted).await.expect("it answers");
    }
}
