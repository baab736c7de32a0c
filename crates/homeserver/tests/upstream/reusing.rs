//! Connections that are kept, and that the homeserver closes when it likes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, extract::Request, response::Response};
use http::{Method, StatusCode};
use myelin_homeserver::upstream::{Upstream, UpstreamOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{context, way_to};

/// A homeserver that answers some requests on each connection; with one more
/// it closes the connection, or, if it does not `wait` for one, at once.
struct Closing {
    address: String,
    upstream: Upstream,
    connections: Arc<AtomicU32>,
    swallowed: Arc<AtomicU32>,
    closed: Arc<AtomicU32>,
}

async fn closing(wait: bool) -> Closing {
    answering(1, wait).await
}

/// A homeserver that closes no connection.
async fn keeping() -> Closing {
    answering(u32::MAX, true).await
}

async fn answering(answers: u32, wait: bool) -> Closing {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let upstream = way_to(&address);
    let [connections, swallowed, closed] = [(); 3].map(|()| Arc::<AtomicU32>::default());
    let (opened, lost, ended) = (connections.clone(), swallowed.clone(), closed.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            opened.fetch_add(1, Ordering::SeqCst);
            let (lost, ended) = (lost.clone(), ended.clone());
            tokio::spawn(async move {
                for _ in 0..answers {
                    if !has_request(&mut stream).await {
                        ended.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    let _ = stream.write_all(answer).await;
                }
                if wait && has_request(&mut stream).await {
                    lost.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    Closing { address, upstream, connections, swallowed, closed }
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
    /// The same with another way to it.
    fn reached(self, options: impl FnOnce(UpstreamOptions) -> UpstreamOptions) -> Self {
        let upstream = Upstream::new(options(crate::support::options(&self.address))).unwrap();
        Self { upstream, ..self }
    }

    fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many connections were closed by the gateway.
    async fn has_lost(&self, connections: u32) {
        while self.closed.load(Ordering::SeqCst) < connections {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(self.closed.load(Ordering::SeqCst), connections);
    }

    async fn ask(&self, method: Method) -> Response {
        let request = Request::builder().method(method).uri("/x").body(Body::empty()).unwrap();
        self.upstream.forward(request, &context()).await
    }

    async fn send(&self, method: Method) -> StatusCode {
        let response = self.ask(method).await;
        let status = response.status();
        let _ = axum::body::to_bytes(response.into_body(), 1000).await;
        status
    }
}

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_is_read() {
    let homeserver = keeping().await;
    for _ in 0..5 {
        assert_eq!(homeserver.send(Method::POST).await, StatusCode::OK);
    }
    assert_eq!(homeserver.connections(), 1);
}

#[tokio::test]
async fn a_connection_whose_answer_is_not_read_is_closed() {
    let homeserver = keeping().await;
    drop(homeserver.ask(Method::POST).await);
    homeserver.has_lost(1).await;
    assert_eq!(homeserver.send(Method::POST).await, StatusCode::OK);
    assert_eq!(homeserver.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_after_a_while() {
    let idle_timeout = Duration::from_millis(50);
    let homeserver = keeping().await.reached(|options| UpstreamOptions { idle_timeout, ..options });
    assert_eq!(homeserver.send(Method::POST).await, StatusCode::OK);
    homeserver.has_lost(1).await;
}

#[tokio::test]
async fn no_more_connections_are_kept_than_that() {
    let homeserver =
        keeping().await.reached(|options| UpstreamOptions { idle_connections: 1, ..options });
    let answers = [homeserver.ask(Method::POST).await, homeserver.ask(Method::POST).await];
    for answer in answers {
        axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
    }
    homeserver.has_lost(1).await;
    assert_eq!(homeserver.send(Method::POST).await, StatusCode::OK);
    assert_eq!(homeserver.connections(), 2);
}

/// What a connection waits for wakes the runtime that opened it, which may be
/// busy or gone when another would use it.
#[test]
fn a_connection_stays_with_the_runtime_that_opened_it() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let homeserver = first.block_on(keeping());
    for _ in 0..3 {
        for runtime in [&first, &second] {
            assert_eq!(runtime.block_on(homeserver.send(Method::POST)), StatusCode::OK);
        }
    }
    assert_eq!(homeserver.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_is_closed_is_not_used_again() {
    let homeserver = closing(false).await;
    for _ in 0..50 {
        assert_eq!(homeserver.send(Method::POST).await, StatusCode::OK);
        // The goodbye arrives.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(homeserver.connections(), 50);
}

#[tokio::test]
async fn what_is_idempotent_is_sent_again_if_a_closing_connection_swallows_it() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        let homeserver = closing(true).await;
        assert_eq!(homeserver.send(Method::GET).await, StatusCode::OK);
        assert_eq!(homeserver.send(method.clone()).await, StatusCode::OK, "{method}");
        assert_eq!(homeserver.swallowed.load(Ordering::SeqCst), 1, "{method}");
        assert_eq!(homeserver.connections(), 2, "{method}");
    }
}

#[tokio::test]
async fn nothing_else_is_ever_sent_twice() {
    for method in [Method::POST, Method::PATCH] {
        let homeserver = closing(true).await;
        assert_eq!(homeserver.send(Method::GET).await, StatusCode::OK);
        assert_eq!(homeserver.send(method.clone()).await, StatusCode::BAD_GATEWAY, "{method}");
        assert_eq!(homeserver.connections(), 1, "{method}");
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
    assert_eq!(homeserver.connections(), 1);
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
