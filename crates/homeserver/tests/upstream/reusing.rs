//! Connections that are kept, and that the homeserver closes when it likes.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use axum::{body::Body, extract::Request};
use http::{Method, StatusCode};
use myelin_homeserver::upstream::Upstream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{context, way_to};

/// A homeserver that answers one request on each connection; with a second it
/// closes the connection, or, if it does not `wait` for one, at once.
struct Closing {
    upstream: Upstream,
    connections: Arc<AtomicU32>,
    swallowed: Arc<AtomicU32>,
}

async fn closing(wait: bool) -> Closing {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = way_to(&listener.local_addr().unwrap().to_string());
    let (connections, swallowed) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
    let (opened, lost) = (Arc::clone(&connections), Arc::clone(&swallowed));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            opened.fetch_add(1, Ordering::SeqCst);
            let lost = Arc::clone(&lost);
            tokio::spawn(async move {
                if !has_request(&mut stream).await {
                    return;
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                let _ = stream.write_all(answer).await;
                if wait && has_request(&mut stream).await {
                    lost.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    Closing { upstream, connections, swallowed }
}

/// Reads a request without a body, if one comes.
async fn has_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return false };
        head.push(byte);
    }
    true
}

impl Closing {
    async fn send(&self, method: Method) -> StatusCode {
        let request = Request::builder().method(method).uri("/x").body(Body::empty()).unwrap();
        let response = self.upstream.forward(request, &context()).await;
        let status = response.status();
        let _ = axum::body::to_bytes(response.into_body(), 1000).await;
        status
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_is_not_used_again() {
    let homeserver = closing(false).await;
    for _ in 0..50 {
        assert_eq!(homeserver.send(Method::POST).await, StatusCode::OK);
        // The goodbye arrives.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert_eq!(homeserver.connections.load(Ordering::SeqCst), 50);
}

#[tokio::test]
async fn what_is_idempotent_is_sent_again_if_a_closing_connection_swallows_it() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        let homeserver = closing(true).await;
        assert_eq!(homeserver.send(Method::GET).await, StatusCode::OK);
        assert_eq!(homeserver.send(method.clone()).await, StatusCode::OK, "{method}");
        assert_eq!(homeserver.swallowed.load(Ordering::SeqCst), 1, "{method}");
        assert_eq!(homeserver.connections.load(Ordering::SeqCst), 2, "{method}");
    }
}

#[tokio::test]
async fn nothing_else_is_ever_sent_twice() {
    for method in [Method::POST, Method::PATCH] {
        let homeserver = closing(true).await;
        assert_eq!(homeserver.send(Method::GET).await, StatusCode::OK);
        assert_eq!(homeserver.send(method.clone()).await, StatusCode::BAD_GATEWAY, "{method}");
        assert_eq!(homeserver.connections.load(Ordering::SeqCst), 1, "{method}");
        // The next one finds a new connection.
        assert_eq!(homeserver.send(method.clone()).await, StatusCode::OK, "{method}");
    }
}

#[tokio::test]
async fn a_body_is_never_sent_twice() {
    let homeserver = closing(true).await;
    assert_eq!(homeserver.send(Method::GET).await, StatusCode::OK);
    let request = Request::put("/x").body(Body::from("{}")).unwrap();
    let response = homeserver.upstream.forward(request, &context()).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(homeserver.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_homeserver_that_always_hangs_up_is_asked_twice_at_most() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    async fn hang_up(mut stream: TcpStream) {
        ASKED.fetch_add(1, Ordering::SeqCst);
        let _ = stream.shutdown().await;
    }
    let upstream = crate::support::speaking(hang_up).await;
    let request = Request::get("/x").body(Body::empty()).unwrap();
    let response = upstream.forward(request, &context()).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
}
