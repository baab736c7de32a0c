//! A login token names its user once, while it lasts.

use std::{sync::Arc, time::Duration};

use myelin_ambient::Timestamp;
use myelin_storage::{Action, LOGIN_TOKENS, Store, TokenDigest};
use myelin_testing::fixture::event;
use myelin_testing::race::race;
use myelin_testing::{NOW, TestDatabase, on_every_database};
use ruma::{OwnedUserId, UserId};

use crate::support::{alice, bob, times};

on_every_database!(
    a_login_token_is_redeemed_once,
    a_login_token_expires,
    an_unknown_login_token_names_nobody,
    of_many_who_redeem_a_login_token_one_does,
    beyond_the_limit_the_login_token_that_runs_out_first_goes,
    of_many_that_are_issued_at_once_the_limit_is_left,
    a_sweep_takes_all_login_tokens_that_have_expired,
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

/// How many of these tokens are still good.
async fn left(store: &dyn Store, tokens: impl IntoIterator<Item = TokenDigest>) -> u32 {
    let mut left = 0;
    for token in tokens {
        let redeemed = store.redeem_login_token(&token, NOW).await.expect("it answers");
        left += u32::from(redeemed.is_some());
    }
    left
}

async fn beyond_the_limit_the_login_token_that_runs_out_first_goes(database: &TestDatabase) {
    let store = database.open().await.store;
    issue(&*store, &bob(), token(200)).await;
    let limit = u8::try_from(LOGIN_TOKENS).expect("there are few");
    for number in 0..limit + 2 {
        let issued = event(&alice(), Action::LoginTokenIssued, NOW);
        let expires = NOW + LIFETIME + Duration::from_millis(number.into());
        let created = store.create_login_token(&token(number), &alice(), expires, issued).await;
        created.expect("it answers");
    }
    assert_eq!(left(&*store, (0..2).map(token)).await, 0);
    assert_eq!(left(&*store, (2..limit + 2).map(token)).await, LOGIN_TOKENS);
    assert_eq!(left(&*store, [token(200)]).await, 1);
}

async fn of_many_that_are_issued_at_once_the_limit_is_left(database: &TestDatabase) {
    let stores = [database.open().await.store, database.open().await.store];
    let numbers = || 0..3 * u8::try_from(LOGIN_TOKENS).expect("there are few");
    race(numbers().map(|number| {
        let store = Arc::clone(&stores[usize::from(number % 2)]);
        async move { issue(&*store, &alice(), token(number)).await }
    }))
    .await;
    assert_eq!(left(&*stores[0], numbers().map(token)).await, LOGIN_TOKENS);
}

async fn a_sweep_takes_all_login_tokens_that_have_expired(database: &TestDatabase) {
    /// More than one transaction of a sweep deletes.
    const MANY: u16 = 1100;
    let store = database.open().await.store;
    race((0..MANY).map(|number| {
        let store = Arc::clone(&store);
        async move {
            let user = format!("@user{}:localhost", number % 50);
            let user: OwnedUserId = user.try_into().expect("it is an ID");
            let mut digest = [0; 32];
            digest[..2].copy_from_slice(&number.to_be_bytes());
            issue(&*store, &user, TokenDigest(digest)).await;
        }
    }))
    .await;
    let last = NOW + LIFETIME - Duration::from_millis(1);
    assert_eq!(store.sweep(last).await.expect("it answers"), 0);
    assert_eq!(store.sweep(NOW + LIFETIME).await.expect("it answers"), u64::from(MANY));
}
