use std::sync::Arc;

use myelin_homeserver::{Homeserver, Operation, Password, PasswordCheck};
use ruma::{api::client::uiaa::UserIdentifier, user_id};
use serde_json::{from_value, json};
use tokio::task::JoinSet;

use crate::harness::{Home, PASSWORD, context};

#[tokio::test]
async fn every_way_to_write_the_user_leads_to_the_canonical_id() {
    let home = Home::open().await;
    home.user("alice").await;
    for user in ["alice", "ALICE", "@alice:example.org", "@Alice:EXAMPLE.org"] {
        let check = home.check_password(user, PASSWORD).await;
        let PasswordCheck::Verified(found) = check else { panic!("{user}: {check:?}") };
        assert_eq!(found, user_id!("@alice:example.org"));
    }
}

#[tokio::test]
async fn what_is_not_the_password_is_wrong() {
    let home = Home::open().await;
    home.user("alice").await;
    let hash = home.database.accounts.lookup(user_id!("@alice:example.org")).await.unwrap();
    let hash = hash.unwrap().password_hash.unwrap();
    let long = "x".repeat(513);
    for password in ["", "correct hors", "Correct horse", "correct horse ", &hash, &long] {
        let check = home.check_password("alice", password).await;
        assert!(matches!(check, PasswordCheck::Wrong), "{password}: {check:?}");
    }
}

#[tokio::test]
async fn a_user_who_is_not_of_this_server_is_wrong() {
    let home = Home::open().await;
    home.user("alice").await;
    for user in ["", "bob", "@alice:example.com", "@alice", "alice:example.org", "NOBODY"] {
        let check = home.check_password(user, PASSWORD).await;
        assert!(matches!(check, PasswordCheck::Wrong), "{user}: {check:?}");
    }
}

#[tokio::test]
async fn identifiers_of_another_kind_are_wrong() {
    let home = Home::open().await;
    home.user("alice").await;
    for identifier in [
        json!({"type": "m.id.thirdparty", "medium": "email", "address": "alice"}),
        json!({"type": "m.id.phone", "country": "GB", "phone": "alice"}),
        json!({"type": "org.example.id", "user": "alice"}),
    ] {
        let typed: UserIdentifier = from_value(identifier.clone()).unwrap();
        let password = Password::new(PASSWORD);
        let check = home.embedded.check_password(&typed, &password, &context()).await.unwrap();
        assert!(matches!(check, PasswordCheck::Wrong), "{identifier}: {check:?}");
    }
}

#[tokio::test]
async fn a_deactivated_user_is_wrong_with_the_right_password_too() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    alice.perform(Operation::Deactivate, &[], json!({})).await.ok();
    let check = home.check_password("alice", PASSWORD).await;
    assert!(matches!(check, PasswordCheck::Wrong), "{check:?}");
}

#[tokio::test]
async fn many_checks_at_once_are_all_answered() {
    let home = Arc::new(Home::open().await);
    home.user("alice").await;
    let mut checks = JoinSet::new();
    for index in 0..64 {
        let home = Arc::clone(&home);
        checks.spawn(async move {
            let is_right = index % 2 == 0;
            let password = if is_right { PASSWORD } else { "wrong one" };
            home.is_password("alice", password).await == is_right
        });
    }
    assert!(checks.join_all().await.into_iter().all(|as_expected| as_expected));
}
