//! Reading never writes.

use axum::body::Body;
use myelin_server::routes::{PREFIXES, ROUTES};
use serde_json::json;

use crate::kit::{TestApp, User, on_every_database, totp};

on_every_database![
    no_get_head_or_options_changes_anything,
    a_head_has_no_body,
    asking_for_the_state_of_health_leaves_no_trace,
    readiness_writes_at_most_once_a_second_whoever_asks,
];

const TABLES: [&str; 8] = [
    "accounts",
    "audit",
    "authenticators",
    "cross_signing",
    "devices",
    "login_tokens",
    "recovery_codes",
    "uia_sessions",
];

/// All that could have changed, as text.
async fn state(user: &User) -> String {
    let mut rows = Vec::new();
    for table in TABLES {
        rows.push((table, user.app.database.rows(table).await));
    }
    format!("{rows:?} {:?} {:?}", user.factors().await, user.events().await)
}

async fn no_get_head_or_options_changes_anything(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    let id = alice.factor().authenticator.as_str();
    let before = state(&alice).await;
    let proof = json!({"auth": totp(&session, &alice.code()), "name": "x", "token": alice.code()});
    let query = format!("?session={session}&token={}&user=alice", alice.code());
    for prefix in PREFIXES {
        for route in &ROUTES {
            let path = route.endpoint.replace("{deviceId}", "NOSUCH").replace("{id}", id);
            for method in ["GET", "HEAD", "OPTIONS"] {
                for client in [&alice.client, &anon] {
                    let path = format!("{prefix}{path}");
                    let plain = client.raw(method, &path, Body::empty()).await;
                    assert!(!plain.status.is_server_error(), "{method} {path}: {plain:?}");
                    client.call(method, &format!("{path}{query}"), &proof).await;
                }
            }
        }
    }
    assert_eq!(state(&alice).await, before);
    alice.finish_login(&session, &alice.code()).await.is(200);
}

async fn a_head_has_no_body(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    for path in ["login", "account/two-factor", "capabilities", "devices", "/health", "/ready"] {
        let reply = alice.client.raw("HEAD", path, Body::empty()).await;
        assert_eq!(reply.text(), "", "{path}");
        assert!(!reply.status.is_server_error(), "{path}");
    }
}

async fn asking_for_the_state_of_health_leaves_no_trace(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let before = state(&alice).await;
    for _ in 0..3 {
        anon.get("/health").await.is(200);
        anon.get("/ready").await.is(200);
    }
    assert_eq!(state(&alice).await, before);
}

async fn readiness_writes_at_most_once_a_second_whoever_asks(app: TestApp) {
    let anon = app.anonymous();
    let beats = async || app.database.number("SELECT beats FROM probe").await;
    let before = beats().await;
    for asked in 1..=3 {
        for _ in 0..10 {
            anon.get("/ready").await.is(200);
        }
        assert!(beats().await - before <= asked);
        app.advance(std::time::Duration::from_secs(1));
    }
}
