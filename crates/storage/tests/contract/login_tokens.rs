//! A login token names its user once, while it lasts.

use std::{sync::Arc, time::Duration};

use myelin_ambient::Timestamp;
use myelin_storage::{Action, Change, Epoch, LOGIN_TOKENS, Outcome, Store, TokenDigest};
use myelin_testing::fixture::{event, factors_of};
use myelin_testing::race::race;
use myelin_testing::{NOW, TestDatabase, on_every_database};
use myelin_two_factor::Throttle;
use ruma::{OwnedUserId, UserId};

use crate::support::{alice, bob, change, times};

on_every_database!(
    a_login_token_is_redeemed_once,
    a_login_token_expires,
    an_unknown_login_token_names_nobody,
    of_many_who_redeem_a_login_token_one_does,
    beyond_the_limit_the_login_token_that_runs_out_first_goes,
    of_many_that_are_issued_at_once_the_limit_is_left,
    a_sweep_takes_all_login_tokens_that_have_expired,
    a_login_token_decided_in_an_old_epoch_is_stale,
    a_login_token_names_the_epoch_of_its_user,
    a_login_token_makes_no_decision_stale,
);

const LIFETIME: Duration = Duration::from_mins(2);

fn token(number: u8) -> TokenDigest {
    TokenDigest([number; 32])
}

async fn issue(store: &dyn Store, user: &UserId, token: TokenDigest) -> Timestamp {
    issue_until(store, user, token, NOW + LIFETIME).await;
    NOW + LIFETIME
}

/// Issues one on the epoch that the user has by then.
async fn issue_until(store: &dyn Store, user: &UserId, token: TokenDigest, expires: Timestamp) {
    loop {
        let epoch = factors_of(store, user).await.epoch;
        if issue_at(store, user, token, epoch, expires).await {
            return;
        }
    }
}

async fn issue_at(
    store: &dyn Store,
    user: &UserId,
    token: TokenDigest,
    epoch: Epoch,
    expires: Timestamp,
) -> bool {
    let issued = event(user, Action::LoginTokenIssued, NOW);
    let created = store.create_login_token(&token, user, epoch, expires, issued).await;
    matches!(created.expect("it answers"), Outcome::Committed(()))
}

/// Whom a token names.
async fn redeem(store: &dyn Store, token: TokenDigest, now: Timestamp) -> Option<OwnedUserId> {
    let redeemed = store.redeem_login_token(&token, now).await.expect("it answers");
    redeemed.map(|(user, _)| user)
}

async fn a_login_token_is_redeemed_once(database: &TestDatabase) {
    let store = database.open().await.store;
    issue(&*store, &alice(), token(1)).await;
    issue(&*store, &bob(), token(2)).await;
    assert_eq!(redeem(&*store, token(1), NOW).await, Some(alice()));
    assert_eq!(redeem(&*store, token(1), NOW).await, None);
    assert_eq!(redeem(&*store, token(2), NOW).await, Some(bob()));
    assert_eq!(times(&*store, &alice(), Action::LoginTokenIssued).await, 1);
}

async fn a_login_token_expires(database: &TestDatabase) {
    let store = database.open().await.store;
    let expires = issue(&*store, &alice(), token(1)).await;
    assert_eq!(redeem(&*store, token(1), expires).await, None);
    let expires = issue(&*store, &alice(), token(2)).await;
    let last = expires - Duration::from_millis(1);
    assert_eq!(redeem(&*store, token(2), last).await, Some(alice()));
    issue(&*store, &alice(), token(3)).await;
    assert!(store.sweep(expires).await.expect("it answers") >= 1);
    assert_eq!(redeem(&*store, token(3), NOW).await, None);
}

async fn an_unknown_login_token_names_nobody(database: &TestDatabase) {
    let store = database.open().await.store;
    issue(&*store, &alice(), token(1)).await;
    assert_eq!(redeem(&*store, token(2), NOW).await, None);
}

async fn of_many_who_redeem_a_login_token_one_does(database: &TestDatabase) {
    let stores = [database.open().await.store, database.open().await.store];
    for round in 0..20 {
        issue(&*stores[0], &alice(), token(round)).await;
        let redeemed = race((0..16).map(|number| {
            let store = stores[number % 2].clone();
            async move { redeem(&*store, token(round), NOW).await }
        }))
        .await;
        let named: Vec<_> = redeemed.into_iter().flatten().collect();
        assert_eq!(named, [alice()], "round {round}");
    }
}

/// How many of these tokens are still good.
async fn left(store: &dyn Store, tokens: impl IntoIterator<Item = TokenDigest>) -> u32 {
    let mut left = 0;
    for token in tokens {
        left += u32::from(redeem(store, token, NOW).await.is_some());
    }
    left
}

async fn beyond_the_limit_the_login_token_that_runs_out_first_goes(database: &TestDatabase) {
    let store = database.open().await.store;
    issue(&*store, &bob(), token(200)).await;
    let limit = u8::try_from(LOGIN_TOKENS).expect("there are few");
    for number in 0..limit + 2 {
        let expires = NOW + LIFETIME + Duration::from_millis(number.into());
        issue_until(&*store, &alice(), token(number), expires).await;
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

async fn a_login_token_decided_in_an_old_epoch_is_stale(database: &TestDatabase) {
    let store = database.open().await.store;
    for user in [alice(), bob()] {
        let old = factors_of(&*store, &user).await.epoch;
        store.end_sessions(&user, None).await.expect("it answers");
        assert!(!issue_at(&*store, &user, token(1), old, NOW + LIFETIME).await);
        assert_eq!(redeem(&*store, token(1), NOW).await, None);
        assert_eq!(times(&*store, &user, Action::LoginTokenIssued).await, 0);
        issue(&*store, &user, token(2)).await;
        assert_eq!(redeem(&*store, token(2), NOW).await, Some(user));
    }
}

async fn a_login_token_names_the_epoch_of_its_user(database: &TestDatabase) {
    let store = database.open().await.store;
    issue(&*store, &alice(), token(1)).await;
    let epoch = factors_of(&*store, &alice()).await.epoch;
    let redeemed = store.redeem_login_token(&token(1), NOW).await.expect("it answers");
    assert_eq!(redeemed, Some((alice(), epoch)));
}

async fn a_login_token_makes_no_decision_stale(database: &TestDatabase) {
    let store = database.open().await.store;
    // Of one without a row, and of one with.
    for user in [alice(), bob()] {
        if user == bob() {
            store.end_sessions(&user, None).await.expect("it answers");
        }
        let before = factors_of(&*store, &user).await;
        for number in 1..3 {
            issue(&*store, &user, token(number)).await;
            assert_eq!(redeem(&*store, token(number), NOW).await, Some(user.clone()));
        }
        let now = factors_of(&*store, &user).await;
        assert_eq!((now.version, now.epoch), (before.version, before.epoch));
        let count = || Change::CountRecoveryFailure {
            throttle: Throttle { in_a_row: 1, ..Throttle::default() },
        };
        assert!(change(&*store, &before, count(), Action::RecoveryFailed).await);
        assert!(!change(&*store, &before, count(), Action::RecoveryFailed).await);
        let after = factors_of(&*store, &user).await;
        assert_eq!((after.version.0, after.recovery.in_a_row), (before.version.0 + 1, 1));
    }
}
