//! Sessions of the pages, and grants: each holds for its user, while it lasts.

use std::{sync::Arc, time::Duration};

use myelin_ambient::Timestamp;
use myelin_storage::{
    Action, Change, Database, Epoch, GRANTS, LogoutDevices, Outcome, Store, TokenDigest,
    WEB_SESSIONS, WebSession,
};
use myelin_testing::fixture::{enrol, event, factors_of, unhashed_codes};
use myelin_testing::race::race;
use myelin_testing::{NOW, TestDatabase, on_every_database};
use ruma::UserId;

use crate::devices::{login, register};
use crate::support::{alice, bob, change, times};

on_every_database!(
    a_web_session_is_found_with_the_factors_of_its_user,
    a_web_session_ends_at_its_end_and_when_it_is_idle,
    using_a_web_session_keeps_it_but_not_beyond_its_end,
    a_web_session_is_ended_by_its_name,
    what_ends_other_sessions_ends_web_sessions_and_grants,
    a_web_session_decided_in_an_old_epoch_is_not_opened,
    no_web_session_survives_an_end_that_races_with_it,
    beyond_the_limit_the_web_session_unused_for_longest_goes,
    a_grant_is_redeemed_once_by_its_user,
    a_grant_runs_out_and_can_be_renewed,
    of_many_who_redeem_a_grant_one_does,
    beyond_the_limit_the_grant_that_runs_out_first_goes,
    a_grant_decided_in_an_old_epoch_is_not_kept,
    a_sweep_takes_web_sessions_and_grants_that_have_expired,
);

const IDLE: Duration = Duration::from_mins(30);
const LIFETIME: Duration = Duration::from_hours(2);

fn digest(number: u8) -> TokenDigest {
    TokenDigest([number; 32])
}

/// Opens a session; whether it was opened.
async fn open_at(store: &dyn Store, user: &UserId, number: u8, epoch: Epoch) -> bool {
    open_from(store, user, number, epoch, NOW).await
}

async fn open_from(
    store: &dyn Store,
    user: &UserId,
    number: u8,
    epoch: Epoch,
    now: Timestamp,
) -> bool {
    let signed_in = Some(event(user, Action::SignedIn, now));
    let session =
        WebSession { user: user.to_owned(), created: now, last_seen: now, expires: now + LIFETIME };
    let opened = store.open_web_session(&digest(number), &session, epoch, signed_in).await;
    matches!(opened.expect("it answers"), Outcome::Committed(()))
}

async fn open(store: &dyn Store, user: &UserId, number: u8) {
    let epoch = factors_of(store, user).await.epoch;
    assert!(open_at(store, user, number, epoch).await, "nothing has changed");
}

async fn is_signed_in(store: &dyn Store, number: u8, now: Timestamp) -> bool {
    let found = store.lookup_web_session(&digest(number), IDLE, now).await;
    found.expect("it answers").is_some()
}

async fn put_at(store: &dyn Store, user: &UserId, number: u8, epoch: Epoch) -> bool {
    let allowed = event(user, Action::SigningKeysAllowed, NOW);
    let expires = NOW + LIFETIME + Duration::from_secs(number.into());
    let put = store.put_grant(&digest(number), user, epoch, expires, allowed).await;
    matches!(put.expect("it answers"), Outcome::Committed(()))
}

async fn put(store: &dyn Store, user: &UserId, number: u8) {
    let epoch = factors_of(store, user).await.epoch;
    assert!(put_at(store, user, number, epoch).await, "nothing has changed");
}

async fn redeem(store: &dyn Store, user: &UserId, number: u8, now: Timestamp) -> bool {
    store.redeem_grant(&digest(number), user, now).await.expect("it answers").is_some()
}

async fn a_web_session_is_found_with_the_factors_of_its_user(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    open(&*store, &alice(), 1).await;
    open(&*store, &bob(), 2).await;
    let found = store.lookup_web_session(&digest(1), IDLE, NOW).await.expect("it answers");
    let (session, factors) = found.expect("it is open");
    assert_eq!((&session.user, session.created), (&alice(), NOW));
    assert_eq!((session.last_seen, session.expires), (NOW, NOW + LIFETIME));
    assert_eq!(factors.authenticators[0].id, user.authenticator);
    let found = store.lookup_web_session(&digest(2), IDLE, NOW).await.expect("it answers");
    let (session, factors) = found.expect("it is open");
    assert_eq!((session.user, factors.protect()), (bob(), false));
    assert!(!is_signed_in(&*store, 3, NOW).await);
    assert_eq!(times(&*store, &alice(), Action::SignedIn).await, 1);
}

async fn a_web_session_ends_at_its_end_and_when_it_is_idle(database: &TestDatabase) {
    let store = database.open().await.store;
    open(&*store, &alice(), 1).await;
    let millisecond = Duration::from_millis(1);
    assert!(!is_signed_in(&*store, 1, NOW + IDLE).await);
    assert!(is_signed_in(&*store, 1, NOW + IDLE - millisecond).await);
    let found = store.lookup_web_session(&digest(1), LIFETIME, NOW + LIFETIME).await;
    assert!(found.expect("it answers").is_none());
}

async fn using_a_web_session_keeps_it_but_not_beyond_its_end(database: &TestDatabase) {
    let store = database.open().await.store;
    open(&*store, &alice(), 1).await;
    let mut now = NOW;
    while now + IDLE / 2 < NOW + LIFETIME {
        now = now + IDLE / 2;
        assert!(is_signed_in(&*store, 1, now).await, "it was used");
    }
    assert!(!is_signed_in(&*store, 1, NOW + LIFETIME).await);
}

async fn a_web_session_is_ended_by_its_name(database: &TestDatabase) {
    let store = database.open().await.store;
    open(&*store, &alice(), 1).await;
    open(&*store, &alice(), 2).await;
    for _ in 0..2 {
        store.end_web_session(&digest(1)).await.expect("it answers");
    }
    assert!(!is_signed_in(&*store, 1, NOW).await && is_signed_in(&*store, 2, NOW).await);
}

async fn what_ends_other_sessions_ends_web_sessions_and_grants(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    open(&*store, &bob(), 200).await;
    put(&*store, &bob(), 200).await;
    for (number, action) in [
        (1, Action::RecoveryRegenerated),
        (2, Action::AuthenticatorRemoved),
        (3, Action::PasswordChanged),
        (4, Action::SignedIn),
        (5, Action::TwoFactorReset),
        (6, Action::Deactivated),
    ] {
        open(&*store, &alice(), number).await;
        put(&*store, &alice(), number).await;
        let event = event(&alice(), action, NOW);
        let factors = factors_of(&*store, &alice()).await;
        match action {
            Action::RecoveryRegenerated => {
                let codes = unhashed_codes(2);
                assert!(change(&*store, &factors, Change::Regenerate { codes }, action).await);
            }
            Action::AuthenticatorRemoved => {
                let id = user.authenticator.clone();
                assert!(change(&*store, &factors, Change::Remove { id }, action).await);
            }
            Action::PasswordChanged => {
                let kept = LogoutDevices::Keep;
                accounts
                    .set_password(&alice(), "new", kept, None, event)
                    .await
                    .expect("it answers");
            }
            Action::SignedIn => {
                store.end_sessions(&alice(), None).await.expect("it answers");
            }
            Action::TwoFactorReset => {
                enrol(&*store, &alice(), 0, NOW).await;
                assert!(store.reset(&alice(), event).await.expect("it answers"));
            }
            _ => {
                accounts.deactivate(&alice(), None, event).await.expect("it answers");
            }
        }
        assert!(!is_signed_in(&*store, number, NOW).await, "{action:?}");
        assert!(!redeem(&*store, &alice(), number, NOW).await, "{action:?}");
    }
    assert!(is_signed_in(&*store, 200, NOW).await && redeem(&*store, &bob(), 200, NOW).await);
}

async fn a_web_session_decided_in_an_old_epoch_is_not_opened(database: &TestDatabase) {
    let store = database.open().await.store;
    for _ in 0..2 {
        let old = factors_of(&*store, &alice()).await.epoch;
        store.end_sessions(&alice(), None).await.expect("it answers");
        assert!(!open_at(&*store, &alice(), 1, old).await);
        assert!(!is_signed_in(&*store, 1, NOW).await);
    }
    assert_eq!(times(&*store, &alice(), Action::SignedIn).await, 0);
}

async fn no_web_session_survives_an_end_that_races_with_it(database: &TestDatabase) {
    let stores = [database.open().await.store, database.open().await.store];
    for round in 0..20_u8 {
        // Of a user without a row, too.
        let user: ruma::OwnedUserId =
            format!("@user{}:localhost", round / 2).try_into().expect("it is an ID");
        let epoch = factors_of(&*stores[0], &user).await.epoch;
        let opened = race((0..8).map(|number| {
            let (store, user) = (Arc::clone(&stores[usize::from(number % 2)]), user.clone());
            async move {
                if number == 0 {
                    store.end_sessions(&user, None).await.expect("it answers");
                    return false;
                }
                open_at(&*store, &user, 10 * round + number, epoch).await
            }
        }))
        .await;
        // Whoever was told that it is open came before the end.
        for number in 1..8 {
            let open = is_signed_in(&*stores[0], 10 * round + number, NOW).await;
            assert!(!open, "round {round}: {opened:?}");
        }
    }
}

async fn beyond_the_limit_the_web_session_unused_for_longest_goes(database: &TestDatabase) {
    let store = database.open().await.store;
    let limit = u8::try_from(WEB_SESSIONS).expect("there are few");
    open(&*store, &bob(), 200).await;
    for number in 0..limit {
        open(&*store, &alice(), number).await;
    }
    let later = NOW + Duration::from_mins(2);
    for number in 1..limit {
        assert!(is_signed_in(&*store, number, later).await);
    }
    let epoch = factors_of(&*store, &alice()).await.epoch;
    assert!(open_from(&*store, &alice(), 100, epoch, later).await);
    assert!(!is_signed_in(&*store, 0, later).await);
    for number in (1..limit).chain([100, 200]) {
        assert!(is_signed_in(&*store, number, later).await, "{number}");
    }
}

async fn a_grant_is_redeemed_once_by_its_user(database: &TestDatabase) {
    let store = database.open().await.store;
    put(&*store, &alice(), 1).await;
    assert!(!redeem(&*store, &bob(), 1, NOW).await);
    assert!(!redeem(&*store, &alice(), 2, NOW).await);
    assert!(redeem(&*store, &alice(), 1, NOW).await);
    assert!(!redeem(&*store, &alice(), 1, NOW).await);
    assert_eq!(times(&*store, &alice(), Action::SigningKeysAllowed).await, 1);
}

async fn a_grant_runs_out_and_can_be_renewed(database: &TestDatabase) {
    let store = database.open().await.store;
    let end = NOW + LIFETIME + Duration::from_secs(1);
    for _ in 0..2 {
        put(&*store, &alice(), 1).await;
        assert!(!redeem(&*store, &alice(), 1, end).await);
    }
    assert!(redeem(&*store, &alice(), 1, end - Duration::from_millis(1)).await);
    assert!(!redeem(&*store, &alice(), 1, NOW).await);
}

async fn of_many_who_redeem_a_grant_one_does(database: &TestDatabase) {
    let stores = [database.open().await.store, database.open().await.store];
    for round in 0..20 {
        put(&*stores[0], &alice(), round).await;
        let redeemed = race((0..16).map(|number| {
            let store = Arc::clone(&stores[number % 2]);
            async move { redeem(&*store, &alice(), round, NOW).await }
        }))
        .await;
        assert_eq!(redeemed.iter().filter(|won| **won).count(), 1, "round {round}");
    }
}

async fn beyond_the_limit_the_grant_that_runs_out_first_goes(database: &TestDatabase) {
    let store = database.open().await.store;
    let limit = u8::try_from(GRANTS).expect("there are few");
    put(&*store, &bob(), 200).await;
    for number in 0..limit + 2 {
        put(&*store, &alice(), number).await;
    }
    // One that is there is renewed, and takes no further room.
    put(&*store, &alice(), limit).await;
    for number in 0..limit + 2 {
        assert_eq!(redeem(&*store, &alice(), number, NOW).await, number >= 2, "{number}");
    }
    assert!(redeem(&*store, &bob(), 200, NOW).await);
}

async fn a_grant_decided_in_an_old_epoch_is_not_kept(database: &TestDatabase) {
    let store = database.open().await.store;
    for _ in 0..2 {
        let old = factors_of(&*store, &alice()).await.epoch;
        store.end_sessions(&alice(), None).await.expect("it answers");
        assert!(!put_at(&*store, &alice(), 1, old).await);
        assert!(!redeem(&*store, &alice(), 1, NOW).await);
    }
}

async fn a_sweep_takes_web_sessions_and_grants_that_have_expired(database: &TestDatabase) {
    let store = database.open().await.store;
    open(&*store, &alice(), 1).await;
    put(&*store, &alice(), 0).await;
    let end = NOW + LIFETIME;
    assert_eq!(store.sweep(end - Duration::from_millis(1)).await.expect("it answers"), 0);
    assert_eq!(store.sweep(end).await.expect("it answers"), 2);
    assert!(!is_signed_in(&*store, 1, NOW).await && !redeem(&*store, &alice(), 0, NOW).await);
}
