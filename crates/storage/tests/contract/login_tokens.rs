//! A login token names its user once, while it lasts.

use std::time::Duration;

use myelin_ambient::Timestamp;
use myelin_storage::{Action, Store, TokenDigest};
use myelin_testing::fixture::event;
use myelin_testing::race::race;
use myelin_testing::{NOW, TestDatabase, on_every_database};
use ruma::UserId;

use crate::support::{alice, bob, times};

on_every_database!(
    a_login_token_is_redeemed_once,
    a_login_token_expires,
    an_unknown_login_token_names_nobody,
    of_many_who_redeem_a_login_token_one_does,
);

const LIFETIME: Duration = Duration::from_mins(2);

fn token(number: u8) -> TokenDigest {
    TokenDigest([number; 32])
}

async fn issue(store: &dyn Store, user: &UserId, token: TokenDigest) -> Timestamp {
    let issued = event(user, Action::LoginTokenIssued, NOW);
    store.create_login_token(&token, user, NOW + LIFETIME, issued).await.expect("it answers");
    NOW + LIFETIME
}

async fn a_login_token_is_redeemed_once(database: &TestDatabase) {
    let store = database.open().await.store;
    issue(&*store, &alice(), token(1)).await;
    issue(&*store, &bob(), token(2)).await;
    let redeem = |number| {
        let store = store.clone();
        async move { store.redeem_login_token(&token(number), NOW).await.expect("it answers") }
    };
    assert_eq!(redeem(1).await, Some(alice()));
    assert_eq!(redeem(1).await, None);
    assert_eq!(redeem(2).await, Some(bob()));
    assert_eq!(times(&*store, &alice(), Action::LoginTokenIssued).await, 1);
}

async fn a_login_token_expires(database: &TestDatabase) {
    let store = database.open().await.store;
    let expires = issue(&*store, &alice(), token(1)).await;
    assert_eq!(store.redeem_login_token(&token(1), expires).await.expect("it answers"), None);
    let expires = issue(&*store, &alice(), token(2)).await;
    let last = expires - Duration::from_millis(1);
    assert_eq!(store.redeem_login_token(&token(2), last).await.expect("it answers"), Some(alice()));
    issue(&*store, &alice(), token(3)).await;
    assert!(store.sweep(expires).await.expect("it answers") >= 1);
    assert_eq!(store.redeem_login_token(&token(3), NOW).await.expect("it answers"), None);
}

async fn an_unknown_login_token_names_nobody(database: &TestDatabase) {
    let store = database.open().await.store;
    issue(&*store, &alice(), token(1)).await;
    assert_eq!(store.redeem_login_token(&token(2), NOW).await.expect("it answers"), None);
}

async fn of_many_who_redeem_a_login_token_one_does(database: &TestDatabase) {
    let stores = [database.open().await.store, database.open().await.store];
    for round in 0..20 {
        issue(&*stores[0], &alice(), token(round)).await;
        let redeemed =
            race(
                (0..16).map(|number| {
                    let store = stores[number % 2].clone();
                    async move {
                        store.redeem_login_token(&token(round), NOW).await.expect("it answers")
                    }
                }),
            )
            .await;
        let named: Vec<_> = redeemed.into_iter().flatten().collect();
        assert_eq!(named, [alice()], "round {round}");
    }
}
