//! Around each request: its id, its client's address, and its line in the log.
//!
//! The log never holds a body, a header, a query or a path parameter: tokens
//! and codes travel there.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use myelin_homeserver::Context;
use tracing::Instrument;

use crate::App;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Answers a request for `endpoint` by `answer`, and writes its line.
pub(crate) async fn observe(
    app: &App,
    endpoint: &'static str,
    request: Request,
    answer: impl AsyncFnOnce(Request, Context) -> Response,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let address =
        peer.map(|peer| client_address(peer, request.headers(), &app.settings().trusted_proxies));
    let request_id = app.request_id();
    let id = HeaderValue::from_str(&request_id);
    let span =
        tracing::info_span!("request", id = %request_id, method = %request.method(), endpoint);

    let started = app.now();
    let answer = answer(request, Context { address, request_id });
    let mut response = answer.instrument(span.clone()).await;
    let took = app.now().saturating_since(started);
    span.in_scope(|| {
        let status = response.status().as_u16();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status, took_ms, "answered");
    });
    if let Ok(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The client's address: the connection's, or what trusted proxies say.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted =
        |address: &IpAddr| trusted.iter().any(|net| net.contains(&address.to_canonical()));
    let mut client = peer.to_canonical();
    // From the nearest hop backwards: the first that no trusted proxy vouches
    // for is the client. What stands before it anybody can have written.
    let hops = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<_> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_choose_an_address() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("::1", &["198.51.100.7, 10.0.0.2"]), "198.51.100.7");
    }

    #[test]
    fn what_a_client_wrote_before_the_first_proxy_is_not_believed() {
        assert_eq!(client("10.0.0.1", &["127.0.0.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["127.0.0.1", "198.51.100.7, 10.0.0.9"]), "198.51.100.7");
    }

    #[test]
    fn a_broken_header_names_the_proxy() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7, garbage"]), "10.0.0.1");
    }
}
