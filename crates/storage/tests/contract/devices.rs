//! Devices and their tokens.

use std::{sync::Arc, time::Duration};

use myelin_storage::{
    Accounts, Action, Created, Database, DeviceLogin, NewAccount, NewTokens, Outcome, Refreshed,
    TokenDigest, TokenOwner,
};
use myelin_testing::fixture::{ADDRESS, event};
use myelin_testing::race::race;
use myelin_testing::{NOW, TestDatabase, on_every_database};
use ruma::{OwnedDeviceId, UserId, device_id};

use crate::support::{alice, bob, log, times};

on_every_database!(
    a_device_is_found_as_it_logged_in,
    a_login_on_the_same_device_ends_its_older_tokens,
    devices_of_the_same_name_belong_to_their_users,
    nobody_logs_in_without_an_account,
    a_sweep_leaves_what_can_be_refreshed,
    a_device_is_renamed_by_its_owner_only,
    devices_are_deleted_for_their_owner_only,
    deleting_no_devices_does_nothing,
    all_devices_of_a_user_go,
    beyond_a_thousand_devices_the_one_seen_longest_ago_goes,
);

/// Tokens that are told by their number; the access token lasts a minute.
pub(crate) fn tokens(number: u8) -> NewTokens {
    NewTokens {
        access: TokenDigest([number; 32]),
        access_expires: Some(NOW + Duration::from_mins(1)),
        refresh: Some(TokenDigest([number + 100; 32])),
    }
}

/// A login on this device, with tokens of this number.
pub(crate) fn login(device: &str, number: u8) -> DeviceLogin {
    DeviceLogin { device_id: device.into(), display_name: None, tokens: tokens(number) }
}

/// Registers with a device.
pub(crate) async fn register(accounts: &dyn Accounts, user: &UserId, login: &DeviceLogin) {
    let account = NewAccount {
        user: user.to_owned(),
        password_hash: "hash".to_owned(),
        login: Some(login.clone()),
    };
    let registered = event(user, Action::Registered, NOW);
    let created = accounts.create(&account, NOW, registered).await.expect("it answers");
    assert_eq!(created, Created::Created);
}

/// Logs in on a device.
pub(crate) async fn log_in(accounts: &dyn Accounts, user: &UserId, login: &DeviceLogin) -> bool {
    let logged_in = event(user, Action::LoggedIn, NOW);
    let outcome = accounts.log_in(user, login, None, NOW, logged_in).await.expect("it answers");
    matches!(outcome, Outcome::Committed(true))
}

pub(crate) async fn owner(accounts: &dyn Accounts, number: u8) -> Option<TokenOwner> {
    accounts.lookup_token(&TokenDigest([number; 32])).await.expect("it answers")
}

pub(crate) async fn refresh(accounts: &dyn Accounts, old: u8, new: u8) -> Refreshed {
    let refresh = TokenDigest([old + 100; 32]);
    accounts.refresh(&refresh, &tokens(new), NOW).await.expect("it answers")
}

async fn device_ids(accounts: &dyn Accounts, user: &UserId) -> Vec<String> {
    let devices = accounts.devices(user).await.expect("it answers");
    devices.into_iter().map(|device| device.device_id.to_string()).collect()
}

async fn a_device_is_found_as_it_logged_in(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    let phone = DeviceLogin { display_name: Some("Phone 📱".to_owned()), ..login("PHONE", 1) };
    register(&*accounts, &alice(), &phone).await;
    let plain = NewTokens { access: TokenDigest([2; 32]), access_expires: None, refresh: None };
    assert!(log_in(&*accounts, &alice(), &DeviceLogin { tokens: plain, ..login("A/ö", 2) }).await);
    assert_eq!(device_ids(&*accounts, &alice()).await, ["A/ö", "PHONE"]);
    let found = accounts.device(&alice(), device_id!("PHONE")).await.expect("it answers");
    let found = found.expect("it is there");
    assert_eq!(found.display_name.as_deref(), Some("Phone 📱"));
    assert_eq!(found.last_seen, Some(NOW));
    assert_eq!(found.last_seen_ip, Some(ADDRESS.to_string()));
    let expected = TokenOwner {
        user: alice(),
        device_id: "PHONE".into(),
        expires: Some(NOW + Duration::from_mins(1)),
    };
    assert_eq!(owner(&*accounts, 1).await, Some(expected));
    assert_eq!(owner(&*accounts, 2).await.and_then(|owner| owner.expires), None);
    assert_eq!(owner(&*accounts, 3).await, None);
    assert_eq!(times(&*store, &alice(), Action::LoggedIn).await, 1);
}

async fn a_login_on_the_same_device_ends_its_older_tokens(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    let phone = DeviceLogin { display_name: Some("Phone".to_owned()), ..login("PHONE", 1) };
    register(&*accounts, &alice(), &phone).await;
    assert!(log_in(&*accounts, &alice(), &login("LAPTOP", 2)).await);
    let again = DeviceLogin { display_name: Some("Other".to_owned()), ..login("PHONE", 3) };
    assert!(log_in(&*accounts, &alice(), &again).await);
    assert_eq!(owner(&*accounts, 1).await, None);
    assert_eq!(refresh(&*accounts, 1, 9).await, Refreshed::Unknown);
    assert!(owner(&*accounts, 2).await.is_some() && owner(&*accounts, 3).await.is_some());
    let phone = accounts.device(&alice(), device_id!("PHONE")).await.expect("it answers");
    assert_eq!(phone.and_then(|phone| phone.display_name).as_deref(), Some("Phone"));
}

async fn devices_of_the_same_name_belong_to_their_users(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    register(&*accounts, &bob(), &login("PHONE", 2)).await;
    assert_eq!(owner(&*accounts, 1).await.map(|owner| owner.user), Some(alice()));
    assert_eq!(owner(&*accounts, 2).await.map(|owner| owner.user), Some(bob()));
}

async fn nobody_logs_in_without_an_account(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    assert!(!log_in(&*accounts, &alice(), &login("PHONE", 1)).await);
    assert_eq!(owner(&*accounts, 1).await, None);
    assert!(accounts.devices(&alice()).await.expect("it answers").is_empty());
    assert_eq!(log(&*store, &alice()).await, []);
}

async fn a_sweep_leaves_what_can_be_refreshed(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    store.sweep(NOW + Duration::from_hours(24)).await.expect("it answers");
    // An expired access token is told from an unknown one, and the device is
    // still logged in.
    assert!(owner(&*accounts, 1).await.is_some());
    assert_eq!(refresh(&*accounts, 1, 2).await, Refreshed::Refreshed);
}

async fn a_device_is_renamed_by_its_owner_only(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    register(&*accounts, &bob(), &login("LAPTOP", 2)).await;
    let cases =
        [(bob(), Some("x"), false), (alice(), Some("My phone"), true), (alice(), None, true)];
    for (user, name, expected) in cases {
        let phone = device_id!("PHONE");
        let by = event(&user, Action::DeviceRenamed, NOW);
        let renamed = accounts.rename_device(&user, phone, name, by).await;
        assert_eq!(renamed.expect("it answers"), expected);
        let found = accounts.device(&alice(), phone).await.expect("it answers");
        let shown = found.and_then(|device| device.display_name);
        assert_eq!(shown.as_deref(), if expected { name } else { None });
    }
    assert!(accounts.device(&bob(), device_id!("PHONE")).await.expect("it answers").is_none());
    assert_eq!(times(&*store, &alice(), Action::DeviceRenamed).await, 2);
    assert_eq!(times(&*store, &bob(), Action::DeviceRenamed).await, 0);
}

async fn devices_are_deleted_for_their_owner_only(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    register(&*accounts, &bob(), &login("PHONE", 2)).await;
    assert!(log_in(&*accounts, &alice(), &login("LAPTOP", 3)).await);
    assert!(log_in(&*accounts, &alice(), &login("TABLET", 4)).await);
    let devices: Vec<OwnedDeviceId> = ["PHONE", "TABLET", "UNKNOWN"].map(Into::into).to_vec();
    let deleted = event(&alice(), Action::DevicesDeleted, NOW);
    accounts.delete_devices(&alice(), &devices, deleted).await.expect("it answers");
    assert_eq!(device_ids(&*accounts, &alice()).await, ["LAPTOP"]);
    assert_eq!(device_ids(&*accounts, &bob()).await, ["PHONE"]);
    let mut left = Vec::new();
    for number in 1..=4 {
        left.push(owner(&*accounts, number).await.is_some());
    }
    assert_eq!(left, [false, true, true, false]);
    assert_eq!(refresh(&*accounts, 1, 9).await, Refreshed::Unknown);
    assert_eq!(times(&*store, &alice(), Action::DevicesDeleted).await, 1);
}

async fn deleting_no_devices_does_nothing(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let deleted = event(&alice(), Action::DevicesDeleted, NOW);
    accounts.delete_devices(&alice(), &[], deleted).await.expect("it answers");
    assert_eq!(device_ids(&*accounts, &alice()).await, ["PHONE"]);
    assert_eq!(times(&*store, &alice(), Action::DevicesDeleted).await, 0);
}

async fn all_devices_of_a_user_go(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    register(&*accounts, &bob(), &login("PHONE", 2)).await;
    assert!(log_in(&*accounts, &alice(), &login("LAPTOP", 3)).await);
    let deleted = event(&alice(), Action::DevicesDeleted, NOW);
    accounts.delete_all_devices(&alice(), deleted).await.expect("it answers");
    assert!(device_ids(&*accounts, &alice()).await.is_empty());
    assert!(owner(&*accounts, 1).await.is_none() && owner(&*accounts, 3).await.is_none());
    assert!(owner(&*accounts, 2).await.is_some());
}

async fn beyond_a_thousand_devices_the_one_seen_longest_ago_goes(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &bob(), &login("D0500", 1)).await;
    register(&*accounts, &alice(), &login("D0000", 2)).await;
    let device = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let mut access = [9; 32];
        (access[0], access[1]) = (high, low);
        let tokens = NewTokens { access: TokenDigest(access), access_expires: None, refresh: None };
        DeviceLogin { tokens, ..login(&format!("D{number:04}"), 0) }
    };
    let log_in_at = |number: u16| {
        let (accounts, login) = (Arc::clone(&accounts), device(number));
        async move {
            let now = NOW + Duration::from_secs(number.into());
            let logged_in = event(&alice(), Action::LoggedIn, now);
            let outcome = accounts.log_in(&alice(), &login, None, now, logged_in).await;
            matches!(outcome, Ok(Outcome::Committed(true)))
        }
    };
    race((1..1000).map(log_in_at)).await;
    assert_eq!(device_ids(&*accounts, &alice()).await.len(), 1000);
    assert!(log_in_at(1000).await);
    let ids = device_ids(&*accounts, &alice()).await;
    assert_eq!((ids.len(), &*ids[0], &*ids[999]), (1000, "D0001", "D1000"));
    assert_eq!(owner(&*accounts, 2).await, None);
    assert!(owner(&*accounts, 1).await.is_some());
}
