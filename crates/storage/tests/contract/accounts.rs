//! Accounts: one of each name, closed for good.

use std::sync::Arc;

use myelin_storage::{
    Accounts, Action, Created, Database, LogoutDevices, NewAccount, Outcome, Refreshed, Store,
    TokenDigest,
};
use myelin_testing::fixture::{enrol, event, factors_of, open_login};
use myelin_testing::race::race;
use myelin_testing::{NOW, Postgres, TestDatabase, on_every_database};
use ruma::{OwnedUserId, UserId, device_id};

use crate::devices::{login, register, tokens};
use crate::support::{alice, bob, is_open, snapshot, times};

on_every_database!(
    an_account_is_found_as_it_was_made,
    a_name_is_taken_once,
    of_many_who_register_a_name_one_does,
    users_are_listed_page_by_page,
    users_whose_accounts_are_elsewhere_are_listed,
    a_search_takes_no_wildcards,
    a_new_password_ends_sessions_and_keeps_devices_as_asked,
    a_deactivated_account_has_nothing_left,
    a_deactivated_account_never_comes_back,
    only_one_first_upload_of_cross_signing_keys_is_kept,
    cross_signing_keys_are_the_users_own,
);

fn account(user: &UserId) -> NewAccount {
    NewAccount { user: user.to_owned(), password_hash: "$argon2id$x".to_owned(), login: None }
}

async fn create(accounts: &dyn Accounts, user: &UserId) -> Created {
    let registered = event(user, Action::Registered, NOW);
    accounts.create(&account(user), NOW, registered).await.expect("it answers")
}

async fn an_account_is_found_as_it_was_made(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    assert!(accounts.lookup(&alice()).await.expect("it answers").is_none());
    assert_eq!(create(&*accounts, &alice()).await, Created::Created);
    let found = accounts.lookup(&alice()).await.expect("it answers").expect("it is there");
    assert_eq!((found.user, found.created, found.deactivated), (alice(), NOW, false));
    assert_eq!(found.password_hash.as_deref(), Some("$argon2id$x"));
    assert!(accounts.devices(&alice()).await.expect("it answers").is_empty());
}

async fn a_name_is_taken_once(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let again = NewAccount {
        password_hash: "another".to_owned(),
        login: Some(login("LAPTOP", 2)),
        ..account(&alice())
    };
    let registered = event(&alice(), Action::Registered, NOW);
    let outcome = accounts.create(&again, NOW, registered).await.expect("it answers");
    assert_eq!(outcome, Created::Taken);
    let found = accounts.lookup(&alice()).await.expect("it answers").expect("it is there");
    assert_ne!(found.password_hash.as_deref(), Some("another"));
    assert_eq!(accounts.devices(&alice()).await.expect("it answers").len(), 1);
    let token = accounts.lookup_token(&TokenDigest([2; 32])).await.expect("it answers");
    assert_eq!(token, None);
    assert_eq!(times(&*store, &alice(), Action::Registered).await, 1);
}

async fn of_many_who_register_a_name_one_does(database: &TestDatabase) {
    let [one, other] = [database.open().await, database.open().await];
    for round in 0..8 {
        let user: OwnedUserId = format!("@user{round}:localhost").try_into().expect("an ID");
        let created = race((0..12).map(|number| {
            let accounts = Arc::clone(if number % 2 == 0 { &one } else { &other }.accounts());
            let user = user.clone();
            async move { create(&*accounts, &user).await }
        }))
        .await;
        let winners = created.iter().filter(|outcome| **outcome == Created::Created).count();
        assert_eq!(winners, 1, "round {round}");
        assert_eq!(times(&*one.store, &user, Action::Registered).await, 1);
    }
}

/// For contenders that only need the accounts.
trait TheAccounts {
    fn accounts(&self) -> &Arc<dyn Accounts>;
}

impl TheAccounts for Database {
    fn accounts(&self) -> &Arc<dyn Accounts> {
        &self.accounts
    }
}

/// In the order of their bytes, which is the order that is asked for.
const NAMES: [&str; 6] = [
    "@a-b:localhost",
    "@a.b:localhost",
    "@a1:localhost",
    "@a_b:localhost",
    "@ab:localhost",
    "@b:localhost",
];

async fn list_pages(store: &dyn Store, search: &str, limit: u32) -> Vec<String> {
    let mut listed: Vec<OwnedUserId> = Vec::new();
    loop {
        let after = listed.last().map(|user| &**user);
        let page = store.users(search, after, limit).await.expect("it answers");
        assert!(page.len() <= limit as usize);
        if page.is_empty() {
            return listed.into_iter().map(|user| user.to_string()).collect();
        }
        listed.extend(page);
    }
}

async fn create_named(accounts: &dyn Accounts) {
    for name in NAMES.iter().rev() {
        let user: OwnedUserId = (*name).try_into().expect("it is an ID");
        assert_eq!(create(accounts, &user).await, Created::Created);
    }
}

async fn users_are_listed_page_by_page(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    create_named(&*accounts).await;
    for limit in [1, 2, 3, 100] {
        assert_eq!(list_pages(&*store, "", limit).await, NAMES, "limit {limit}");
    }
    assert_eq!(list_pages(&*store, "b:", 2).await.len(), 5);
    assert!(list_pages(&*store, "nobody", 2).await.is_empty());
}

async fn users_whose_accounts_are_elsewhere_are_listed(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &bob(), 0, NOW).await;
    enrol(&*store, &alice(), 0, NOW).await;
    assert_eq!(list_pages(&*store, "", 100).await, [alice(), bob()]);
}

/// A database whose text is ordered as in a dictionary must not skip anybody.
#[test]
fn users_are_listed_in_the_same_order_under_any_collation() {
    let Some(server) = Postgres::shared_for("the order of users") else { return };
    myelin_testing::run(async {
        let url = server.fresh_database_with_collation().await;
        let Database { store, accounts, .. } = TestDatabase::postgres_at(url).open().await;
        create_named(&*accounts).await;
        assert_eq!(list_pages(&*store, "", 1).await, NAMES);
    });
}

async fn a_search_takes_no_wildcards(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    create_named(&*accounts).await;
    assert_eq!(list_pages(&*store, "_", 10).await, ["@a_b:localhost"]);
    for nobody in ["%", "a%b", "\\", "*", "?", "'"] {
        assert!(list_pages(&*store, nobody, 10).await.is_empty(), "{nobody}");
    }
}

async fn a_new_password_ends_sessions_and_keeps_devices_as_asked(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    register(&*accounts, &bob(), &login("PHONE", 3)).await;
    crate::devices::log_in(&*accounts, &alice(), &login("LAPTOP", 2)).await;
    let of_bob = open_login(&*store, &bob(), NOW).await;
    let keep_one = LogoutDevices::AllBut(device_id!("LAPTOP").to_owned());
    for (logout, left) in
        [(LogoutDevices::Keep, vec!["LAPTOP", "PHONE"]), (keep_one, vec!["LAPTOP"])]
    {
        let session = open_login(&*store, &alice(), NOW).await;
        let changed = event(&alice(), Action::PasswordChanged, NOW);
        let hash = format!("hash {logout:?}");
        accounts.set_password(&alice(), &hash, logout, None, changed).await.expect("it answers");
        let found = accounts.lookup(&alice()).await.expect("it answers").expect("it is there");
        assert_eq!(found.password_hash, Some(hash));
        assert!(!is_open(&*store, &session).await);
        let devices = accounts.devices(&alice()).await.expect("it answers");
        let ids: Vec<_> = devices.iter().map(|device| device.device_id.as_str()).collect();
        assert_eq!(ids, left);
        let phone = accounts.lookup_token(&TokenDigest([1; 32])).await.expect("it answers");
        assert_eq!(phone.is_some(), left.contains(&"PHONE"));
    }
    let refreshed = accounts.refresh(&TokenDigest([101; 32]), &tokens(9), NOW).await;
    assert_eq!(refreshed.expect("it answers"), Refreshed::Unknown);
    let laptop = accounts.lookup_token(&TokenDigest([2; 32])).await.expect("it answers");
    assert!(laptop.is_some());
    assert!(is_open(&*store, &of_bob).await);
    assert_eq!(accounts.devices(&bob()).await.expect("it answers").len(), 1);
    assert_eq!(times(&*store, &alice(), Action::PasswordChanged).await, 2);
}

async fn a_deactivated_account_has_nothing_left(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    register(&*accounts, &bob(), &login("PHONE", 2)).await;
    for user in [alice(), bob()] {
        enrol(&*store, &user, 1, NOW).await;
        let uploaded = event(&user, Action::CrossSigningUploaded, NOW);
        accounts.set_cross_signing(&user, "{}", true, uploaded).await.expect("it answers");
    }
    let issued = event(&alice(), Action::LoginTokenIssued, NOW);
    let login_token = TokenDigest([50; 32]);
    let expires = NOW + std::time::Duration::from_mins(1);
    let epoch = factors_of(&*store, &alice()).await.epoch;
    let created = store.create_login_token(&login_token, &alice(), epoch, expires, issued).await;
    assert!(matches!(created.expect("it answers"), Outcome::Committed(())));
    let session = open_login(&*store, &alice(), NOW).await;
    let of_bob = snapshot(&*store, &bob(), &[]).await;
    let deactivated = event(&alice(), Action::Deactivated, NOW);
    accounts.deactivate(&alice(), None, deactivated).await.expect("it answers");

    let found = accounts.lookup(&alice()).await.expect("it answers").expect("it is there");
    assert_eq!((found.deactivated, found.password_hash), (true, None));
    assert!(accounts.devices(&alice()).await.expect("it answers").is_empty());
    let token = accounts.lookup_token(&TokenDigest([1; 32])).await.expect("it answers");
    assert_eq!(token, None);
    assert_eq!(accounts.cross_signing(&alice()).await.expect("it answers"), None);
    assert_eq!(store.redeem_login_token(&login_token, NOW).await.expect("it answers"), None);
    assert!(!is_open(&*store, &session).await);
    let factors = factors_of(&*store, &alice()).await;
    assert!(factors.authenticators.is_empty() && factors.codes.is_none());
    assert_eq!(times(&*store, &alice(), Action::Deactivated).await, 1);

    assert_eq!(snapshot(&*store, &bob(), &[]).await, of_bob);
    assert_eq!(accounts.devices(&bob()).await.expect("it answers").len(), 1);
    assert!(accounts.cross_signing(&bob()).await.expect("it answers").is_some());
}

async fn a_deactivated_account_never_comes_back(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let deactivated = event(&alice(), Action::Deactivated, NOW);
    accounts.deactivate(&alice(), None, deactivated).await.expect("it answers");
    assert_eq!(create(&*accounts, &alice()).await, Created::Taken);
    assert!(!crate::devices::log_in(&*accounts, &alice(), &login("PHONE", 2)).await);
    let changed = event(&alice(), Action::PasswordChanged, NOW);
    let hash = "$argon2id$new";
    accounts
        .set_password(&alice(), hash, LogoutDevices::Keep, None, changed)
        .await
        .expect("it answers");
    let refreshed = accounts.refresh(&TokenDigest([101; 32]), &tokens(3), NOW).await;
    assert_eq!(refreshed.expect("it answers"), Refreshed::Unknown);
    let found = accounts.lookup(&alice()).await.expect("it answers").expect("it is there");
    assert_eq!((found.deactivated, found.password_hash), (true, None));
    assert!(accounts.devices(&alice()).await.expect("it answers").is_empty());
}

async fn upload(accounts: &dyn Accounts, user: &UserId, keys: &str, first_only: bool) -> bool {
    let uploaded = event(user, Action::CrossSigningUploaded, NOW);
    accounts.set_cross_signing(user, keys, first_only, uploaded).await.expect("it answers")
}

async fn only_one_first_upload_of_cross_signing_keys_is_kept(database: &TestDatabase) {
    let [one, other] = [database.open().await, database.open().await];
    for round in 0..8 {
        let user: OwnedUserId = format!("@user{round}:localhost").try_into().expect("an ID");
        register(&*one.accounts, &user, &login("PHONE", round)).await;
        let kept = race((0..12).map(|number| {
            let accounts = Arc::clone(if number % 2 == 0 { &one } else { &other }.accounts());
            let user = user.clone();
            async move { upload(&*accounts, &user, &format!(r#"{{"n":{number}}}"#), true).await }
        }))
        .await;
        let winners: Vec<_> = (0..12).filter(|number| kept[*number]).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let keys = one.accounts.cross_signing(&user).await.expect("it answers");
        assert_eq!(keys, Some(format!(r#"{{"n":{}}}"#, winners[0])));
        assert_eq!(times(&*one.store, &user, Action::CrossSigningUploaded).await, 1);
    }
}

async fn cross_signing_keys_are_the_users_own(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    register(&*accounts, &bob(), &login("PHONE", 2)).await;
    assert!(upload(&*accounts, &alice(), r#"{"a":1}"#, true).await);
    assert!(!upload(&*accounts, &alice(), r#"{"a":2}"#, true).await);
    assert!(upload(&*accounts, &alice(), r#"{"a":3}"#, false).await);
    let keys = accounts.cross_signing(&alice()).await.expect("it answers");
    assert_eq!(keys.as_deref(), Some(r#"{"a":3}"#));
    assert_eq!(accounts.cross_signing(&bob()).await.expect("it answers"), None);
}
