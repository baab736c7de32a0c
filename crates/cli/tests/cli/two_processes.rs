//! Two server processes on one PostgreSQL: a code that is sent a hundred times
//! at the same moment, half of them to each process, is accepted once.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Barrier,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use myelin_ambient::{Clock as _, SystemClock, SystemEntropy};
use myelin_storage::{FileKeySource, OpenOptions};
use myelin_testing::{SeededUser, TestDatabase, database, fixture, seed::Seed};
use myelin_uia::{Binding, DEFAULT_LIFETIME, Kept, Session, Stage};
use ruma::UserId;
use serde_json::{Map, json};

use crate::support::{Answer, Connection, Home, Server};

/// Codes that are raced for, one a round: a thousand in all. Each batch is
/// seeded by itself, so that no session expires and no connection idles.
const BATCHES: usize = 10;
const ROUNDS: usize = 100;
/// Uses of each code at the same time, each on a connection of its own.
const USES: usize = 100;
/// Uses that share a session, over both processes: any of them can win.
const SHARING: usize = 5;

/// What came of a use: which process was asked, and its answer.
type Use = (usize, io::Result<Answer>);

#[test]
fn in_a_thousand_rounds_on_two_processes_a_code_lets_in_exactly_once() {
    let name = concat!(module_path!(), "::a_code_lets_in_exactly_once");
    database::on_postgres(name, async |database| race(database).await);
}

async fn race(database: &TestDatabase) {
    let home = Home::new();
    home.out(&["key", "generate", "--output", "keys"]);
    let keys = Arc::new(FileKeySource(home.path("keys")));
    let options = OpenOptions { keys, ..database.options() };
    let store = myelin_storage::open(&options).await.unwrap();
    let keys = home.path("keys").display().to_string();
    let variables = [
        ("MYELIN_DATABASE_URL", options.url.as_str()),
        ("MYELIN_KEYS_FILE", &keys),
        ("MYELIN_LOG", "error"),
    ];
    let servers = [Server::start(&home, &variables), Server::start(&home, &variables)];
    let addresses = [servers[0].address, servers[1].address];
    let mut wins = [0; 2];
    for batch in 0..BATCHES {
        let seed = Seed {
            prefix: format!("batch{batch}-"),
            password_hash: Some("none".to_owned()),
            sessions: USES / SHARING,
            session: Arc::new(waiting_for_code),
            ..Seed::users(ROUNDS, SystemClock.now())
        };
        let users = seed.plant(&store).await;
        for winner in winners(addresses, &users) {
            wins[winner] += 1;
        }
    }
    assert_eq!(wins[0] + wins[1], BATCHES * ROUNDS);
    assert!(wins.iter().all(|wins| *wins > 0), "one process won every round: {wins:?}");
}

/// Races for one code of each user; which process let somebody in.
fn winners(servers: [SocketAddr; 2], users: &[SeededUser]) -> Vec<usize> {
    let start = Barrier::new(USES);
    let (report, answers) = mpsc::channel();
    thread::scope(|scope| {
        let mut lanes = Vec::new();
        for number in 0..USES {
            let process = number % servers.len();
            let mut connection = Connection::open(servers[process]).expect("the server answers");
            let (lane, bodies) = mpsc::channel();
            let (start, report) = (&start, report.clone());
            scope.spawn(move || send_all(process, &mut connection, &bodies, start, &report));
            lanes.push(lane);
        }
        drop(report);
        let round = |user: &SeededUser| {
            let code = user.code(fixture::step_at(SystemClock.now()));
            for (number, lane) in lanes.iter().enumerate() {
                let session = user.sessions[number / SHARING].id.as_str();
                let stage = Stage::Totp.as_str();
                let auth = json!({"type": stage, "session": session, "token": code.expose()});
                lane.send(json!({"auth": auth}).to_string()).expect("it waits for more");
            }
            only_winner(&user.user, answers.iter().take(USES).collect())
        };
        users.iter().map(round).collect()
    })
}

/// Sends what comes, each when all others have something to send, too. Never
/// panics: the others would wait for ever.
fn send_all(
    process: usize,
    connection: &mut Connection,
    bodies: &Receiver<String>,
    start: &Barrier,
    report: &Sender<Use>,
) {
    for body in bodies {
        start.wait();
        let answer = connection.send("POST", "/_matrix/client/v3/login", &body);
        // Nobody listens only where the test has failed already.
        drop(report.send((process, answer)));
    }
}

/// The process that let somebody in. All other uses must have been refused.
fn only_winner(owner: &UserId, uses: Vec<Use>) -> usize {
    let mut winners = Vec::new();
    for (process, answer) in uses {
        let answer = answer.expect("an answer");
        match answer.status {
            200 => winners.push(process),
            status => assert_eq!(status, 401, "{answer:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "a code of {owner} let in so often");
    winners[0]
}

/// A login that has passed the password, bound as the server binds it.
fn waiting_for_code(user: &UserId) -> Session {
    let binding = Binding::new(None, "POST", "login", &[], &Map::new());
    let (user, now) = (user.to_owned(), SystemClock.now());
    let session = Session::open(&SystemEntropy, Some(user), binding, now, DEFAULT_LIFETIME);
    let (completed, memo) = (vec![Stage::Password], Some("{}".to_owned()));
    Session::restore(Kept { completed, memo, ..session.into_kept() })
}
