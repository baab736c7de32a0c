//! A refresh token works until what it brought is used: an answer may be lost.

use std::sync::Arc;

use myelin_storage::Refreshed;
use myelin_testing::race::race;
use myelin_testing::{TestDatabase, on_every_database};

use crate::devices::{log_in, login, owner, refresh, register};
use crate::support::alice;

on_every_database!(
    a_refresh_replaces_both_tokens_of_its_device,
    a_refresh_whose_answer_was_lost_is_made_again,
    the_first_use_of_a_new_access_token_ends_the_old_refresh_token,
    the_first_use_of_a_new_refresh_token_ends_the_old_one,
    a_new_login_ends_the_refresh_token_before_the_last,
    of_many_refreshes_at_once_one_pair_works,
    a_new_access_token_is_used_or_replaced_and_never_both,
);

async fn a_refresh_replaces_both_tokens_of_its_device(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    assert!(log_in(&*accounts, &alice(), &login("LAPTOP", 2)).await);
    assert_eq!(refresh(&*accounts, 1, 3).await, Refreshed::Refreshed);
    assert_eq!(owner(&*accounts, 1).await, None);
    let renewed = owner(&*accounts, 3).await.expect("it is there");
    assert_eq!((renewed.user, renewed.device_id.as_str()), (alice(), "PHONE"));
    assert_eq!(refresh(&*accounts, 3, 4).await, Refreshed::Refreshed);
    assert!(owner(&*accounts, 2).await.is_some());
    assert_eq!(refresh(&*accounts, 9, 5).await, Refreshed::Unknown);
}

async fn a_refresh_whose_answer_was_lost_is_made_again(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    for lost in 3..6 {
        assert_eq!(refresh(&*accounts, 1, lost).await, Refreshed::Refreshed);
    }
    assert_eq!(refresh(&*accounts, 1, 6).await, Refreshed::Refreshed);
    for lost in 3..6 {
        assert_eq!(owner(&*accounts, lost).await, None);
        assert_eq!(refresh(&*accounts, lost, 9).await, Refreshed::Unknown);
    }
    assert!(owner(&*accounts, 6).await.is_some());
    assert_eq!(refresh(&*accounts, 6, 7).await, Refreshed::Refreshed);
}

async fn the_first_use_of_a_new_access_token_ends_the_old_refresh_token(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    assert_eq!(refresh(&*accounts, 1, 2).await, Refreshed::Refreshed);
    assert!(owner(&*accounts, 2).await.is_some());
    assert_eq!(refresh(&*accounts, 1, 3).await, Refreshed::Unknown);
    assert!(owner(&*accounts, 2).await.is_some() && owner(&*accounts, 3).await.is_none());
}

async fn the_first_use_of_a_new_refresh_token_ends_the_old_one(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    assert_eq!(refresh(&*accounts, 1, 2).await, Refreshed::Refreshed);
    assert_eq!(refresh(&*accounts, 2, 3).await, Refreshed::Refreshed);
    assert_eq!(refresh(&*accounts, 1, 4).await, Refreshed::Unknown);
    // The one that was used last may have brought an answer that was lost.
    assert_eq!(refresh(&*accounts, 2, 5).await, Refreshed::Refreshed);
    assert!(owner(&*accounts, 3).await.is_none() && owner(&*accounts, 5).await.is_some());
}

async fn a_new_login_ends_the_refresh_token_before_the_last(database: &TestDatabase) {
    let accounts = database.open().await.accounts;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    assert_eq!(refresh(&*accounts, 1, 2).await, Refreshed::Refreshed);
    assert!(log_in(&*accounts, &alice(), &login("PHONE", 3)).await);
    for ended in [1, 2] {
        assert_eq!(refresh(&*accounts, ended, 9).await, Refreshed::Unknown);
    }
    assert!(owner(&*accounts, 3).await.is_some());
}

async fn of_many_refreshes_at_once_one_pair_works(database: &TestDatabase) {
    let [one, other] = [database.open().await.accounts, database.open().await.accounts];
    register(&*one, &alice(), &login("PHONE", 0)).await;
    let mut current = 0;
    for round in 0..8 {
        let numbers = || (1..=8).map(|number| round * 8 + number);
        let refreshed = race(numbers().map(|number| {
            let accounts = Arc::clone(if number % 2 == 0 { &one } else { &other });
            async move { refresh(&*accounts, current, number).await }
        }))
        .await;
        let mut working = Vec::new();
        for (number, outcome) in numbers().zip(refreshed) {
            if owner(&*one, number).await.is_some() {
                assert_eq!(outcome, Refreshed::Refreshed, "round {round}");
                working.push(number);
            }
        }
        let [winner] = working[..] else { panic!("round {round}: {working:?}") };
        for number in numbers().filter(|number| *number != winner) {
            assert_eq!(refresh(&*one, number, 99).await, Refreshed::Unknown, "round {round}");
        }
        // The winner's access token has been used.
        assert_eq!(refresh(&*one, current, 99).await, Refreshed::Unknown, "round {round}");
        current = winner;
    }
}

async fn a_new_access_token_is_used_or_replaced_and_never_both(database: &TestDatabase) {
    let [one, other] = [database.open().await.accounts, database.open().await.accounts];
    register(&*one, &alice(), &login("PHONE", 0)).await;
    let mut current = 0;
    for round in 0..16 {
        let (first, second) = (round * 2 + 1, round * 2 + 2);
        assert_eq!(refresh(&*one, current, first).await, Refreshed::Refreshed);
        let accounts = [Arc::clone(&one), Arc::clone(&other)];
        let done = race(accounts.into_iter().enumerate().map(|(place, accounts)| async move {
            match place {
                0 => owner(&*accounts, first).await.is_some(),
                _ => refresh(&*accounts, current, second).await == Refreshed::Refreshed,
            }
        }))
        .await;
        assert_ne!(done[0], done[1], "round {round}");
        current = if done[0] { first } else { second };
        assert!(owner(&*one, current).await.is_some(), "round {round}");
    }
}
