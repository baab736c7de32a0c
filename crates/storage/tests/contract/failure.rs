//! The database is gone, stuck, or comes back; a caller gives up; a process
//! ends. Nobody gets in by it, and what was acknowledged is there.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use myelin_ambient::SystemEntropy;
use myelin_storage::{Action, Change, Database, Error, Event, Factors, Spend, Store, open};
use myelin_testing::fixture::{
    ADDRESS, enrol, event, factors_of, login_session, open_login, origin,
};
use myelin_testing::postgres::Cluster;
use myelin_testing::race::race;
use myelin_testing::{NOW, SeededUser, TestDatabase, on_every_database, on_postgres, run};
use myelin_two_factor::{Step, Throttle};
use myelin_uia::{Session, SessionId, Stage};
use ruma::{OwnedUserId, UserId};
use tokio::task::JoinHandle;

use crate::devices::{login, register};
use crate::raw::Raw;
use crate::support::{
    admit, alice, bob, change, code, current_step, finish, is_open, log, snapshot, times,
    try_finish,
};

on_every_database!(
    two_processes_may_open_a_new_database_at_once,
    what_was_acknowledged_survives_the_process,
    a_verb_that_was_abandoned_is_whole_or_nothing,
    abandoned_verbs_do_not_use_up_connections,
    a_writer_that_is_kept_waiting_fails_and_recovers,
    a_stage_that_cannot_be_passed_holds_up_no_other,
);

/// Longer than this nobody waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

async fn two_processes_may_open_a_new_database_at_once(database: &TestDatabase) {
    let options = Arc::new(database.options());
    let opened = race((0..4).map(|_| {
        let options = Arc::clone(&options);
        async move { open(&options).await }
    }))
    .await;
    for opened in opened {
        opened.expect("the database opens").store.check().await.expect("it answers");
    }
}

async fn what_was_acknowledged_survives_the_process(database: &TestDatabase) {
    for round in 0..4 {
        let store = database.open().await.store;
        let mut writers = Vec::new();
        for number in 0..25 {
            let store = store.clone();
            let detail = Some((round * 25 + number).to_string());
            writers.push(async move {
                let event = Event { detail, ..event(&alice(), Action::TotpFailed, NOW) };
                store.record(event).await.expect("it answers");
            });
        }
        race(writers).await;
        drop(store);
        let reopened = database.open().await.store;
        assert_eq!(log(&*reopened, &alice()).await.len(), (round + 1) * 25, "round {round}");
    }
}

/// Polls a future a few times and drops it: the client has hung up.
async fn abandon<T>(mut future: Pin<Box<dyn Future<Output = T> + Send>>, polls: usize) -> bool {
    for _ in 0..polls {
        let ready = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if ready {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

async fn a_verb_that_was_abandoned_is_whole_or_nothing(database: &TestDatabase) {
    let store = database.open().await.store;
    let user = enrol(&*store, &alice(), 0, NOW).await;
    for round in 0..48 {
        let session = open_login(&*store, &alice(), NOW).await;
        let factors = factors_of(&*store, &alice()).await;
        let before = snapshot(&*store, &alice(), &[&session]).await;
        let step = Step(current_step().0 + round);
        let arguments = (store.clone(), session.clone(), factors.clone(), code(&user, step));
        let verb = Box::pin(async move {
            let (store, session, factors, spend) = arguments;
            finish(&*store, &session, &factors, spend).await
        });
        let polls = usize::try_from(round).expect("there are few") * 3 / 2;
        let done = abandon(verb, polls).await;
        // A later verb waits for the earlier one, wherever that stands.
        let throttle = Throttle::default();
        let count = Change::CountTotpFailure { throttle, disable: false };
        let counted = change(&*store, &factors, count, Action::TotpFailed).await;
        let after = factors_of(&*store, &alice()).await;
        let spent = after.authenticators[0].last_step == Some(step);
        assert_eq!(spent, !is_open(&*store, &session).await, "round {round}");
        assert_eq!(spent, !counted, "round {round}");
        assert!(spent || !done, "round {round}: it was acknowledged");
        let events = snapshot(&*store, &alice(), &[]).await.events().len();
        assert_eq!(events, before.events().len() + 1, "round {round}");
        store.end_sessions(&alice(), None).await.expect("it answers");
    }
}

async fn abandoned_verbs_do_not_use_up_connections(database: &TestDatabase) {
    let store = database.open().await.store;
    enrol(&*store, &alice(), 0, NOW).await;
    for round in 0..100 {
        let (reader, writer) = (store.clone(), store.clone());
        let read = Box::pin(async move { reader.lookup_factors(&alice()).await.map(drop) });
        abandon(read, round % 4).await;
        let write =
            Box::pin(async move { writer.record(event(&bob(), Action::TotpFailed, NOW)).await });
        abandon(write, round % 7).await;
    }
    let answers = race((0..32).map(|_| {
        let store = store.clone();
        async move { tokio::time::timeout(PATIENCE, store.check()).await }
    }))
    .await;
    for answer in answers {
        answer.expect("it answers in time").expect("it answers");
    }
}

async fn a_writer_that_is_kept_waiting_fails_and_recovers(database: &TestDatabase) {
    let Database { store, accounts, .. } = database.open().await;
    let user = enrol(&*store, &alice(), 2, NOW).await;
    register(&*accounts, &bob(), &login("PHONE", 1)).await;
    let session = open_login(&*store, &alice(), NOW).await;
    let before = snapshot(&*store, &alice(), &[&session]).await;
    let factors = factors_of(&*store, &alice()).await;
    let mut other = Raw::connect(database).await;
    other.hold_all().await;
    let mut verbs = writes(&store, &factors);
    if !database.is_postgres() {
        // They queue for one writer: each would wait in its turn.
        verbs.truncate(1);
    }
    let outcome = tokio::time::timeout(PATIENCE, race(verbs)).await;
    for (verb, outcome) in outcome.expect("nobody waits longer") {
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "{verb}: {outcome:?}");
    }
    other.execute("ROLLBACK").await.expect("the other one lets go");
    assert_eq!(snapshot(&*store, &alice(), &[&session]).await, before);
    assert!(finish(&*store, &session, &factors, code(&user, current_step())).await);
}

/// Users who each have a session that waits for a code.
async fn many(store: &dyn Store) -> Vec<(SeededUser, Session, Factors)> {
    let mut many = Vec::new();
    for number in 0..24 {
        let name = OwnedUserId::try_from(format!("@user{number}:localhost")).expect("it is a name");
        let user = enrol(store, &name, 2, NOW).await;
        let session = open_login(store, &name, NOW).await;
        let factors = factors_of(store, &name).await;
        many.push((user, session, factors));
    }
    many
}

/// All of them pass at once; which did.
async fn finish_all(
    store: &Arc<dyn Store>,
    many: &[(SeededUser, Session, Factors)],
) -> Vec<Result<bool, Error>> {
    race(many.iter().map(|(user, session, factors)| {
        let (store, session, factors) = (store.clone(), session.clone(), factors.clone());
        let spend = code(user, current_step());
        async move { try_finish(&*store, &session, &factors, spend).await }
    }))
    .await
}

async fn a_stage_that_cannot_be_passed_holds_up_no_other(database: &TestDatabase) {
    let store = database.open().await.store;
    let many = many(&*store).await;
    // A session that is gone, a code that was spent, factors that have changed.
    let gone = |number: usize| number % 8 == 3;
    let spent = |number: usize| number % 8 == 5;
    let changed = |number: usize| number % 8 == 7;
    for (number, (user, _, factors)) in many.iter().enumerate() {
        if spent(number) {
            let other = open_login(&*store, &user.user, NOW).await;
            assert!(finish(&*store, &other, factors, code(user, current_step())).await);
        } else if changed(number) {
            let throttle = Throttle::default();
            let count = Change::CountTotpFailure { throttle, disable: false };
            assert!(change(&*store, factors, count, Action::TotpFailed).await);
        }
    }
    let mut other = Raw::connect(database).await;
    let gone_ones = "DELETE FROM uia_sessions
        WHERE user_id IN ('@user3:localhost', '@user11:localhost', '@user19:localhost')";
    other.execute(gone_ones).await.expect("it answers");
    let passed = finish_all(&store, &many).await;
    for (number, passed) in passed.into_iter().enumerate() {
        let stale = gone(number) || spent(number) || changed(number);
        assert_eq!(passed.expect("it answers"), !stale, "user {number}");
        let (user, session, factors) = &many[number];
        let entries = times(&*store, &user.user, Action::TotpPassed).await;
        assert_eq!(entries, usize::from(!stale || spent(number)), "user {number}");
        assert_eq!(is_open(&*store, session).await, stale && !gone(number), "user {number}");
        let version = factors_of(&*store, &user.user).await.version;
        assert_eq!(version == factors.version, gone(number), "user {number}");
    }
}

/// SQLite has no locks of users.
#[test]
fn a_user_who_is_kept_waiting_on_postgres_holds_up_no_other_for_long() {
    on_postgres("a user who is kept waiting", async |database| {
        let store = database.open().await.store;
        let many = many(&*store).await;
        let mut other = Raw::connect(database).await;
        other.execute("BEGIN").await.expect("it answers");
        let taken = "SELECT 1 FROM factors WHERE user_id = '@user7:localhost' FOR UPDATE";
        other.execute(taken).await.expect("nobody else holds it");
        let passed = tokio::time::timeout(PATIENCE, finish_all(&store, &many)).await;
        for (number, passed) in passed.expect("nobody waits longer").into_iter().enumerate() {
            match number {
                7 => assert!(matches!(passed, Err(Error::Unavailable(_))), "{passed:?}"),
                _ => assert!(passed.expect("it answers"), "user {number}"),
            }
        }
        other.execute("ROLLBACK").await.expect("the other one lets go");
        let (user, session, factors) = &many[7];
        assert!(finish(&*store, session, factors, code(user, current_step())).await);
    });
}

/// What two groups lock, they lock in the same order, whatever the order of the
/// rows.
#[test]
fn groups_of_two_processes_on_postgres_do_not_wait_for_each_other() {
    on_postgres("groups of two processes", async |database| {
        let stores = [database.open().await.store, database.open().await.store];
        let mut users = Vec::new();
        for name in ["@z:localhost", "@m:localhost", "@a:localhost", "@first:localhost"] {
            let name = OwnedUserId::try_from(name).expect("it is a name");
            users.push(enrol(&*stores[0], &name, 0, NOW).await);
        }
        let [mut first, mut middle] = [Raw::connect(database).await, Raw::connect(database).await];
        for (blocker, taken) in [
            (&mut first, "SELECT 1 FROM factors WHERE user_id = '@first:localhost' FOR UPDATE"),
            (&mut middle, "SELECT 1 FROM factors WHERE user_id = '@m:localhost' FOR UPDATE"),
        ] {
            blocker.execute("BEGIN").await.expect("it answers");
            blocker.execute(taken).await.expect("nobody else holds it");
        }
        // While one stage is under way and waits, the others become the next
        // group: in one process they spend codes, in the other nothing.
        let mut asked = Vec::new();
        for (number, store) in stores.iter().enumerate() {
            asked.push(ask(store, &users[3].user, Spend::Nothing).await);
            Raw::wait_for_locks(database, number + 1).await;
            for user in &users[..3] {
                let code = code(user, current_step());
                let spend = if number == 0 { code } else { Spend::Nothing };
                asked.push(ask(store, &user.user, spend).await);
            }
        }
        first.execute("ROLLBACK").await.expect("it lets go");
        for first in [4, 0] {
            asked.remove(first).await.expect("it does not panic").expect("it answers");
        }
        Raw::wait_for_locks(database, 2).await;
        middle.execute("ROLLBACK").await.expect("it lets go");
        for asked in asked {
            asked.await.expect("it does not panic").expect("it answers");
        }
        drop((stores, first, middle));
        assert_eq!(Raw::deadlocks(database).await, 0);
    });
}

/// Asks for the last stage of a new session to be passed.
async fn ask(store: &Arc<dyn Store>, user: &UserId, spend: Spend) -> JoinHandle<Result<(), Error>> {
    let session = open_login(&**store, user, NOW).await;
    let (store, factors) = (store.clone(), factors_of(&**store, user).await);
    let asked = tokio::spawn(async move {
        let admitted = admit(&session, Stage::Totp);
        store.pass_stage(admitted, Some(&factors), spend, NOW, None).await.map(drop)
    });
    tokio::task::yield_now().await;
    asked
}

type Verb = Pin<Box<dyn Future<Output = (&'static str, Result<(), Error>)> + Send>>;

/// One of each kind of verb that writes.
fn writes(store: &Arc<dyn Store>, factors: &Factors) -> Vec<Verb> {
    let (a, b, c, d) = (store.clone(), store.clone(), store.clone(), store.clone());
    let factors = factors.clone();
    vec![
        Box::pin(async move { ("record", a.record(event(&alice(), Action::LoggedIn, NOW)).await) }),
        Box::pin(async move {
            let session = login_session(&alice(), NOW);
            ("open_session", b.open_session(&session, &origin(ADDRESS), NOW, None).await.map(drop))
        }),
        Box::pin(async move {
            let count = Change::CountTotpFailure { throttle: Throttle::default(), disable: false };
            let event = event(&alice(), Action::TotpFailed, NOW);
            ("change", c.change(&factors, count, event).await.map(drop))
        }),
        Box::pin(async move { ("check", d.check().await) }),
    ]
}

/// One of each kind of verb that reads.
fn reads(store: &Arc<dyn Store>) -> Vec<Verb> {
    let (a, b, c) = (store.clone(), store.clone(), store.clone());
    vec![
        Box::pin(async move {
            let unknown = SessionId::generate(&SystemEntropy);
            ("lookup_session", a.lookup_session(&unknown, NOW).await.map(drop))
        }),
        Box::pin(async move { ("lookup_factors", b.lookup_factors(&alice()).await.map(drop)) }),
        Box::pin(async move { ("events", c.events(&alice(), 1).await.map(drop)) }),
    ]
}

/// A cluster that may be crashed without disturbing other tests.
fn own_cluster(test: &str) -> Option<(Cluster, TestDatabase)> {
    let cluster = Cluster::start_or_skip(test)?;
    let database = TestDatabase::postgres_at(cluster.url().to_owned());
    Some((cluster, database))
}

#[test]
fn postgres_that_is_down_is_unavailable_and_comes_back() {
    let Some((mut cluster, database)) = own_cluster("postgres that is down") else { return };
    run(async {
        let store = database.open().await.store;
        let user = enrol(&*store, &alice(), 2, NOW).await;
        let session = open_login(&*store, &alice(), NOW).await;
        let before = snapshot(&*store, &alice(), &[&session]).await;
        let factors = factors_of(&*store, &alice()).await;
        cluster.crash();
        let verbs = writes(&store, &factors).into_iter().chain(reads(&store));
        let outcomes = tokio::time::timeout(PATIENCE, race(verbs));
        for (verb, outcome) in outcomes.await.expect("nobody waits longer") {
            assert!(matches!(outcome, Err(Error::Unavailable(_))), "{verb}: {outcome:?}");
        }
        cluster.restart();
        let after = snapshot(&*store, &alice(), &[&session]).await;
        assert_eq!(after, before, "without reopening");
        assert!(finish(&*store, &session, &factors, code(&user, current_step())).await);
    });
}

#[test]
fn what_postgres_acknowledged_survives_its_crash() {
    let Some((mut cluster, database)) = own_cluster("a crash of postgres") else { return };
    run(async {
        let store = database.open().await.store;
        let acknowledged = Arc::new(std::sync::Mutex::new(Vec::new()));
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                tokio::spawn(write_until_it_fails(store.clone(), writer, acknowledged.clone()))
            })
            .collect();
        // In the middle of it, however fast the machine is.
        while acknowledged.lock().expect("no writer panics").len() < 200 {
            tokio::task::yield_now().await;
        }
        cluster.crash();
        writers.iter().for_each(tokio::task::JoinHandle::abort);
        cluster.restart();
        // Connections of the crashed server may be left in the other pool.
        let store = database.open().await.store;
        let log = log(&*store, &bob()).await;
        for detail in acknowledged.lock().expect("no writer panics").iter() {
            let is_kept = log.iter().any(|event| event.detail.as_ref() == Some(detail));
            assert!(is_kept, "{detail} was acknowledged and is lost");
        }
    });
}

async fn write_until_it_fails(
    store: Arc<dyn Store>,
    writer: usize,
    acknowledged: Arc<std::sync::Mutex<Vec<String>>>,
) {
    for number in 0.. {
        let detail = format!("{writer}.{number}");
        let event =
            Event { detail: Some(detail.clone()), ..event(&bob(), Action::TotpFailed, NOW) };
        if store.record(event).await.is_err() {
            break;
        }
        acknowledged.lock().expect("no writer panics").push(detail);
    }
}
