//! Connections to the homeserver, kept for the next request.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::UpstreamOptions;
use crate::Error;

/// What sends requests and pools connections.
pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// How often an idle connection asks whether the other side still lives: a
/// machine that lost its power says no goodbye.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

pub(super) fn client(options: &UpstreamOptions) -> Result<Client, Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(KEEP_ALIVE));
    http.set_connect_timeout(Some(options.connect_timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(&options.url.scheme)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(options.idle_timeout)
        .pool_max_idle_per_host(options.idle_connections);
    Ok(builder.build(connector))
}

/// The roots that this system trusts, where they are needed.
fn tls(scheme: &Scheme) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("invariant: ring supports the default versions of TLS");
    if *scheme != Scheme::HTTPS {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let builder = hyper_rustls::ConfigBuilderExt::with_native_roots(builder);
    let builder = builder
        .map_err(|error| Error::Unreachable(format!("no root certificates are found: {error}")))?;
    Ok(builder.with_no_client_auth())
}
