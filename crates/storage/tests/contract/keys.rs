//! Secrets at rest: the right key opens them, no other, and keys can be
//! changed while everything runs.

use std::sync::{Arc, PoisonError, RwLock};

use myelin_ambient::SystemEntropy;
use myelin_storage::{
    Action, Change, Enrolled, Error, Factors, FixedKeySource, KeySource, Keyring, KeyringError,
    OpenOptions, SealedSecret, Store, open,
};
use myelin_testing::fixture::{commit, enrol, event, factors_of, open_login, unhashed_codes};
use myelin_testing::race::race;
use myelin_testing::{NOW, Seed, SeededUser, TestDatabase, on_every_database};
use myelin_two_factor::{AuthenticatorId, Step};

use crate::raw::Dump;
use crate::support::{Attempt, alice, attempt, bob, current_step, snapshot};

on_every_database!(
    nothing_that_opens_an_account_can_be_read,
    a_secret_opens_for_its_owner_only,
    a_changed_secret_does_not_open,
    a_wrong_key_fails_closed,
    a_wrong_key_leaves_secrets_as_they_are,
    old_and_new_keys_open_between_rotation_and_reseal,
    resealing_can_be_stopped_and_continued,
    resealing_is_done_once_by_two_processes,
    a_code_spent_while_resealing_stays_spent,
);

/// A keyring that is rotated under running processes, as a file is.
#[derive(Debug)]
struct SharedKeys(RwLock<Keyring>);

impl SharedKeys {
    fn set(&self, change: impl FnOnce(Keyring) -> Keyring) {
        let mut keyring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *keyring = change(keyring.clone());
    }

    fn rotate(&self) {
        self.set(|keyring| keyring.rotated(&SystemEntropy));
    }

    fn current(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).current().id()
    }

    /// Throws all keys away but the current one.
    fn forget(&self) {
        self.set(|keyring| Keyring::new(keyring.current().clone()));
    }
}

impl KeySource for SharedKeys {
    fn load(&self) -> Result<Keyring, KeyringError> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn shared_keys(database: &TestDatabase) -> (Arc<SharedKeys>, OpenOptions) {
    let keys = Arc::new(SharedKeys(RwLock::new(Keyring::generate(&SystemEntropy))));
    let source: Arc<dyn KeySource> = keys.clone();
    (keys, OpenOptions { keys: source, ..database.options() })
}

async fn opened(options: &OpenOptions) -> Arc<dyn Store> {
    open(options).await.expect("the database opens").store
}

fn other_keys(database: &TestDatabase) -> OpenOptions {
    let keys = Arc::new(FixedKeySource(Keyring::generate(&SystemEntropy)));
    OpenOptions { keys, ..database.options() }
}

/// Opens everything that the user has, and compares the authenticators'
/// secrets with what they should be.
async fn assert_readable(store: &dyn Store, users: &[SeededUser]) {
    for user in users {
        let factors = factors_of(store, &user.user).await;
        let enrolled = factors.authenticator(&user.authenticator).expect("it is there");
        let secret = store.unseal(&user.user, enrolled).expect("the key is at hand");
        assert_eq!(secret.expose(), user.secret.expose());
        for (index, sealed) in factors.codes.iter().flat_map(|codes| &codes.unused) {
            store.unseal_hash(&user.user, *index, sealed).expect("the key is at hand");
        }
    }
}

/// The ids of the keys that seal what these users have.
async fn key_ids(store: &dyn Store, users: &[SeededUser]) -> Vec<String> {
    let mut ids = Vec::new();
    for user in users {
        let Factors { authenticators, codes, .. } = factors_of(store, &user.user).await;
        ids.extend(authenticators.into_iter().map(|one| one.secret.key_id));
        let codes = codes.into_iter().flat_map(|codes| codes.unused);
        ids.extend(codes.map(|(_, sealed)| sealed.key_id));
    }
    ids
}

/// Users with an authenticator and two codes each: three secrets.
async fn plant(options: &OpenOptions, users: usize) -> Vec<SeededUser> {
    let database = open(options).await.expect("the database opens");
    let seed = Seed { recovery_codes: 2, ..Seed::users(users, NOW) };
    seed.plant(&database).await
}

async fn nothing_that_opens_an_account_can_be_read(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 2, NOW).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let factors = factors_of(&*store, &alice()).await;
    let salt = factors.codes.as_ref().expect("they are there").salt;
    let dump = Dump::of(database).await;
    // The search does find what is there in the clear.
    assert!(dump.holds(alice().as_bytes()) && dump.holds(salt.as_bytes()));
    assert!(dump.holds(&session.id.digest()));
    assert!(!dump.holds(session.id.as_str().as_bytes()));
    assert!(!dump.holds(user.secret.expose()));
    assert!(!dump.holds(user.secret.to_base32().as_bytes()));
    for code in &user.codes {
        assert!(!dump.holds(code.to_text().as_bytes()));
        assert!(!dump.holds(code.hash(&salt).expose()));
    }
}

fn is_key_error<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Key { .. }))
}

async fn a_secret_opens_for_its_owner_only(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    let factors = factors_of(&*store, &alice()).await;
    let enrolled = &factors.authenticators[0];
    assert!(store.unseal(&alice(), enrolled).is_ok());
    assert!(is_key_error(&store.unseal(&bob(), enrolled)));
    let renamed = Enrolled { id: AuthenticatorId::generate(&SystemEntropy), ..enrolled.clone() };
    assert!(is_key_error(&store.unseal(&alice(), &renamed)));
    let codes = factors.codes.expect("they are there");
    let (index, sealed) = &codes.unused[0];
    assert!(store.unseal_hash(&alice(), *index, sealed).is_ok());
    assert!(is_key_error(&store.unseal_hash(&alice(), index + 1, sealed)));
    assert!(is_key_error(&store.unseal_hash(&bob(), *index, sealed)));
    assert!(is_key_error(&store.unseal_hash(&alice(), *index, &enrolled.secret)));
}

async fn a_changed_secret_does_not_open(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 0, NOW).await;
    let enrolled = factors_of(&*store, &alice()).await.authenticators.remove(0);
    for place in 0..enrolled.secret.bytes.len() {
        let mut secret: SealedSecret = enrolled.secret.clone();
        secret.bytes[place] ^= 1;
        let changed = Enrolled { secret, ..enrolled.clone() };
        assert!(is_key_error(&store.unseal(&alice(), &changed)), "byte {place}");
    }
}

async fn a_wrong_key_fails_closed(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 1, NOW).await;
    store.check().await.expect("the key is at hand");
    let wrong = opened(&other_keys(database)).await;
    let factors = factors_of(&*wrong, &alice()).await;
    assert!(factors.protect(), "a factor that cannot be read still protects");
    assert!(is_key_error(&wrong.unseal(&alice(), &factors.authenticators[0])));
    let codes = factors.codes.expect("they are there");
    assert!(is_key_error(&wrong.unseal_hash(&alice(), 0, &codes.unused[0].1)));
    assert!(is_key_error(&wrong.check().await));
}

async fn a_wrong_key_leaves_secrets_as_they_are(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 1, NOW).await;
    let before = snapshot(&*store, &alice(), &[]).await;
    let wrong = opened(&other_keys(database)).await;
    assert!(is_key_error(&wrong.reseal(10).await));
    assert_eq!(snapshot(&*store, &alice(), &[]).await, before);
}

async fn old_and_new_keys_open_between_rotation_and_reseal(database: &TestDatabase) {
    let (keys, options) = shared_keys(database);
    let mut users = plant(&options, 2).await;
    let store = opened(&options).await;
    let old = keys.current();
    keys.rotate();
    // A running process seals with the new key at once.
    users.push(enrol(&*store, &alice(), 1, NOW).await);
    let ids = key_ids(&*store, &users).await;
    assert_eq!(ids.iter().filter(|id| **id == old).count(), 6);
    assert_eq!(ids.iter().filter(|id| **id == keys.current()).count(), 2);
    for store in [&store, &opened(&options).await] {
        assert_readable(&**store, &users).await;
        store.check().await.expect("both keys are at hand");
    }
    keys.forget();
    let too_early = opened(&options).await.check().await;
    assert!(matches!(&too_early, Err(Error::Key { key_id }) if *key_id == old), "{too_early:?}");
}

async fn resealing_can_be_stopped_and_continued(database: &TestDatabase) {
    let (keys, options) = shared_keys(database);
    let users = plant(&options, 7).await;
    let begun = event(&alice(), Action::EnrolmentBegun, NOW);
    let store = opened(&options).await;
    let factors = factors_of(&*store, &alice()).await;
    let pending = crate::enrolment::begin_as(&AuthenticatorId::generate(&SystemEntropy));
    commit(&*store, &factors, pending, begun).await;
    let mut left = 7 * 3 + 1;
    assert_eq!(store.reseal(5).await.expect("it answers"), 0, "nothing is to be done yet");
    keys.rotate();
    while left > 0 {
        // Each time another process, as after a kill.
        let store = opened(&options).await;
        let now_left = store.reseal(4).await.expect("it answers");
        assert_eq!(now_left, left - left.min(4));
        left = now_left;
        assert_readable(&*store, &users).await;
    }
    assert_eq!(opened(&options).await.reseal(4).await.expect("it answers"), 0);
    keys.forget();
    let store = opened(&options).await;
    assert_readable(&*store, &users).await;
    store.check().await.expect("nothing needs the old key");
}

async fn resealing_is_done_once_by_two_processes(database: &TestDatabase) {
    let (keys, options) = shared_keys(database);
    let users = plant(&options, 12).await;
    keys.rotate();
    let stores = [opened(&options).await, opened(&options).await];
    race(
        stores
            .iter()
            .cloned()
            .map(|store| async move { while store.reseal(5).await.expect("it answers") > 0 {} }),
    )
    .await;
    keys.forget();
    let store = opened(&options).await;
    assert_readable(&*store, &users).await;
    assert!(key_ids(&*store, &users).await.iter().all(|id| *id == keys.current()));
}

async fn a_code_spent_while_resealing_stays_spent(database: &TestDatabase) {
    let (keys, options) = shared_keys(database);
    let users = plant(&options, 6).await;
    let stores = [opened(&options).await, opened(&options).await];
    for round in 0..4 {
        keys.rotate();
        let step = Step(current_step().0 + round);
        let now = NOW + std::time::Duration::from_secs(30 * round);
        let mut contenders: Vec<std::pin::Pin<Box<dyn Future<Output = Attempt> + Send>>> =
            Vec::new();
        for user in &users {
            let session = open_login(&*stores[0], &user.user, NOW).await;
            let (store, token) = (stores[0].clone(), user.code(step));
            contenders.push(Box::pin(attempt(store, session.id.clone(), token, now)));
        }
        let resealer = stores[1].clone();
        contenders.push(Box::pin(async move {
            while resealer.reseal(1).await.expect("it answers") > 0 {}
            Attempt::Passed
        }));
        let outcomes = race(contenders).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Attempt::Passed), "{outcomes:?}");
        for user in &users {
            let factors = factors_of(&*stores[1], &user.user).await;
            assert_eq!(factors.authenticators[0].last_step, Some(step), "round {round}");
        }
        assert_readable(&*stores[1], &users).await;
        assert!(key_ids(&*stores[1], &users).await.iter().all(|id| *id == keys.current()));
    }
    // And a set that is regenerated is sealed with the key of its time.
    let factors = factors_of(&*stores[0], &users[0].user).await;
    let regenerated = event(&users[0].user, Action::RecoveryRegenerated, NOW);
    let codes = unhashed_codes(3);
    commit(&*stores[0], &factors, Change::Regenerate { codes }, regenerated).await;
    assert!(key_ids(&*stores[1], &users).await.iter().all(|id| *id == keys.current()));
}
