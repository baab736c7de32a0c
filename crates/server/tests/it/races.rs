//! Many at once, one winner.

use myelin_testing::race::race;
use serde_json::json;

use crate::kit::{Client, Operation, Reply, TestApp, User, on_every_database, recovery, totp};

on_every_database![
    one_code_a_hundred_times_in_parallel_lets_in_once,
    one_recovery_code_in_parallel_lets_in_once,
    one_session_finished_fifty_times_in_parallel_executes_once,
    a_password_stage_finished_in_parallel_logs_in_once,
    a_login_token_in_parallel_lets_in_once,
    parallel_regenerations_leave_one_set,
    parallel_beginnings_leave_one_pending_authenticator,
    a_registration_in_parallel_makes_one_account,
];

/// Logins that wait for a code, each from an address of its own.
async fn waiting_logins(user: &User, count: usize) -> Vec<(Client, String)> {
    let mut logins = Vec::new();
    for number in 0..count {
        let client = user.app.anonymous().at(&format!("203.0.113.{number}"));
        let reply = client.post("login", &user.password_stage()).await.is(401);
        logins.push((client, reply.session()));
    }
    logins
}

fn successes(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.status == 200).count()
}

/// How often the audit log says that this was done.
async fn times(user: &User, action: &str) -> usize {
    user.actions().await.into_iter().filter(|done| *done == action).count()
}

async fn one_code_a_hundred_times_in_parallel_lets_in_once(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let logins = waiting_logins(&alice, 100).await;
    let contenders = logins.into_iter().map(|(client, session)| {
        let body = json!({"auth": totp(&session, &alice.code())});
        async move { client.post("login", &body).await }
    });
    let replies = race(contenders.collect::<Vec<_>>()).await;
    assert_eq!(successes(&replies), 1);
    for reply in replies.into_iter().filter(|reply| reply.status != 200) {
        reply.looks_wrong();
    }
    // The losers were no guesses.
    assert_eq!(alice.failures().await, (0, 0));
    assert_eq!((times(&alice, "totp_passed").await, times(&alice, "logged_in").await), (1, 1));
}

async fn one_recovery_code_in_parallel_lets_in_once(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let logins = waiting_logins(&alice, 12).await;
    let contenders = logins.into_iter().map(|(client, session)| {
        let body = json!({"auth": recovery(&session, &alice.recovery_code(0))});
        async move { client.post("login", &body).await }
    });
    let replies = race(contenders.collect::<Vec<_>>()).await;
    assert_eq!(successes(&replies), 1);
    assert_eq!((times(&alice, "recovery_passed").await, times(&alice, "logged_in").await), (1, 1));
    assert_eq!(alice.factors().await.codes.map(|codes| codes.unused.len()), Some(1));
    // The losers were no guesses.
    assert_eq!(alice.failures().await, (0, 0));
}

async fn one_session_finished_fifty_times_in_parallel_executes_once(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_confirmed(&Operation::login_token()).await;
    // Three codes are right: none of them may execute it a second time.
    let contenders = [-1, 0, 1].into_iter().cycle().take(50).map(|steps| {
        let auth = totp(&session, &alice.code_in(steps));
        let (client, operation) = (alice.client.clone(), Operation::login_token());
        async move { client.post(&operation.path, &operation.with_auth(&auth)).await }
    });
    let replies = race(contenders.collect::<Vec<_>>()).await;
    assert_eq!(successes(&replies), 1);
    assert_eq!(times(&alice, "login_token_issued").await, 1);
    assert_eq!(alice.app.database.rows("login_tokens").await, 1);
}

async fn a_password_stage_finished_in_parallel_logs_in_once(app: TestApp) {
    let (_app, anon, alice) = app.with_user("alice").await;
    let session = anon.post("login", &json!({"auth": {}})).await.is(401).session();
    let mut auth = alice.password_stage();
    auth["session"] = session.into();
    let contenders = (0..50).map(|_| {
        let (client, body) = (anon.clone(), json!({"auth": auth}));
        async move { client.post("login", &body).await }
    });
    let replies = race(contenders.collect::<Vec<_>>()).await;
    assert_eq!(successes(&replies), 1);
    assert_eq!(times(&alice, "logged_in").await, 1);
}

async fn a_login_token_in_parallel_lets_in_once(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let reply = alice.prove(&Operation::login_token(), &alice.code()).await.is(200);
    let body = json!({"type": "m.login.token", "token": reply.string("login_token")});
    let contenders = (0..50).map(|_| {
        let (client, body) = (anon.clone(), body.clone());
        async move { client.post("login", &body).await }
    });
    let replies = race(contenders.collect::<Vec<_>>()).await;
    assert_eq!(successes(&replies), 1);
    assert_eq!(times(&alice, "logged_in").await, 1);
}

async fn parallel_regenerations_leave_one_set(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::regenerate();
    let mut contenders = Vec::new();
    for steps in -1..=1 {
        let session = alice.start_confirmed(&operation).await;
        let body = operation.with_auth(&totp(&session, &alice.code_in(steps)));
        let (client, path) = (alice.client.clone(), operation.path.clone());
        contenders.push(async move { client.post(&path, &body).await });
    }
    let replies = race(contenders).await;
    let shown: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert!(!shown.is_empty());
    assert_eq!(app.database.rows("recovery_codes").await, 10);
    let mut valid = 0;
    for reply in shown {
        let code = &reply.strings("recovery_codes")[0];
        valid += usize::from(alice.log_in_by_recovery(code).await.status == 200);
    }
    assert_eq!(valid, 1);
}

async fn parallel_beginnings_leave_one_pending_authenticator(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let operation = Operation::begin("Phone");
    let mut contenders = Vec::new();
    for _ in 0..8 {
        let mut auth = alice.password_stage();
        auth["session"] = alice.start(&operation).await.into();
        let body = operation.with_auth(&auth);
        let (client, path) = (alice.client.clone(), operation.path.clone());
        contenders.push(async move { client.post(&path, &body).await });
    }
    let replies = race(contenders).await;
    assert_eq!(alice.factors().await.authenticators.len(), 1);
    let mut confirmed = 0;
    let mut alice = alice;
    for reply in replies.iter().filter(|reply| reply.status == 200) {
        alice = alice.holding(reply);
        let reply = alice.confirm(&reply.string("id"), &alice.code()).await;
        confirmed += usize::from(reply.status == 200);
    }
    assert_eq!(confirmed, 1);
}

async fn a_registration_in_parallel_makes_one_account(app: TestApp) {
    let body = json!({"username": "alice", "password": crate::kit::PASSWORD,
                      "auth": {"type": "m.login.dummy"}});
    let contenders = (0..20).map(|_| {
        let (client, body) = (app.anonymous(), body.clone());
        async move { client.post("register", &body).await }
    });
    let replies = race(contenders.collect::<Vec<_>>()).await;
    assert_eq!(successes(&replies), 1);
    for reply in replies.into_iter().filter(|reply| reply.status != 200) {
        reply.refuses(400, "M_USER_IN_USE");
    }
    assert_eq!(app.database.rows("devices").await, 1);
}
