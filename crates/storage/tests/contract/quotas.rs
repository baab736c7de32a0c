//! Open sessions are bounded, and nobody's bound is another's.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use myelin_ambient::Timestamp;
use myelin_storage::{OpenOptions, Quota, Store, open};
use myelin_testing::fixture::{login_session, origin};
use myelin_testing::race::race;
use myelin_testing::{NOW, TestDatabase, on_every_database};
use myelin_uia::{DEFAULT_LIFETIME, Session};
use ruma::UserId;

use crate::sessions::anonymous_session;
use crate::support::{alice, bob, is_open};

on_every_database!(
    the_oldest_of_the_same_user_and_address_makes_room,
    racing_openers_of_one_address_keep_to_its_quota,
    racing_openers_of_many_addresses_keep_to_the_users_quota,
    a_full_quota_of_one_user_is_not_anothers,
    an_attacker_does_not_push_out_the_owners_session,
    sessions_without_a_user_are_bounded_by_address,
    sessions_without_an_address_are_bounded_too,
    expired_sessions_take_no_room,
    who_floods_from_a_few_addresses_does_not_keep_the_owner_out,
    a_lowered_quota_holds_from_the_next_session_on,
    opening_and_ending_sessions_at_once_always_succeeds,
);

const PER_ADDRESS: u32 = 3;
const PER_USER: u32 = 8;
const OPENERS: u8 = 64;

/// Two processes with small quotas.
async fn stores(database: &TestDatabase) -> [Arc<dyn Store>; 2] {
    let limits = Quota { per_address: PER_ADDRESS, per_user: PER_USER };
    let options = OpenOptions { limits, ..database.options() };
    let one = open(&options).await.expect("the database opens").store;
    let other = open(&options).await.expect("the database opens").store;
    [one, other]
}

fn address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, number))
}

async fn open_from(store: &dyn Store, session: &Session, from: IpAddr, now: Timestamp) {
    store.open_session(session, &origin(from), now, None).await.expect("it answers");
}

/// Sessions that open at once from the given addresses.
async fn open_at_once(
    stores: &[Arc<dyn Store>; 2],
    session: impl Fn() -> Session,
    from: impl Fn(u8) -> IpAddr,
) -> Vec<Session> {
    race((0..OPENERS).map(|number| {
        let store = Arc::clone(&stores[usize::from(number % 2)]);
        let (session, from) = (session(), from(number));
        async move {
            open_from(&*store, &session, from, NOW).await;
            session
        }
    }))
    .await
}

async fn still_open(store: &dyn Store, sessions: &[Session]) -> u32 {
    let mut count = 0;
    for session in sessions {
        count += u32::from(is_open(store, session).await);
    }
    count
}

async fn the_oldest_of_the_same_user_and_address_makes_room(database: &TestDatabase) {
    let [store, _] = stores(database).await;
    let mut sessions = Vec::new();
    for number in 0..PER_ADDRESS + 2 {
        let now = NOW + Duration::from_millis(number.into());
        let session = login_session(&alice(), now);
        open_from(&*store, &session, address(1), now).await;
        sessions.push(session);
    }
    for (place, session) in sessions.iter().enumerate() {
        assert_eq!(is_open(&*store, session).await, place >= 2, "session {place}");
    }
}

async fn racing_openers_of_one_address_keep_to_its_quota(database: &TestDatabase) {
    let stores = stores(database).await;
    let outcomes = open_at_once(&stores, || login_session(&alice(), NOW), |_| address(1)).await;
    assert_eq!(still_open(&*stores[0], &outcomes).await, PER_ADDRESS);
}

async fn racing_openers_of_many_addresses_keep_to_the_users_quota(database: &TestDatabase) {
    let stores = stores(database).await;
    let outcomes = open_at_once(&stores, || login_session(&alice(), NOW), address).await;
    assert_eq!(still_open(&*stores[1], &outcomes).await, PER_USER);
}

async fn a_full_quota_of_one_user_is_not_anothers(database: &TestDatabase) {
    let stores = stores(database).await;
    let mut of_bob = Vec::new();
    for _ in 0..PER_ADDRESS {
        let session = login_session(&bob(), NOW);
        open_from(&*stores[0], &session, address(1), NOW).await;
        of_bob.push(session);
    }
    // The same address, and many others.
    open_at_once(&stores, || login_session(&alice(), NOW), |_| address(1)).await;
    open_at_once(&stores, || login_session(&alice(), NOW), address).await;
    for session in &of_bob {
        assert!(is_open(&*stores[0], session).await);
    }
    let another = login_session(&bob(), NOW);
    open_from(&*stores[0], &another, address(2), NOW).await;
}

async fn an_attacker_does_not_push_out_the_owners_session(database: &TestDatabase) {
    let stores = stores(database).await;
    let of_owner = login_session(&alice(), NOW);
    open_from(&*stores[0], &of_owner, address(200), NOW).await;
    open_at_once(&stores, || login_session(&alice(), NOW), address).await;
    assert!(is_open(&*stores[0], &of_owner).await);
}

async fn sessions_without_a_user_are_bounded_by_address(database: &TestDatabase) {
    let stores = stores(database).await;
    let elsewhere = anonymous_session().0;
    open_from(&*stores[0], &elsewhere, address(9), NOW).await;
    let outcomes = open_at_once(&stores, || anonymous_session().0, |_| address(1)).await;
    let open = still_open(&*stores[0], &outcomes).await;
    assert_eq!(open, PER_ADDRESS);
    assert!(is_open(&*stores[0], &elsewhere).await);
    // Nor do they count together: there is no user whose quota it would be.
    let spread =
        open_at_once(&stores, || anonymous_session().0, |number| address(100 + number)).await;
    assert_eq!(still_open(&*stores[0], &spread).await, u32::from(OPENERS));
}

async fn sessions_without_an_address_are_bounded_too(database: &TestDatabase) {
    let [store, _] = stores(database).await;
    let nowhere = myelin_storage::Origin { address: None, ..origin(address(1)) };
    for make in [|user: &UserId| login_session(user, NOW), |_: &UserId| anonymous_session().0] {
        let mut open = 0;
        let sessions: Vec<_> = (0..PER_USER * 2).map(|_| make(&alice())).collect();
        for session in &sessions {
            store.open_session(session, &nowhere, NOW, None).await.expect("it answers");
        }
        for session in &sessions {
            open += u32::from(is_open(&*store, session).await);
        }
        assert_eq!(open, PER_ADDRESS);
    }
}

async fn expired_sessions_take_no_room(database: &TestDatabase) {
    let stores = stores(database).await;
    open_at_once(&stores, || login_session(&alice(), NOW), address).await;
    let later = NOW + DEFAULT_LIFETIME;
    let session = login_session(&alice(), later);
    open_from(&*stores[0], &session, address(250), later).await;
    assert!(is_open(&*stores[0], &session).await);
}

async fn who_floods_from_a_few_addresses_does_not_keep_the_owner_out(database: &TestDatabase) {
    let stores = stores(database).await;
    let flood = |number: u8| address(number % 3);
    open_at_once(&stores, || login_session(&alice(), NOW), flood).await;
    let of_owner = login_session(&alice(), NOW);
    open_from(&*stores[0], &of_owner, address(200), NOW).await;
    let outcomes = open_at_once(&stores, || login_session(&alice(), NOW), flood).await;
    assert!(is_open(&*stores[0], &of_owner).await);
    assert_eq!(still_open(&*stores[0], &outcomes).await, PER_USER - 1);
}

async fn a_lowered_quota_holds_from_the_next_session_on(database: &TestDatabase) {
    let stores = stores(database).await;
    let sessions = open_at_once(&stores, || login_session(&alice(), NOW), address).await;
    assert_eq!(still_open(&*stores[0], &sessions).await, PER_USER);
    let limits = Quota { per_address: 1, per_user: 2 };
    let lowered = open(&OpenOptions { limits, ..database.options() }).await;
    let lowered = lowered.expect("the database opens").store;
    let session = login_session(&alice(), NOW);
    open_from(&*lowered, &session, address(250), NOW).await;
    assert!(is_open(&*lowered, &session).await);
    assert_eq!(still_open(&*lowered, &sessions).await, 1);
}

async fn opening_and_ending_sessions_at_once_always_succeeds(database: &TestDatabase) {
    let stores = stores(database).await;
    for _ in 0..8 {
        open_at_once(&stores, || login_session(&alice(), NOW), address).await;
        // Whoever opens one deletes all of these, and so does whoever ends all.
        let later = NOW + DEFAULT_LIFETIME;
        race((0..12).map(|number: u8| {
            let store = Arc::clone(&stores[usize::from(number % 2)]);
            async move {
                if number.is_multiple_of(3) {
                    store.end_sessions(&alice(), None).await.expect("it answers");
                } else {
                    let session = login_session(&alice(), later);
                    open_from(&*store, &session, address(number), later).await;
                }
            }
        }))
        .await;
        stores[0].end_sessions(&alice(), None).await.expect("it answers");
    }
}
