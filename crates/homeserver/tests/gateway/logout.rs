//! A token that its owner has logged out names nobody any more, at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{body::Body, extract::Request};
use http::{Method, header};
use myelin_homeserver::{AccessToken, Homeserver, Resolved};

use crate::script::{Scripted, context};

const OWN: &str = r#"{"user_id":"@alice:example.org","device_id":"D"}"#;

/// A homeserver that knows every token until somebody logs out.
async fn homeserver() -> Scripted {
    let over = Arc::new(AtomicBool::new(false));
    Scripted::homeserver(move |asked| {
        if asked.line.contains("logout") {
            over.store(true, Ordering::SeqCst);
            return (200, "{}".to_owned());
        }
        if over.load(Ordering::SeqCst) {
            return (401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"gone"}"#.to_owned());
        }
        (200, OWN.to_owned())
    })
    .await
}

async fn knows(adapter: &dyn Homeserver, token: &str) -> bool {
    let resolved = adapter.resolve(&AccessToken::new(token), &context()).await.unwrap();
    matches!(resolved, Resolved::Identity(_))
}

fn logout(path: &str, in_query: bool) -> Request {
    let request = Request::builder().method(Method::POST);
    let request = if in_query {
        request.uri(format!("{path}?access_token=this"))
    } else {
        request.uri(path).header(header::AUTHORIZATION, "Bearer this")
    };
    request.body(Body::from("{}")).unwrap()
}

/// Whether the tokens of a device are forgotten when one of them logs it out.
async fn are_forgotten(adapter: &dyn Homeserver, path: &str, in_query: bool) -> bool {
    assert!(knows(adapter, "this").await && knows(adapter, "other").await);
    let request = logout(&format!("/_matrix/client/{path}"), in_query);
    assert_eq!(adapter.forward(request, &context()).await.status(), 200);
    !knows(adapter, "this").await && !knows(adapter, "other").await
}

#[tokio::test]
async fn after_a_logout_the_token_names_nobody() {
    for path in ["v3/logout", "r0/logout", "v3/logout/all", "unstable/logout/all", "api/v1/logout"]
    {
        for in_query in [false, true] {
            let (one, other) = (homeserver().await, homeserver().await);
            assert!(are_forgotten(&one.generic(), path, in_query).await, "{path}");
            assert!(are_forgotten(&other.synapse(), path, in_query).await, "{path}");
        }
    }
}

#[tokio::test]
async fn other_requests_make_nobody_unknown() {
    let server = homeserver().await;
    let generic = server.generic();
    assert!(knows(&generic, "this").await);
    let request = Request::get("/_matrix/client/v3/sync").body(Body::empty()).unwrap();
    generic.forward(request, &context()).await;
    assert!(knows(&generic, "this").await);
    let lines: Vec<_> = server.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines, ["GET account/whoami", "GET sync"]);
}
