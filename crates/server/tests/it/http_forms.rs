//! HTTP around the protocol: CORS, caches, request ids, limits.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use serde_json::json;

use crate::kit::{Operation, Reply, TestApp, on_every_database, totp};

on_every_database![
    every_answer_is_open_to_web_clients,
    a_preflight_is_answered_without_a_token,
    every_answer_has_a_request_id_of_its_own,
    nothing_of_the_gate_is_for_a_cache,
    a_body_over_the_limit_is_413,
    a_body_that_never_arrives_is_408,
    a_token_in_the_query_is_a_token_and_two_tokens_are_none,
    a_forwarded_address_of_a_stranger_is_not_believed,
    a_connection_with_an_unread_body_in_it_is_said_to_end,
];

/// One of each kind of answer.
async fn answers(app: TestApp) -> Vec<(&'static str, Reply)> {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    vec![
        ("a login's types", anon.get("login").await),
        ("a challenge", anon.post("login", &alice.password_stage()).await),
        ("a wrong code", alice.finish_login(&session, &alice.wrong_code()).await),
        ("a wrong password", anon.post("login", &alice.password_stage_with("wrong")).await),
        ("a login", alice.finish_login(&session, &alice.code()).await),
        ("an operation", alice.prove(&operation, &alice.code_in(1)).await),
        ("a status", alice.client.get("account/two-factor").await),
        ("a missing token", anon.get("account/two-factor").await),
        ("no JSON", anon.raw("POST", "login", "x").await),
        ("a confirmation of nothing", alice.confirm("t_x", "123456").await),
        ("recovery codes", {
            let by_recovery = alice.recovery_code(0);
            alice.prove_by_recovery(&Operation::regenerate(), &by_recovery).await
        }),
    ]
}

async fn every_answer_is_open_to_web_clients(app: TestApp) {
    let anon = app.anonymous();
    let mut all = answers(app).await;
    all.push(("versions", anon.get("/_matrix/client/versions").await));
    all.push(("nothing", anon.get("/nothing").await));
    all.push(("a disguise", anon.get("login/").await));
    for (what, reply) in all {
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{what}");
    }
}

async fn a_preflight_is_answered_without_a_token(app: TestApp) {
    let anon = app.anonymous();
    for path in ["login", "account/two-factor/totp/t_x", "delete_devices", "sync"] {
        let request = anon
            .request("OPTIONS", path)
            .header("origin", "https://client.example")
            .header("access-control-request-method", "DELETE")
            .header("access-control-request-headers", "authorization,content-type");
        let reply = anon.send(request, Body::empty()).await;
        assert!(reply.status.is_success(), "{path}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        let methods = reply.header("access-control-allow-methods");
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            assert!(methods.contains(method), "{methods}");
        }
        let headers = reply.header("access-control-allow-headers").to_lowercase();
        for header in ["x-requested-with", "content-type", "authorization"] {
            assert!(headers.contains(header), "{headers}");
        }
    }
}

async fn every_answer_has_a_request_id_of_its_own(app: TestApp) {
    let anon = app.anonymous();
    let mut ids = Vec::new();
    for (what, reply) in answers(app).await {
        let id = reply.header("x-request-id").to_owned();
        assert!(id.len() >= 16, "{what}: {id:?}");
        ids.push(id);
    }
    // A client cannot choose it, or write into the log with it.
    let request = anon.request("GET", "login").header("x-request-id", "chosen");
    let chosen = anon.send(request, Body::empty()).await;
    assert_ne!(chosen.header("x-request-id"), "chosen");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

async fn nothing_of_the_gate_is_for_a_cache(app: TestApp) {
    for (what, reply) in answers(app).await {
        assert_eq!(reply.header("cache-control"), "no-store", "{what}");
        assert_eq!(reply.header("content-type"), "application/json", "{what}");
    }
}

async fn a_body_over_the_limit_is_413(app: TestApp) {
    let app = app.planned(|plan| plan.settings.body.size = 1000).await;
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let fits = format!("{:<1000}", json!({"auth": {}}).to_string());
    anon.raw("POST", "login", fits.clone()).await.challenges(&[]);
    anon.raw("POST", "login", format!("{fits} ")).await.refuses(413, "M_TOO_LARGE");
    let endless = Body::new(Slow { rest: usize::MAX, then_wait: false });
    anon.raw("POST", "login", endless).await.refuses(413, "M_TOO_LARGE");
    let endless = Body::new(Slow { rest: usize::MAX, then_wait: false });
    let reply = alice.client.raw("DELETE", "devices/NOSUCH", endless).await;
    reply.refuses(413, "M_TOO_LARGE");
}

/// A body of spaces that ends only after `rest` of them, or never.
struct Slow {
    rest: usize,
    then_wait: bool,
}

impl HttpBody for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.rest.checked_sub(1) {
            Some(rest) => {
                self.rest = rest;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
            }
            None if self.then_wait => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

async fn a_body_that_never_arrives_is_408(app: TestApp) {
    let app = app.planned(|plan| plan.settings.body.time = Duration::from_millis(20)).await;
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    for rest in [0, 10] {
        let slow = || Body::new(Slow { rest, then_wait: true });
        anon.raw("POST", "login", slow()).await.is(408);
        anon.raw("POST", "refresh", slow()).await.is(408);
        alice.client.raw("POST", "account/two-factor/totp", slow()).await.is(408);
    }
}

async fn a_token_in_the_query_is_a_token_and_two_tokens_are_none(app: TestApp) {
    let (app, anon, alice) = app.with_protected_user("alice").await;
    let (_app, _anon, mallory) = app.with_user("mallory").await;
    let path = format!("account/two-factor?access_token={}", alice.client.token());
    let status = anon.get(&path).await.is(200).json();
    assert!(status["providers"].get("m.login.2fa.totp").is_some());
    // A gate and a homeserver could each believe in another of the two.
    mallory.client.get(&path).await.refuses(401, "M_MISSING_TOKEN");
    let request = mallory
        .client
        .request("GET", "account/two-factor")
        .header("authorization", format!("Bearer {}", alice.client.token()));
    mallory.client.send(request, Body::empty()).await.refuses(401, "M_MISSING_TOKEN");
}

async fn a_forwarded_address_of_a_stranger_is_not_believed(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let mut body = json!({"auth": {}});
    for (number, header) in (0..).zip(["x-forwarded-for", "x-real-ip", "forwarded"]) {
        let request = anon.request("POST", "login").header(header, format!("10.0.0.{number}"));
        let session = anon.send(request, body.to_string()).await.is(401).session();
        body = json!({"auth": {"session": session}});
        let request = anon.request("POST", "login").header(header, "for=10.9.9.9");
        let login = alice.password_stage().to_string();
        let session = anon.send(request, login).await.is(401).session();
        let request = anon.request("POST", "login").header(header, "10.8.8.8");
        let last = json!({"auth": totp(&session, &alice.wrong_code())}).to_string();
        anon.send(request, last).await.is(401);
    }
    for recorded in
        alice.events().await.into_iter().filter(|r| r.event.action.as_str() == "totp_failed")
    {
        assert_eq!(recorded.event.origin.address, Some([198, 51, 100, 7].into()));
    }
}

async fn a_connection_with_an_unread_body_in_it_is_said_to_end(app: TestApp) {
    let (_app, anon, alice) = app.with_user("alice").await;
    for (method, path) in [
        ("POST", "login/"),
        ("PUT", "login"),
        ("POST", "/_synapse/admin/v1/register"),
        ("GET", "/health"),
    ] {
        let reply = anon.raw(method, path, "{}").await;
        assert_eq!(reply.header("connection"), "close", "{method} {path}");
        let reply = anon.raw(method, path, "").await;
        assert_eq!(reply.header("connection"), "", "{method} {path} without a body");
    }
    for reply in [
        anon.post("login", &alice.password_stage()).await.is(200),
        anon.raw("POST", "login", "x").await.is(400),
        alice.client.get("account/two-factor").await.is(200),
    ] {
        assert_eq!(reply.header("connection"), "", "{reply:?}");
    }
    // HTTP/2 ends the request and not the connection.
    let request = anon.request("POST", "login/").version(http::Version::HTTP_2);
    assert_eq!(anon.send(request, "{}").await.header("connection"), "");
}
