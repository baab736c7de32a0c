//! Two server processes on one PostgreSQL: a code is accepted once.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use myelin_ambient::{Clock as _, SystemClock, SystemEntropy};
use myelin_storage::{FileKeySource, OpenOptions};
use myelin_testing::{SeededUser, TestDatabase, database, fixture, seed::Seed};
use myelin_uia::{Binding, DEFAULT_LIFETIME, Session, Stage};
use ruma::UserId;
use serde_json::{Map, json};

use crate::support::{Home, Server, request};

/// Codes that are raced for.
const ROUNDS: usize = 1000;
/// Uses of each code at the same time, over all threads.
const USES: usize = 100;
const THREADS: usize = 10;
/// Sessions over which the uses are spread.
const SESSIONS: usize = 5;

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
    let seed = Seed {
        password_hash: Some("none".to_owned()),
        sessions: SESSIONS,
        session: Arc::new(waiting_for_code),
        ..Seed::users(ROUNDS, SystemClock.now())
    };
    let users = seed.plant(&myelin_storage::open(&options).await.unwrap()).await;
    let keys = home.path("keys").display().to_string();
    let variables = [
        ("MYELIN_DATABASE_URL", options.url.as_str()),
        ("MYELIN_KEYS_FILE", &keys),
        ("MYELIN_LOG", "error"),
    ];
    let servers = [Server::start(&home, &variables), Server::start(&home, &variables)];
    let addresses = [servers[0].address, servers[1].address];
    for (round, user) in users.iter().enumerate() {
        assert_eq!(logins(addresses, user), 1, "round {round}");
    }
}

/// How many of the uses of one code let in.
fn logins(servers: [SocketAddr; 2], user: &SeededUser) -> usize {
    let code = user.code(fixture::step_at(SystemClock.now()));
    let let_in = AtomicUsize::new(0);
    thread::scope(|scope| {
        for first in 0..THREADS {
            let (code, let_in) = (code.expose(), &let_in);
            scope.spawn(move || {
                for number in (first..USES).step_by(THREADS) {
                    let session = user.sessions[number % SESSIONS].id.as_str();
                    let stage = Stage::Totp.as_str();
                    let auth = json!({"type": stage, "session": session, "token": code});
                    let body = json!({"auth": auth}).to_string();
                    let server = servers[number / SESSIONS % 2];
                    let path = "/_matrix/client/v3/login";
                    let answer = request(server, "POST", path, None, &body).expect("an answer");
                    match answer.status {
                        200 => drop(let_in.fetch_add(1, Ordering::SeqCst)),
                        status => assert_eq!(status, 401, "{answer:?}"),
                    }
                }
            });
        }
    });
    let_in.into_inner()
}

/// A login that has passed the password, bound as the server binds it.
fn waiting_for_code(user: &UserId) -> Session {
    let binding = Binding::new(None, "POST", "login", &[], &Map::new());
    let (user, now) = (user.to_owned(), SystemClock.now());
    let session = Session::open(&SystemEntropy, Some(user), binding, now, DEFAULT_LIFETIME);
    Session { completed: vec![Stage::Password], memo: Some("{}".to_owned()), ..session }
}
