//! Requests of the gateway's own: an answer that is not exactly one is an
//! error, in time, and never an acceptance.

use std::time::Duration;

use axum::body::Bytes;
use http::Request;
use myelin_homeserver::{
    Error,
    upstream::{Upstream, json_object},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{context, say, speaking, stopped};

async fn ask(upstream: &Upstream) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    let request = Request::get("/_matrix/client/v3/account/whoami").body(Bytes::new()).unwrap();
    json_object(&upstream.call(request, Some(&context())).await?)
}

/// Whether it is refused in time.
async fn is_refused(upstream: Upstream) -> bool {
    let answer = tokio::time::timeout(Duration::from_secs(5), ask(&upstream)).await;
    answer.expect("it does not take for ever").is_err()
}

#[tokio::test]
async fn a_homeserver_that_is_stopped_is_unreachable() {
    let refused = ask(&stopped().await).await.unwrap_err();
    assert!(matches!(refused, Error::Unasked(_)), "{refused:?}");
}

#[tokio::test]
async fn html_is_no_answer() {
    async fn html(mut stream: TcpStream) {
        let page = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>";
        say(&mut stream, page).await;
    }
    assert!(is_refused(speaking(html).await).await);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    async fn half(mut stream: TcpStream) {
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"user_id\":").await;
    }
    assert!(is_refused(speaking(half).await).await);
}

#[tokio::test]
async fn an_answer_that_trickles_is_not_waited_for() {
    async fn trickle(mut stream: TcpStream) {
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while say(&mut stream, b" ").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(is_refused(speaking(trickle).await).await);
}

#[tokio::test]
async fn a_gigabyte_is_not_read() {
    async fn flood(mut stream: TcpStream) {
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
        let zeros = vec![b' '; 1 << 20];
        while say(&mut stream, &zeros).await {}
        let _ = stream.shutdown().await;
    }
    assert!(is_refused(speaking(flood).await).await);
}

#[tokio::test]
async fn an_error_tells_nothing_of_the_request() {
    let request = Request::get("/x?access_token=secret")
        .header("authorization", "Bearer secret")
        .body(Bytes::from_static(b"secret"))
        .unwrap();
    let error = stopped().await.call(request, None).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}
