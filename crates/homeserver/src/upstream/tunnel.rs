//! Web sockets: the one upgrade that is passed through.
//!
//! To any other protocol, another version of HTTP above all, a homeserver could
//! switch to take requests that no gate has seen.

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, Version, header};
use hyper::upgrade::{OnUpgrade, on};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::headers;

const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// A client that waits for a web socket.
pub(super) struct Tunnel(OnUpgrade);

impl Tunnel {
    /// RFC 6455 §4.1: whether this request asks for one.
    pub(super) fn asked_for(request: &mut Request) -> Option<Self> {
        let upgrade = request.headers().get(header::UPGRADE)?;
        let is_asked_for = upgrade.as_bytes().eq_ignore_ascii_case(b"websocket")
            && request.headers().get_all(header::UPGRADE).iter().count() == 1
            && request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && request.body().is_end_stream();
        is_asked_for.then(|| Self(on(request)))
    }

    /// Lets both sides talk until both are done, or one is gone.
    pub(super) fn open(self, mut response: Response) -> Response {
        let upstream = on(&mut response);
        tokio::spawn(async move {
            let (Ok(client), Ok(upstream)) = tokio::join!(self.0, upstream) else { return };
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            if let Err(error) = copy_bidirectional(&mut client, &mut upstream).await {
                tracing::debug!(%error, "a web socket ended");
            }
        });
        let mut response = response.map(|_| Body::empty());
        headers::remove_hop_by_hop(response.headers_mut());
        keep_upgrade(response.headers_mut());
        response
    }
}

/// Says once more what was removed with the other headers of the connection.
pub(super) fn keep_upgrade(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, UPGRADE);
    headers.insert(header::UPGRADE, WEBSOCKET);
}
