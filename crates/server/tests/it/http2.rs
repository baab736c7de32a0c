//! Clients that speak HTTP/2, over a socket.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::Request};
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use myelin_server::{Workers, serve};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::kit::{TestApp, Upstream, on_every_database, totp};

on_every_database![
    a_login_in_two_stages_goes_over_one_connection,
    what_is_forwarded_is_one_request_of_http_1,
    many_requests_go_over_one_connection_at_once,
    a_client_that_gives_up_its_requests_has_no_more_under_way_than_others,
    whose_token_is_unknown_leaves_nothing_under_way,
];

/// A connection to a server of this app.
async fn connect(app: &TestApp) -> SendRequest<Body> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let app = app.app.clone();
    tokio::spawn(async move { serve(app, listener, Workers::here(), pending()).await });
    let stream = TcpStream::connect(address).await.expect("it listens");
    let connected = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = connected.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    sender
}

/// A request to a path below `/_matrix/client/v3/`; the status and the body.
async fn ask(
    sender: &SendRequest<Body>,
    (method, path): (Method, &str),
    headers: HeaderMap,
    body: impl Into<Body>,
) -> (u16, Value) {
    let uri = format!("http://matrix.example.org/_matrix/client/v3/{path}");
    let mut request = Request::builder().method(method).uri(uri).body(body.into()).expect("valid");
    *request.headers_mut() = headers;
    let response = sender.clone().send_request(request).await.expect("it answers");
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

async fn log_in(sender: &SendRequest<Body>, body: &Value) -> (u16, Value) {
    ask(sender, (Method::POST, "login"), HeaderMap::new(), body.to_string()).await
}

async fn a_login_in_two_stages_goes_over_one_connection(app: TestApp) {
    let upstream = Upstream::start().await;
    for (name, app) in [("alice", app.clone()), ("bob", app.in_front_of(&upstream).await)] {
        let (app, _anonymous, user) = app.with_protected_user(name).await;
        let sender = connect(&app).await;
        let (status, challenge) = log_in(&sender, &user.password_stage()).await;
        let session = challenge["session"].as_str().expect("a session");
        assert_eq!(status, 401, "{challenge}");
        let (status, wrong) =
            log_in(&sender, &json!({"auth": totp(session, &user.wrong_code())})).await;
        assert_eq!(status, 401, "{wrong}");
        let right = json!({"auth": totp(session, &user.code())});
        let (status, login) = log_in(&sender, &right).await;
        assert_eq!((status, login["user_id"].as_str()), (200, Some(user.id.as_str())));
        let (status, again) = log_in(&sender, &right).await;
        assert_eq!(status, 401, "{again}");
    }
}

/// A homeserver that says what it hears.
async fn echo() -> String {
    let answer = |request: Request| async {
        let (parts, body) = request.into_parts();
        let said = |name| {
            let values = parts.headers.get_all(name).iter();
            values.map(|value| value.to_str().expect("text")).collect::<Vec<_>>()
        };
        let body = body.collect().await.expect("a whole body").to_bytes();
        axum::Json(json!({
            "version": format!("{:?}", parts.version),
            "host": said(header::HOST),
            "cookie": said(header::COOKIE),
            "target": parts.uri.to_string(),
            "length": body.len(),
        }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

async fn what_is_forwarded_is_one_request_of_http_1(app: TestApp) {
    let url = echo().await;
    let app = app.planned(|plan| plan.upstream = Some(url)).await;
    let sender = connect(&app).await;
    let mut headers = HeaderMap::new();
    // RFC 9113 §8.2.3: browsers split it.
    for cookie in ["a=1", "b=2; c=3", "d=4"] {
        headers.append(header::COOKIE, cookie.parse().expect("a value"));
    }
    let body = vec![b'x'; 300_000];
    let (status, heard) = ask(&sender, (Method::PUT, "rooms/!r/x?a=%2F&b"), headers, body).await;
    let expected = json!({
        "version": "HTTP/1.1",
        "host": ["matrix.example.org"],
        "cookie": ["a=1; b=2; c=3; d=4"],
        "target": "/_matrix/client/v3/rooms/!r/x?a=%2F&b",
        "length": 300_000,
    });
    assert_eq!((status, heard), (200, expected));
}

async fn many_requests_go_over_one_connection_at_once(app: TestApp) {
    let url = echo().await;
    let app = app.planned(|plan| plan.upstream = Some(url)).await;
    let sender = connect(&app).await;
    // With its answer comes how many may be open at once.
    ask(&sender, (Method::GET, "rooms/first"), HeaderMap::new(), "").await;
    let asking = (0..200).map(|number| {
        let sender = sender.clone();
        tokio::spawn(async move {
            let path = format!("rooms/{number}");
            let answer = ask(&sender, (Method::GET, &path), HeaderMap::new(), "").await;
            (path, answer)
        })
    });
    let asking: Vec<_> = asking.collect();
    for asked in asking {
        let (path, (status, heard)) = asked.await.expect("no panic");
        let target = format!("/_matrix/client/v3/{path}");
        assert_eq!((status, heard["target"].as_str()), (200, Some(target.as_str())));
    }
}

/// How many requests hang.
#[derive(Clone, Debug, Default)]
struct Hanging(Arc<AtomicUsize>);

impl Hanging {
    /// A homeserver that knows one token, and answers nothing else.
    async fn homeserver(&self) -> String {
        let hanging = self.clone();
        let answer = move |request: Request| {
            let hanging = hanging.clone();
            async move {
                let bearer = request.headers().get(header::AUTHORIZATION);
                let is_good = bearer.is_some_and(|bearer| bearer == "Bearer good");
                if is_good && request.uri().path().ends_with("/whoami") {
                    return axum::Json(json!({"user_id": "@alice:example.org"}));
                }
                let _one = hanging.one();
                pending().await
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        url
    }

    fn one(&self) -> impl Drop + use<> {
        struct One(Arc<AtomicUsize>);
        impl Drop for One {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        One(Arc::clone(&self.0))
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Begins 100 operations with a token, and gives each up.
async fn give_up(sender: &SendRequest<Body>, token: &str) {
    let password = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": "anything",
    });
    let body = json!({"devices": ["DEVICE"], "auth": password}).to_string();
    for _ in 0..100 {
        let bearer = format!("Bearer {token}").parse().expect("a value");
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
        let asking = ask(sender, (Method::POST, "delete_devices"), headers, body.clone());
        let answer = tokio::time::timeout(Duration::from_millis(20), asking).await;
        assert!(answer.is_err(), "{answer:?}");
    }
}

async fn a_client_that_gives_up_its_requests_has_no_more_under_way_than_others(app: TestApp) {
    let hanging = Hanging::default();
    let url = hanging.homeserver().await;
    let app = app.planned(|plan| plan.upstream = Some(url)).await;
    give_up(&connect(&app).await, "good").await;
    let left = hanging.now();
    assert!((1..=64).contains(&left), "{left}");
}

async fn whose_token_is_unknown_leaves_nothing_under_way(app: TestApp) {
    let hanging = Hanging::default();
    let url = hanging.homeserver().await;
    let app = app.planned(|plan| plan.upstream = Some(url)).await;
    give_up(&connect(&app).await, "unknown").await;
    let gone = async {
        while hanging.now() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("all of them end");
}
