use axum::body::Body;
use http::{Method, StatusCode};
use myelin_homeserver::Homeserver;
use serde_json::json;

use crate::harness::Home;

#[tokio::test]
async fn every_prefix_answers_alike() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    for prefix in ["r0", "v3", "unstable"] {
        let path = format!("/_matrix/client/{prefix}/account/whoami");
        home.send(Method::GET, &path, Some(&alice.token), "").await.ok();
    }
}

#[tokio::test]
async fn versions_need_no_token() {
    let home = Home::open().await;
    let body = home.send(Method::GET, "/_matrix/client/versions", None, "").await.ok();
    let versions = body["versions"].as_array().unwrap();
    assert!(versions.contains(&json!("v1.1")) && versions.contains(&json!("v1.16")));
}

#[tokio::test]
async fn an_unknown_path_is_unrecognized() {
    let home = Home::open().await;
    for path in [
        "/",
        "/_matrix/client/v3/sync",
        "/_matrix/client/v3/register",
        "/_matrix/client/v3/account/password",
        "/_matrix/client/v3/logout/",
        "/_matrix/client/v4/account/whoami",
        "/_matrix/client/v3/%61ccount/whoami",
    ] {
        home.send(Method::POST, path, None, "{}").await.refused(404, "M_UNRECOGNIZED");
    }
}

#[tokio::test]
async fn another_method_is_unrecognized() {
    let home = Home::open().await;
    for (method, endpoint) in [
        (Method::GET, "logout"),
        (Method::GET, "refresh"),
        (Method::POST, "devices"),
        (Method::PUT, "account/whoami"),
    ] {
        let path = format!("/_matrix/client/v3/{endpoint}");
        home.send(method, &path, None, "{}").await.refused(405, "M_UNRECOGNIZED");
    }
    let path = "/_matrix/client/versions";
    home.send(Method::POST, path, None, "{}").await.refused(405, "M_UNRECOGNIZED");
}

#[tokio::test]
async fn everything_about_a_user_needs_a_token() {
    let home = Home::open().await;
    for (method, endpoint) in [
        (Method::POST, "logout"),
        (Method::POST, "logout/all"),
        (Method::GET, "account/whoami"),
        (Method::GET, "account/3pid"),
        (Method::GET, "capabilities"),
        (Method::GET, "devices"),
        (Method::GET, "devices/X"),
        (Method::PUT, "devices/X"),
    ] {
        let path = format!("/_matrix/client/v3/{endpoint}");
        let reply = home.send(method.clone(), &path, None, "{}").await;
        reply.refused(401, "M_MISSING_TOKEN");
        let reply = home.send(method, &path, Some("mya_nobody"), "{}").await;
        reply.refused(401, "M_UNKNOWN_TOKEN");
    }
}

#[tokio::test]
async fn a_token_in_the_query_is_as_good_but_not_beside_another() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let path = format!("/_matrix/client/v3/account/whoami?access_token={}", alice.token);
    home.send(Method::GET, &path, None, "").await.ok();
    let reply = home.send(Method::GET, &path, Some(&alice.token), "").await;
    reply.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_body_that_can_be_read_in_two_ways_is_refused() {
    let home = Home::open().await;
    let alice = home.user("alice").await.on("PHONE").await;
    let path = "/_matrix/client/v3/devices/PHONE";
    for (body, errcode) in [
        (r#"{"display_name": "a", "display_name": "b"}"#, "M_BAD_JSON"),
        ("[]", "M_BAD_JSON"),
        ("", "M_NOT_JSON"),
        ("{", "M_NOT_JSON"),
    ] {
        home.send(Method::PUT, path, Some(&alice.token), body).await.refused(400, errcode);
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_too_large() {
    let home = Home::open().await;
    let body = format!(r#"{{"refresh_token": "{}"}}"#, "x".repeat(1024 * 1024));
    let path = "/_matrix/client/v3/refresh";
    let reply = home.send(Method::POST, path, None, Body::from(body)).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    reply.refused(413, "M_TOO_LARGE");
}

#[tokio::test]
async fn it_is_ready_while_the_database_answers() {
    let home = Home::open().await;
    assert!(home.embedded.check().await.is_ok());
    assert_eq!(home.embedded.server_name(), "example.org");
}
