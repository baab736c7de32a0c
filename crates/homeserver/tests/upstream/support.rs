//! A homeserver on a free port, and the way to it.

use std::time::Duration;

use axum::Router;
use myelin_homeserver::{
    Context,
    upstream::{Upstream, UpstreamOptions},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// How long the gateway waits in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_millis(300);

pub(crate) fn context() -> Context {
    Context { address: Some([192, 0, 2, 7].into()), request_id: "r1".to_owned() }
}

pub(crate) fn way_to(address: &str) -> Upstream {
    Upstream::new(options(address)).unwrap()
}

pub(crate) fn options(address: &str) -> UpstreamOptions {
    let url = format!("http://{address}").parse().unwrap();
    UpstreamOptions {
        connect_timeout: PATIENCE,
        answer_timeout: PATIENCE,
        answer_limit: 64 * 1024,
        forward_timeout: PATIENCE,
        ..UpstreamOptions::new(url)
    }
}

/// A homeserver with these routes.
pub(crate) async fn serving(router: Router) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    way_to(&address)
}

/// A homeserver that reads a request's head and then does this to the
/// connection.
pub(crate) async fn speaking<F>(speak: fn(TcpStream) -> F) -> Upstream
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                speak(stream).await;
            });
        }
    });
    way_to(&address)
}

/// Writes, and does not mind that nobody reads any more.
pub(crate) async fn say(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok()
}

/// A homeserver that is not there.
pub(crate) async fn stopped() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    way_to(&address)
}
