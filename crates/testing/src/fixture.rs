//! Users with a confirmed authenticator, and login sessions that wait for the
//! code, written straight through the store.

use std::net::{IpAddr, Ipv4Addr};

use myelin_ambient::{Entropy, SystemEntropy, Timestamp};
use myelin_storage::{
    Action, Actor, Change, Event, Factors, NewRecoveryCodes, Origin, Outcome, Store,
};
use myelin_two_factor::{
    AuthenticatorId, Name, RecoveryCode, RecoveryHash, RecoverySalt, RecoverySet, Step, Throttle,
    TotpParameters, TotpSecret, TotpToken, recovery,
};
use myelin_uia::{Binding, DEFAULT_LIFETIME, Flows, Kept, Session, Stage};
use ruma::{OwnedUserId, UserId};
use serde_json::Map;

/// When the tests take place, unless they need the real time.
pub const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// The address that everything seeded comes from.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// How many steps before `now` a seeded authenticator was confirmed. None of
/// the codes that are accepted at `now` is spent.
const CONFIRMED_STEPS_AGO: u64 = 10;

/// A user with one active authenticator, of which no current code is spent.
#[derive(Debug)]
pub struct SeededUser {
    /// Who.
    pub user: OwnedUserId,
    /// The active authenticator.
    pub authenticator: AuthenticatorId,
    /// Its secret.
    pub secret: TotpSecret,
    /// The recovery codes in the order of the set.
    pub codes: Vec<RecoveryCode>,
    /// Open sessions that have passed the password.
    pub sessions: Vec<Session>,
}

impl SeededUser {
    /// The code of a step, with the default parameters.
    pub fn code(&self, step: Step) -> TotpToken {
        TotpToken::generate(&self.secret, step, &TotpParameters::default())
    }
}

/// An action of the user's own, from [`ADDRESS`].
pub fn event(user: &UserId, action: Action, at: Timestamp) -> Event {
    Event { at, user: user.to_owned(), action, origin: origin(ADDRESS), detail: None }
}

/// The user, from this address.
pub fn origin(address: IpAddr) -> Origin {
    Origin { actor: Actor::User, address: Some(address), request_id: None }
}

/// The step in which `now` lies, with the default parameters.
pub fn step_at(now: Timestamp) -> Step {
    TotpParameters::default().step_at(now)
}

/// Gives the user an active authenticator, and with it `recovery_codes` real
/// recovery codes. Each of these costs a slow hash.
///
/// # Panics
///
/// When the store fails, or the user's factors change meanwhile.
pub async fn enrol(
    store: &dyn Store,
    user: &UserId,
    recovery_codes: usize,
    now: Timestamp,
) -> SeededUser {
    let step = Step(step_at(now).0.saturating_sub(CONFIRMED_STEPS_AGO));
    let at = Timestamp::from_millis(step.0 * TotpParameters::default().period.as_secs() * 1000);
    let authenticator = AuthenticatorId::generate(&SystemEntropy);
    let secret = TotpSecret::generate(&SystemEntropy);
    let begin = Change::Begin {
        id: authenticator.clone(),
        name: Name::default(),
        secret: TotpSecret::from_bytes(*secret.expose()),
    };
    let factors = factors_of(store, user).await;
    commit(store, &factors, begin, event(user, Action::EnrolmentBegun, at)).await;
    let (codes, hashed) = recovery_set(recovery_codes).await;
    let throttle = Throttle::default();
    let confirm = Change::Confirm { id: authenticator.clone(), step, throttle, codes: hashed };
    let factors = factors_of(store, user).await;
    commit(store, &factors, confirm, event(user, Action::AuthenticatorAdded, at)).await;
    SeededUser { user: user.to_owned(), authenticator, secret, codes, sessions: Vec::new() }
}

/// The user's factors now.
///
/// # Panics
///
/// When the store fails.
pub async fn factors_of(store: &dyn Store, user: &UserId) -> Factors {
    store.lookup_factors(user).await.expect("the store answers")
}

/// Commits a change that nobody else competes with.
///
/// # Panics
///
/// When the store fails, or the factors are not as they were read.
pub async fn commit(store: &dyn Store, factors: &Factors, change: Change, event: Event) {
    let outcome = store.change(factors, change, event).await.expect("the store answers");
    assert!(matches!(outcome, Outcome::Committed(())), "somebody else changed the factors");
}

/// What a user with a second factor is offered.
pub fn flows() -> Flows {
    Flows::new([[Stage::Password, Stage::Totp], [Stage::Password, Stage::Recovery]])
}

/// A login of this user as the tests bind it.
pub fn login_binding(user: &UserId) -> Binding {
    Binding::new(Some(user), "POST", "login", &[], &Map::new())
}

/// A login session that has passed the password, not yet kept by any store.
pub fn login_session(user: &UserId, now: Timestamp) -> Session {
    let (user, binding) = (user.to_owned(), login_binding(user));
    let session = Session::open(&SystemEntropy, Some(user), binding, now, DEFAULT_LIFETIME);
    Session::restore(Kept { completed: vec![Stage::Password], ..session.into_kept() })
}

/// Keeps a session.
///
/// # Panics
///
/// When the store fails.
pub async fn keep(store: &dyn Store, session: &Session, origin: &Origin, now: Timestamp) {
    store.open_session(session, origin, now, None).await.expect("the store answers");
}

/// A login session that has passed the password, kept.
///
/// # Panics
///
/// When the store fails.
pub async fn open_login(store: &dyn Store, user: &UserId, now: Timestamp) -> Session {
    let session = login_session(user, now);
    keep(store, &session, &origin(ADDRESS), now).await;
    session
}

/// A set of `count` recovery codes and what is kept of it; none if `count` is
/// zero.
async fn recovery_set(count: usize) -> (Vec<RecoveryCode>, Option<NewRecoveryCodes>) {
    if count == 0 {
        return (Vec::new(), None);
    }
    let hash = move || {
        let RecoverySet { salt, mut codes } = recovery::generate_set(&SystemEntropy);
        codes.truncate(count);
        let hashes = codes.iter().map(|code| code.hash(&salt)).collect();
        (codes, Some(NewRecoveryCodes { salt, hashes }))
    };
    tokio::task::spawn_blocking(hash).await.expect("hashing does not panic")
}

/// Random bytes in the place of hashes: where only their number matters, they
/// spare the tests a tenth of a second.
pub fn unhashed_codes(count: usize) -> NewRecoveryCodes {
    let entropy: &dyn Entropy = &SystemEntropy;
    NewRecoveryCodes {
        salt: RecoverySalt::generate(entropy),
        hashes: (0..count).map(|_| RecoveryHash::from_bytes(entropy.bytes())).collect(),
    }
}
