//! Other people's requests: as they came, as a stream, both ways.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    response::Response,
};
use http::StatusCode;
use http_body_util::BodyExt as _;
use myelin_homeserver::upstream::Upstream;
use tokio::{io::AsyncReadExt as _, net::TcpStream, sync::mpsc};

use crate::support::{PATIENCE, context, say, serving, speaking, stopped};

async fn forward(upstream: &Upstream, request: Request) -> Response {
    let context = context();
    let answer = upstream.forward(request, &context);
    tokio::time::timeout(Duration::from_secs(5), answer).await.expect("it does not take for ever")
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A homeserver that answers with the request line and headers that it got.
async fn echo() -> Upstream {
    let echo = async |request: Request| {
        let mut text = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            text += name.as_str();
            text += ": ";
            text += value.to_str().unwrap();
            text += "\n";
        }
        text
    };
    serving(Router::new().fallback(echo)).await
}

#[tokio::test]
async fn path_and_query_go_as_they_came() {
    let upstream = echo().await;
    for target in ["/a%2Fb/..;x//C?q=%41&q=a+b", "/_matrix/client/v3/sync?timeout=30000"] {
        let request = Request::get(target).body(Body::empty()).unwrap();
        let seen = text(forward(&upstream, request).await).await;
        assert!(seen.starts_with(&format!("GET {target}\n")), "{seen}");
    }
}

#[tokio::test]
async fn who_asks_is_said_by_the_gateway_alone() {
    let request = Request::get("/x")
        .header("host", "matrix.example.org")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-forwarded-host", "evil.example")
        .header("x-real-ip", "10.0.0.1")
        .header("x_forwarded_for", "10.0.0.1")
        .header("forwarded", "for=10.0.0.1")
        .header("x-http-method-override", "DELETE")
        .header("authorization", "Bearer token")
        .body(Body::empty())
        .unwrap();
    let seen = text(forward(&echo().await, request).await).await;
    assert!(
        !seen.contains("10.0.0.1") && !seen.contains("evil") && !seen.contains("DELETE"),
        "{seen}"
    );
    for line in
        ["x-forwarded-for: 192.0.2.7", "host: matrix.example.org", "authorization: Bearer token"]
    {
        assert!(seen.contains(line), "{line}: {seen}");
    }
}

#[tokio::test]
async fn what_is_about_one_connection_stays_there() {
    let request = Request::get("/x")
        .header("connection", "keep-alive, x-private")
        .header("x-private", "1")
        .header("te", "trailers")
        .header("proxy-authorization", "Basic x")
        .header("upgrade", "h2c")
        .body(Body::empty())
        .unwrap();
    let seen = text(forward(&echo().await, request).await).await;
    for gone in ["x-private", "te:", "proxy-authorization", "upgrade"] {
        assert!(!seen.contains(gone), "{gone}: {seen}");
    }
}

#[tokio::test]
async fn a_request_that_two_servers_read_differently_is_refused() {
    let upstream = echo().await;
    for headers in [
        &[("content-length", "3"), ("transfer-encoding", "chunked")][..],
        &[("transfer-encoding", "gzip, chunked")],
        &[("host", "a.example"), ("host", "b.example")],
    ] {
        let mut request = Request::post("/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = forward(&upstream, request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{headers:?}");
    }
}

#[tokio::test]
async fn no_client_has_a_header_removed_that_the_gate_has_read() {
    let request = Request::get("/x")
        .header("connection", "authorization, content-length")
        .header("authorization", "Bearer token")
        .body(Body::empty())
        .unwrap();
    let seen = text(forward(&echo().await, request).await).await;
    assert!(seen.contains("authorization: Bearer token"), "{seen}");
}

/// A body that is what is sent into it.
fn stream() -> (mpsc::Sender<&'static str>, Body) {
    let (sender, mut receiver) = mpsc::channel::<&'static str>(1);
    let (mut frames, body) = tokio::io::duplex(1024);
    tokio::spawn(async move {
        while let Some(text) = receiver.recv().await {
            if tokio::io::AsyncWriteExt::write_all(&mut frames, text.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    (sender, Body::new(Frames(body)))
}

/// The read half of a pipe, as a body.
struct Frames(tokio::io::DuplexStream);

impl axum::body::HttpBody for Frames {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        let mut space = [0; 1024];
        let mut buffer = tokio::io::ReadBuf::new(&mut space);
        let read =
            tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.0), cx, &mut buffer);
        read.map(|done| match done {
            Ok(()) if buffer.filled().is_empty() => None,
            Ok(()) => Some(Ok(hyper::body::Frame::data(Bytes::copy_from_slice(buffer.filled())))),
            Err(error) => Some(Err(error)),
        })
    }
}

#[tokio::test]
async fn both_bodies_are_streams() {
    // The homeserver sends back what it gets, while it gets it.
    let upstream = serving(
        Router::new().fallback(async |request: Request| Response::new(request.into_body())),
    )
    .await;
    let (sender, body) = stream();
    sender.send("first").await.unwrap();
    let response = forward(&upstream, Request::post("/x").body(body).unwrap()).await;
    let mut answer = response.into_body();
    let first = answer.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "first");
    sender.send("second").await.unwrap();
    let second = answer.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(second, "second");
    drop(sender);
    assert!(answer.frame().await.is_none());
}

#[tokio::test]
async fn a_homeserver_that_does_not_answer_is_a_matrix_error() {
    async fn silent(stream: TcpStream) {
        tokio::time::sleep(PATIENCE * 20).await;
        drop(stream);
    }
    for (upstream, status) in [
        (stopped().await, StatusCode::BAD_GATEWAY),
        (speaking(silent).await, StatusCode::GATEWAY_TIMEOUT),
    ] {
        let request = Request::get("/x?access_token=secret").body(Body::empty()).unwrap();
        let response = forward(&upstream, request).await;
        assert_eq!(response.status(), status);
        let text = text(response).await;
        assert!(text.contains("\"errcode\":\"M_UNKNOWN\"") && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    async fn half(mut stream: TcpStream) {
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    }
    let request = Request::get("/x").body(Body::empty()).unwrap();
    let response = forward(&speaking(half).await, request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(to_bytes(response.into_body(), 1000).await.is_err());
}

#[tokio::test]
async fn an_answer_that_stands_still_breaks_off_and_a_slow_one_does_not() {
    async fn stand_still(mut stream: TcpStream) {
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        tokio::time::sleep(PATIENCE * 10).await;
    }
    async fn be_slow(mut stream: TcpStream) {
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n").await;
        for _ in 0..8 {
            tokio::time::sleep(PATIENCE / 4).await;
            say(&mut stream, b"x").await;
        }
    }
    let get = || Request::get("/x").body(Body::empty()).unwrap();
    let response = forward(&speaking(stand_still).await, get()).await;
    let body = to_bytes(response.into_body(), 1000);
    let body = tokio::time::timeout(PATIENCE * 5, body).await.expect("it is given up");
    assert!(body.is_err());
    let response = forward(&speaking(be_slow).await, get()).await;
    assert_eq!(text(response).await, "xxxxxxxx");
}

#[tokio::test]
async fn an_upload_that_is_answered_early_goes_on() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    async fn answer_early(mut stream: TcpStream) {
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            SEEN.fetch_add(count, Ordering::SeqCst);
        }
    }
    let upstream = speaking(answer_early).await;
    let (sender, body) = stream();
    let response = forward(&upstream, Request::post("/x").body(body).unwrap()).await;
    assert_eq!(text(response).await, "{}");
    for _ in 0..1000 {
        sender.send("and so on").await.expect("it is still read");
    }
    drop(sender);
    // In chunks, each with its length.
    while SEEN.load(Ordering::SeqCst) < 9000 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn when_the_client_goes_away_the_request_ends_at_the_homeserver() {
    let (gone, mut noticed) = mpsc::channel::<()>(1);
    let router = Router::new().fallback(move |_: Request| {
        let gone = gone.clone();
        async move {
            let (sender, body) = stream();
            tokio::spawn(async move {
                while sender.send("more").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                let _ = gone.send(()).await;
            });
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    let upstream = serving(router).await;
    let request = Request::get("/x").body(Body::empty()).unwrap();
    let mut body = forward(&upstream, request).await.into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    let noticed = tokio::time::timeout(Duration::from_secs(5), noticed.recv()).await;
    assert_eq!(noticed.expect("the homeserver notices"), Some(()));
}
