//! An HTTP client whose requests never leave the process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{Request, header, request::Builder};
use serde_json::Value;
use tower::ServiceExt;

use super::Reply;

const PREFIX: &str = "/_matrix/client/v3/";

/// A client at some address, with or without an access token.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    router: Router,
    address: IpAddr,
    token: Option<String>,
}

impl Client {
    /// A client that nobody knows.
    pub(crate) fn anonymous(router: Router) -> Self {
        Self { router, address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), token: None }
    }

    /// The same client at another address.
    pub(crate) fn at(&self, address: &str) -> Self {
        Self { address: address.parse().expect("an address"), ..self.clone() }
    }

    /// The same client with this access token.
    pub(crate) fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same client, talking to another instance.
    pub(crate) fn over(&self, router: Router) -> Self {
        Self { router, ..self.clone() }
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().expect("this client has a token")
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request("GET", path), Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, body).await
    }

    /// A request with a JSON body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.raw(method, path, body.to_string()).await
    }

    /// A request with any body.
    pub(crate) async fn raw(&self, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        let request = self.request(method, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request, body).await
    }

    /// Begins a request; the path is relative to `/_matrix/client/v3/` unless
    /// it begins with a slash.
    pub(crate) fn request(&self, method: &str, path: &str) -> Builder {
        let prefix = if path.starts_with('/') { "" } else { PREFIX };
        let mut request = Request::builder().method(method).uri(format!("{prefix}{path}"));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request
    }

    pub(crate) async fn send(&self, request: Builder, body: impl Into<Body>) -> Reply {
        let from = ConnectInfo(SocketAddr::new(self.address, 50_000));
        let request = request.extension(from).body(body.into()).expect("a valid request");
        let response = self.router.clone().oneshot(request).await;
        Reply::read(response.unwrap_or_else(|never| match never {})).await
    }
}
