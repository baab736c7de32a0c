//! Nobody can fill the store with sessions, or push out another's.

use myelin_storage::Quota;
use serde_json::json;
use tokio::task::JoinSet;

use crate::kit::{Client, Kind, Operation, TestApp, on_every_database};

/// How many sessions are opened.
const SESSIONS: u32 = 100_000;
const CLIENTS: u32 = 64;

on_every_database![
    a_flood_of_sessions_stays_within_the_quota_and_pushes_out_no_victim,
    a_flood_of_nobodys_sessions_stays_within_the_quota,
    sessions_from_many_addresses_are_bounded_for_a_user,
];

/// Sends the same request from many clients at once, in turn as each of the
/// attackers.
async fn flood(attackers: &[Client], path: &'static str, requests: u32) {
    let mut clients = JoinSet::new();
    for client in attackers.iter().cycle().take(CLIENTS as usize) {
        let client = client.clone();
        clients.spawn(async move {
            let body = json!({"auth": {}, "devices": []});
            for _ in 0..requests / CLIENTS {
                client.post(path, &body).await.is(401);
            }
        });
    }
    clients.join_all().await;
}

/// Whoever opens the sessions: one user, and on PostgreSQL more of them, where
/// the openings of one user wait for each other's commit.
async fn attackers(app: &TestApp, mallory: &Client) -> Vec<Client> {
    let mut attackers = vec![mallory.clone()];
    if app.database.kind == Kind::Postgres {
        for number in 1..32 {
            let (_app, _anon, user) = app.clone().with_user(&format!("mallory{number}")).await;
            attackers.push(user.client);
        }
    }
    attackers
}

async fn a_flood_of_sessions_stays_within_the_quota_and_pushes_out_no_victim(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (app, _anon, mallory) = app.with_protected_user("mallory").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    // Another user, also from the address of the flood; and the same user,
    // from another address.
    let login = alice.start_login().await;
    let session = alice.start_confirmed(&operation).await;
    let elsewhere = app.anonymous().at("203.0.113.9");
    let same_user = elsewhere.post("login", &mallory.password_stage()).await.is(401).session();
    let attackers = attackers(&app, &mallory.client).await;
    let before = app.database.rows("uia_sessions").await;

    flood(&attackers, "/_matrix/client/v1/login/get_token", SESSIONS).await;

    let opened = app.database.rows("uia_sessions").await - before;
    let quota =
        i64::from(Quota::default().per_address) * i64::try_from(attackers.len()).expect("a few");
    assert!(opened <= quota, "{opened} sessions");
    alice.finish_login(&login, &alice.code()).await.is(200);
    alice.finish(&operation, &session, &alice.code_in(1)).await.is(200);
    mallory.finish_login(&same_user, &mallory.code()).await.is(200);
    // And the one who flooded can still go on.
    mallory.prove(&operation, &mallory.code_in(1)).await.is(200);
}

async fn a_flood_of_nobodys_sessions_stays_within_the_quota(app: TestApp) {
    let (app, anon, alice) = app.with_protected_user("alice").await;
    let login = alice.start_login().await;
    flood(std::slice::from_ref(&anon), "login", 640).await;
    flood(std::slice::from_ref(&anon), "register", 640).await;
    let open = app.database.rows("uia_sessions").await;
    assert!(open <= i64::from(Quota::default().per_address) + 1, "{open} sessions");
    alice.finish_login(&login, &alice.code()).await.is(200);
}

async fn sessions_from_many_addresses_are_bounded_for_a_user(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (app, _anon, mallory) = app.with_protected_user("mallory").await;
    let login = alice.start_login().await;
    let before = app.database.rows("uia_sessions").await;
    for number in 0..400 {
        let client = mallory.client.at(&format!("203.0.113.{}", number % 20));
        client.post("delete_devices", &json!({"devices": []})).await.is(401);
    }
    let per_user = i64::from(Quota::default().per_user);
    assert_eq!(app.database.rows("uia_sessions").await - before, per_user);
    // Neither another user nor the owner, from an address of their own, is
    // kept out by it.
    alice.finish_login(&login, &alice.code()).await.is(200);
    let login = mallory.start_login().await;
    mallory.finish_login(&login, &mallory.code()).await.is(200);
}
