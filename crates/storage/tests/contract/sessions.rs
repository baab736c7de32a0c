//! A session moves only forwards, only for its user, only while it lasts, and
//! ends once.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use myelin_ambient::SystemEntropy;
use myelin_storage::{Action, Change, Database, Factors, Outcome, Spend, Store};
use myelin_testing::fixture::{
    ADDRESS, enrol, event, factors_of, flows, keep, login_binding, login_session, open_login,
    origin, unhashed_codes,
};
use myelin_testing::{NOW, TestDatabase, on_every_database, on_postgres, race::race};
use myelin_two_factor::Throttle;
use myelin_uia::{
    Admitted, Binding, DEFAULT_LIFETIME, Flows, Kept, Progress, Session, SessionId, Stage,
};
use ruma::UserId;
use tokio::time::timeout;

use crate::devices::{login, owner, register};
use crate::enrolment::begin;
use crate::raw::Raw;
use crate::support::{
    admit, alice, bob, change, code, current_step, finish, is_open, snapshot, times,
};

on_every_database!(
    a_session_is_found_as_it_was_kept,
    a_session_without_a_user_is_found_without_factors,
    an_unknown_session_is_not_found,
    who_asks_at_the_same_time_finds_its_own_token_and_session,
    a_session_is_kept_with_its_event,
    a_session_is_over_when_it_expires,
    an_expired_session_never_passes,
    a_session_advances_stage_by_stage,
    a_session_that_moved_on_is_stale,
    a_finished_session_is_gone,
    of_many_requests_for_a_passed_session_one_executes,
    a_session_that_was_never_kept_never_passes,
    changed_factors_end_the_sessions_of_their_user_only,
    counting_and_setting_up_end_no_session,
    ending_sessions_ends_those_of_the_user_only,
    the_sweep_takes_what_has_expired_and_nothing_else,
);

/// What a session without a user is for.
pub(crate) fn anonymous_binding() -> Binding {
    Binding::new(None, "POST", "register", &[], &serde_json::Map::new())
}

/// A registration, which has no user yet.
pub(crate) fn anonymous_session() -> (Session, Flows) {
    let session = Session::open(&SystemEntropy, None, anonymous_binding(), NOW, DEFAULT_LIFETIME);
    (session, Flows::new([[Stage::Dummy]]))
}

pub(crate) fn admit_anonymous(session: &Session, flows: &Flows) -> Admitted {
    let admitted = session.clone().admit(&anonymous_binding(), flows, Stage::Dummy, NOW);
    admitted.expect("the stage may come now")
}

pub(crate) async fn keep_anonymous(store: &dyn Store, session: &Session) {
    keep(store, session, &origin(ADDRESS), NOW).await;
}

/// A login that has passed no stage yet, kept.
async fn open_fresh(store: &dyn Store) -> Session {
    let session = Session::restore(Kept {
        completed: Vec::new(),
        ..login_session(&alice(), NOW).into_kept()
    });
    keep(store, &session, &origin(ADDRESS), NOW).await;
    session
}

async fn a_session_is_found_as_it_was_kept(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let memo = Some(r#"{"device_id":"PHONE","name":"Über ''\" 📱"}"#.to_owned());
    let session = Session::restore(Kept { memo, ..login_session(&alice(), NOW).into_kept() });
    keep(&*store, &session, &origin(ADDRESS), NOW).await;
    let other = database.open().await.store;
    let (found, factors) =
        other.lookup_session(&session.id, NOW).await.expect("it answers").expect("it is there");
    assert_eq!(found, session);
    let factors = factors.expect("it has a user");
    assert_eq!(factors.user, alice());
    assert!(factors.protect());
    assert_eq!(factors.authenticators[0].id, user.authenticator);
    assert_eq!(factors.version, factors_of(&*store, &alice()).await.version);
}

async fn a_session_without_a_user_is_found_without_factors(database: &TestDatabase) {
    let store = database.open().await.store;
    let (session, _) = anonymous_session();
    keep_anonymous(&*store, &session).await;
    let (found, factors) =
        store.lookup_session(&session.id, NOW).await.expect("it answers").expect("it is there");
    assert_eq!(found, session);
    assert!(factors.is_none());
}

async fn an_unknown_session_is_not_found(database: &TestDatabase) {
    let store = database.open().await.store;
    open_login(&*store, &alice(), NOW).await;
    let unknown = SessionId::generate(&SystemEntropy);
    assert!(store.lookup_session(&unknown, NOW).await.expect("it answers").is_none());
}

/// Bob's session comes with Alice's token, and of each kind something unknown.
async fn who_asks_at_the_same_time_finds_its_own_token_and_session(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    register(&*accounts, &alice(), &login("PHONE", 1)).await;
    register(&*accounts, &bob(), &login("LAPTOP", 2)).await;
    let authenticator = enrol(&*store, &alice(), 0, NOW).await.authenticator;
    let of_alice = open_login(&*store, &alice(), NOW).await;
    let of_bob = open_login(&*store, &bob(), NOW).await;
    let (unregistered, _) = anonymous_session();
    keep_anonymous(&*store, &unregistered).await;
    let unknown = login_session(&alice(), NOW);

    let token = |number| owner(&*accounts, number);
    let session = async |session: &Session| {
        let found = store.lookup_session(&session.id, NOW).await.expect("it answers");
        let ids = |factors: Factors| {
            factors.authenticators.into_iter().map(|authenticator| authenticator.id).collect()
        };
        found.map(|(session, factors)| (session, factors.map(ids)))
    };
    for _ in 0..20 {
        let found = tokio::join!(
            session(&of_bob),
            token(1),
            token(9),
            session(&unknown),
            session(&unregistered),
            token(2),
            session(&of_alice),
            session(&of_bob),
            token(1),
        );
        assert_eq!(found.0, Some((of_bob.clone(), Some(Vec::new()))));
        assert_eq!(found.0, found.7);
        assert_eq!(found.6, Some((of_alice.clone(), Some(vec![authenticator.clone()]))));
        assert_eq!(found.4, Some((unregistered.clone(), None)));
        assert_eq!(found.3, None);
        assert_eq!(found.1.as_ref().expect("it is there").user, alice());
        assert_eq!(found.1, found.8);
        assert_eq!(found.5.expect("it is there").user, bob());
        assert_eq!(found.2, None);
    }
}

/// PostgreSQL makes a plan once, and looks at the tables as they were counted.
#[test]
fn rows_are_found_by_key_where_few_were_there_when_they_were_counted() {
    on_postgres("rows_are_found_by_key", async |database: &TestDatabase| {
        let store = database.open().await.store;
        let user = enrol(&*store, &alice(), 0, NOW).await;
        let session = open_login(&*store, &alice(), NOW).await;
        let mut raw = Raw::connect(database).await;
        for statement in [
            "ALTER TABLE factors SET (autovacuum_enabled = off)",
            "ALTER TABLE uia_sessions SET (autovacuum_enabled = off)",
            "ALTER TABLE authenticators SET (autovacuum_enabled = off)",
            "VACUUM (ANALYZE) factors, uia_sessions, authenticators",
        ] {
            raw.execute(statement).await.expect("it runs");
        }
        // Now the plans are made.
        let factors = factors_of(&*store, &alice()).await;
        assert!(finish(&*store, &session, &factors, code(&user, current_step())).await);
        assert!(!is_open(&*store, &session).await);
        store.sweep(NOW).await.expect("it answers");
        for statement in [
            "INSERT INTO factors (user_id, version)
             SELECT '@' || n || ':localhost', 1 FROM generate_series(1, 40000) AS n",
            "INSERT INTO authenticators (id, user_id, name, status, created, key_id, secret)
             SELECT n, '@' || n || ':localhost', '', 'active', 0, '', ''
             FROM generate_series(1, 40000) AS n",
            "INSERT INTO uia_sessions (id, user_id, bucket, binding, completed, expires)
             SELECT sha256(CAST(n AS TEXT)::BYTEA), '@' || n || ':localhost', '', '', '', 0
             FROM generate_series(1, 40000) AS n",
        ] {
            raw.execute(statement).await.expect("it runs");
        }
        let mut logins = Vec::new();
        for n in 0..64 {
            let name = UserId::parse(format!("@user{n}:localhost")).expect("it is a user's name");
            let user = enrol(&*store, &name, 0, NOW).await;
            let session = open_login(&*store, &name, NOW).await;
            assert!(is_open(&*store, &session).await);
            logins.push((session, factors_of(&*store, &name).await, user));
        }
        let finishing = logins.iter().map(|(session, factors, user)| {
            finish(&*store, session, factors, code(user, current_step()))
        });
        // To look at all rows for each of them would take several times as long.
        let finished = timeout(Duration::from_secs(2), join_all(finishing)).await;
        assert_eq!(finished.expect("it is quick"), [true; 64]);
        store.sweep(NOW).await.expect("nothing takes longer than it may");
    });
}

async fn a_session_is_kept_with_its_event(database: &TestDatabase) {
    let store = database.open().await.store;
    let session = login_session(&alice(), NOW);
    let event = event(&alice(), Action::PasswordPassed, NOW);
    let opened = store.open_session(&session, &origin(ADDRESS), NOW, Some(event)).await;
    assert!(opened.is_ok());
    assert_eq!(times(&*store, &alice(), Action::PasswordPassed).await, 1);
}

async fn a_session_is_over_when_it_expires(database: &TestDatabase) {
    let store = database.open().await.store;
    let session = open_login(&*store, &alice(), NOW).await;
    let last = session.expires - Duration::from_millis(1);
    assert!(store.lookup_session(&session.id, last).await.expect("it answers").is_some());
    assert!(
        store.lookup_session(&session.id, session.expires).await.expect("it answers").is_none()
    );
}

async fn an_expired_session_never_passes(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let factors = factors_of(&*store, &alice()).await;
    let admitted = admit(&session, Stage::Totp);
    let spend = code(&user, current_step());
    let late = session.expires;
    let outcome = store.pass_stage(admitted, Some(&factors), spend, late, None).await;
    assert!(matches!(outcome, Ok(Outcome::Stale)));
    // And the code was not spent on it.
    let after = factors_of(&*store, &alice()).await;
    assert_eq!(after.version, factors.version);
    assert_eq!(after.authenticators[0].last_step, factors.authenticators[0].last_step);
}

async fn a_session_advances_stage_by_stage(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let fresh = open_fresh(&*store).await;
    let passed = event(&alice(), Action::PasswordPassed, NOW);
    let admitted = admit(&fresh, Stage::Password);
    let outcome = store.pass_stage(admitted, None, Spend::Nothing, NOW, Some(passed)).await;
    let Ok(Outcome::Committed(Progress::More(session))) = outcome else {
        panic!("the password is not the last stage: {outcome:?}");
    };
    assert_eq!(session.completed, [Stage::Password]);
    let (kept, factors) =
        store.lookup_session(&fresh.id, NOW).await.expect("it answers").expect("it is there");
    assert_eq!(kept, session);
    let factors = factors.expect("it has a user");
    assert!(finish(&*store, &kept, &factors, code(&user, current_step())).await);
    assert_eq!(times(&*store, &alice(), Action::PasswordPassed).await, 1);
}

async fn a_session_that_moved_on_is_stale(database: &TestDatabase) {
    let store = database.open().await.store;
    let fresh = open_fresh(&*store).await;
    let pass = || store.pass_stage(admit(&fresh, Stage::Password), None, Spend::Nothing, NOW, None);
    assert!(matches!(pass().await, Ok(Outcome::Committed(_))));
    let before = snapshot(&*store, &alice(), &[&fresh]).await;
    assert!(matches!(pass().await, Ok(Outcome::Stale)));
    assert_eq!(snapshot(&*store, &alice(), &[&fresh]).await, before);
}

async fn a_finished_session_is_gone(database: &TestDatabase) {
    let store = database.open().await.store;
    let (session, flows) = anonymous_session();
    keep_anonymous(&*store, &session).await;
    let pass =
        || store.pass_stage(admit_anonymous(&session, &flows), None, Spend::Nothing, NOW, None);
    let Ok(Outcome::Committed(Progress::Done(proof))) = pass().await else {
        panic!("the dummy stage is the only one");
    };
    assert!(proof.is_for(&anonymous_binding()));
    assert!(!is_open(&*store, &session).await);
    assert!(matches!(pass().await, Ok(Outcome::Stale)));
}

async fn of_many_requests_for_a_passed_session_one_executes(database: &TestDatabase) {
    let store = database.open().await.store;
    let (session, flows) = anonymous_session();
    keep_anonymous(&*store, &session).await;
    let elsewhere = session.admit_elsewhere(&flows, Stage::Dummy, NOW).expect("it comes next");
    let passed = store.pass_stage(elsewhere, None, Spend::Nothing, NOW, None).await;
    let Ok(Outcome::Committed(Progress::More(session))) = passed else { panic!("it waits") };
    assert!(is_open(&*store, &session).await);
    let executable =
        session.admit_execution(&anonymous_binding(), &flows, NOW).expect("every stage is passed");
    let attempts = (0..8).map(|_| {
        let (store, executable) = (Arc::clone(&store), executable.clone());
        async move { store.execute_session(executable, None, NOW).await.expect("it answers") }
    });
    let outcomes = race(attempts).await;
    let executed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Committed(_)));
    assert_eq!(executed.count(), 1);
}

async fn a_session_that_was_never_kept_never_passes(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    let session = login_session(&alice(), NOW);
    let before = snapshot(&*store, &alice(), &[&session]).await;
    let factors = factors_of(&*store, &alice()).await;
    assert!(!finish(&*store, &session, &factors, code(&user, current_step())).await);
    let password = Session::restore(Kept { completed: Vec::new(), ..session.clone().into_kept() });
    let admitted = password
        .admit(&login_binding(&alice()), &flows(), Stage::Password, NOW)
        .expect("the stage may come now");
    let outcome = store.pass_stage(admitted, None, Spend::Nothing, NOW, None).await;
    assert!(matches!(outcome, Ok(Outcome::Stale)));
    assert_eq!(snapshot(&*store, &alice(), &[&session]).await, before);
}

async fn changed_factors_end_the_sessions_of_their_user_only(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 2, NOW).await;
    let of_bob = open_login(&*store, &bob(), NOW).await;
    let pending = begin(&*store, &alice()).await;
    let (step, throttle) = (current_step(), Throttle::default());
    let changes = [
        (Change::Confirm { id: pending, step, throttle, codes: None }, Action::AuthenticatorAdded),
        (Change::Regenerate { codes: unhashed_codes(2) }, Action::RecoveryRegenerated),
        (Change::Remove { id: user.authenticator }, Action::AuthenticatorRemoved),
    ];
    for (committed, action) in changes {
        let session = open_login(&*store, &alice(), NOW).await;
        let factors = factors_of(&*store, &alice()).await;
        assert!(change(&*store, &factors, committed, action).await);
        assert!(!is_open(&*store, &session).await, "{action:?} left a session open");
    }
    let session = open_login(&*store, &alice(), NOW).await;
    let reset = event(&alice(), Action::TwoFactorReset, NOW);
    assert!(store.reset(&alice(), reset).await.expect("it answers"));
    assert!(!is_open(&*store, &session).await);
    assert!(is_open(&*store, &of_bob).await);
}

async fn counting_and_setting_up_end_no_session(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let id = begin(&*store, &alice()).await;
    let throttle = Throttle { in_a_row: 1, ..Throttle::default() };
    let totp = Change::CountTotpFailure { throttle: throttle.clone(), disable: false };
    let changes = [
        (totp, Action::TotpFailed),
        (Change::CountRecoveryFailure { throttle }, Action::RecoveryFailed),
        (Change::CountConfirmFailure { id: id.clone(), failures: 1 }, Action::TotpFailed),
        (Change::Drop { id }, Action::EnrolmentDropped),
    ];
    for (committed, action) in changes {
        let factors = factors_of(&*store, &alice()).await;
        assert!(change(&*store, &factors, committed, action).await);
        assert!(is_open(&*store, &session).await, "{action:?} ended a session");
    }
}

async fn ending_sessions_ends_those_of_the_user_only(database: &TestDatabase) {
    let store = database.open().await.store;
    let mine = [open_login(&*store, &alice(), NOW).await, open_login(&*store, &alice(), NOW).await];
    let of_bob = open_login(&*store, &bob(), NOW).await;
    let (of_nobody, _) = anonymous_session();
    keep_anonymous(&*store, &of_nobody).await;
    store.end_sessions(&alice(), None).await.expect("it answers");
    for session in &mine {
        assert!(!is_open(&*store, session).await);
    }
    assert!(is_open(&*store, &of_bob).await);
    assert!(is_open(&*store, &of_nobody).await);
}

async fn the_sweep_takes_what_has_expired_and_nothing_else(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 2, NOW).await;
    begin(&*store, &alice()).await;
    let old = open_login(&*store, &alice(), NOW).await;
    let later = NOW + DEFAULT_LIFETIME;
    let fresh = login_session(&bob(), later);
    keep(&*store, &fresh, &origin(ADDRESS), later).await;
    assert_eq!(store.sweep(NOW).await.expect("it answers"), 0);
    assert!(is_open(&*store, &old).await);
    // The session and the authenticator that was set up beside it.
    assert_eq!(store.sweep(later).await.expect("it answers"), 2);
    assert!(!is_open(&*store, &old).await);
    assert!(is_open(&*store, &fresh).await);
    let factors = factors_of(&*store, &alice()).await;
    assert_eq!(factors.authenticators.len(), 1);
    assert!(factors.protect() && factors.recoverable());
    assert_eq!(store.sweep(later).await.expect("it answers"), 0);
}
