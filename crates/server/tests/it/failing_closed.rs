//! Where something is broken, nobody gets in.

use std::{io::Write, sync::Arc, time::Duration};

use myelin_ambient::SystemEntropy;
use myelin_storage::Keyring;
use myelin_testing::postgres::Cluster;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::{Database, Operation, TestApp, on_every_database, recovery, totp};

on_every_database![
    with_another_keyring_no_second_factor_is_passed,
    with_another_keyring_the_server_is_not_ready,
    a_damaged_secret_is_no_skipped_stage,
    a_healthy_server_is_ready,
];

/// What a client learns of any trouble: always the same.
fn trouble() -> Value {
    json!({
        "errcode": "M_UNKNOWN",
        "error": "The server cannot answer this right now. Try again later.",
    })
}

async fn with_another_keyring_no_second_factor_is_passed(app: TestApp) {
    let (app, anon, alice) = app.with_protected_user("alice").await;
    let (app, _anon, bob) = app.with_user("bob").await;
    let session = alice.start_login().await;
    let strange = app.planned(|plan| plan.keyring = Keyring::generate(&SystemEntropy)).await;
    let (alice, bob) = (alice.over(&strange), bob.over(&strange));
    for auth in [
        totp(&session, &alice.code()),
        totp(&session, &alice.wrong_code()),
        recovery(&session, &alice.recovery_code(0)),
        recovery(&session, "0000-0000-0000-0000"),
    ] {
        let reply = strange.anonymous().post("login", &json!({"auth": auth})).await.is(503);
        assert_eq!(reply.json(), trouble());
    }
    let operation = Operation::delete_devices(&["NOSUCH"]);
    alice.prove(&operation, &alice.code()).await.is(503);
    alice.prove_by_recovery(&operation, &alice.recovery_code(0)).await.is(503);
    // Who has no second factor needs no key.
    strange.anonymous().post("login", &bob.password_stage()).await.is(200);
    // With the right keyring nothing is lost, and nothing was counted.
    assert_eq!(alice.failures().await, (0, 0));
    let body = json!({"auth": totp(&session, &alice.code())});
    anon.post("login", &body).await.is(200);
}

async fn with_another_keyring_the_server_is_not_ready(app: TestApp) {
    let (app, _anon, _alice) = app.with_protected_user("alice").await;
    let strange = app.planned(|plan| plan.keyring = Keyring::generate(&SystemEntropy)).await;
    let reply = strange.anonymous().get("/ready").await.is(503);
    assert_eq!(reply.string("status"), "not ready");
    strange.anonymous().get("/health").await.is(200);
    app.anonymous().get("/ready").await.is(200);
}

async fn a_damaged_secret_is_no_skipped_stage(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (app, _anon, mallory) = app.with_protected_user("mallory").await;
    // Who can write to the database puts another's secret in place.
    app.database
        .execute(
            "UPDATE authenticators SET secret = (SELECT secret FROM authenticators
             WHERE user_id = '@mallory:example.org') WHERE user_id = '@alice:example.org'",
        )
        .await;
    for code in [mallory.code(), alice.code()] {
        alice.log_in(&code).await.is(503);
    }
    mallory.log_in(&mallory.code()).await.is(200);
}

async fn a_healthy_server_is_ready(app: TestApp) {
    let (app, _anon, _alice) = app.with_protected_user("alice").await;
    assert_eq!(app.anonymous().get("/ready").await.is(200).json(), json!({"status": "ready"}));
    assert_eq!(app.anonymous().get("/health").await.is(200).json(), json!({"status": "ok"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_gone_nobody_gets_in_and_afterwards_nothing_is_lost() {
    // Not the shared server: this one is stopped in the middle of the test.
    let mut cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(reason) => {
            let skipped = format!("skipped, for there is no PostgreSQL to stop: {reason}");
            // Said aloud: the test harness would keep `eprintln!` to itself.
            drop(writeln!(std::io::stderr(), "{skipped}"));
            assert!(std::env::var("CI").map_or(true, |ci| ci != "true"), "{skipped}");
            return;
        }
    };
    let app = TestApp::on(Database::at(cluster.url().to_owned())).await;
    let (app, anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let login = alice.start_login().await;
    let session = alice.start_confirmed(&operation).await;
    let alice = Arc::new(alice);

    cluster.crash();
    let mut requests = JoinSet::new();
    for (path, body) in [
        ("login", alice.password_stage()),
        ("login", alice.password_stage_with("wrong password")),
        ("login", json!({"auth": totp(&login, &alice.code())})),
        ("login", json!({"auth": recovery(&login, &alice.recovery_code(0))})),
        ("login", json!({"auth": {"session": login}})),
        ("login", json!({"auth": {}})),
        ("login", json!({"type": "m.login.token", "token": "x"})),
        ("delete_devices", operation.with_auth(&totp(&session, &alice.code()))),
        ("delete_devices", operation.body.clone()),
        ("account/two-factor/totp", json!({})),
        ("account/two-factor/recovery", json!({})),
        ("account/deactivate", json!({})),
        ("register", json!({"username": "x", "password": "a long password"})),
    ] {
        let client = alice.client.clone();
        requests.spawn(async move { (path, client.post(path, &body).await) });
    }
    for path in ["account/two-factor", "account/whoami", "capabilities", "devices"] {
        let client = alice.client.clone();
        requests.spawn(async move { (path, client.get(path).await) });
    }
    let ready = anon.clone();
    let ready = tokio::spawn(async move { ready.get("/ready").await });
    for (path, reply) in requests.join_all().await {
        assert_eq!((reply.status.as_u16(), reply.json()), (503, trouble()), "{path}");
    }
    ready.await.expect("no panic").is(503);
    anon.get("/health").await.is(200);

    cluster.restart();
    // What `/ready` said holds for a second.
    app.advance(Duration::from_secs(1));
    anon.get("/ready").await.is(200);
    assert_eq!(alice.failures().await, (0, 0));
    alice.finish_login(&login, &alice.code()).await.is(200);
    alice.finish(&operation, &session, &alice.code_in(1)).await.is(200);
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
}
