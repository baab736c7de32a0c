//! How a connection to the homeserver is opened.

use std::{sync::Arc, time::Duration};

use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::{UpstreamOptions, in_time::InTime};
use crate::Error;

/// What opens connections.
pub(super) type Connector = InTime<HttpsConnector<HttpConnector>>;

/// How often an idle connection asks whether the other side still lives: a
/// machine that lost its power says no goodbye.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

pub(super) fn connector(options: &UpstreamOptions) -> Result<Connector, Error> {
    Ok(with_tls(tls(&options.url.scheme)?, options.connect_timeout))
}

fn with_tls(tls: ClientConfig, limit: Duration) -> Connector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(KEEP_ALIVE));
    // Shared out among the addresses of a name: one that is dead leaves time
    // for the next.
    http.set_connect_timeout(Some(limit));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    InTime { connector, limit }
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_server_that_never_shakes_hands_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        // No roots are needed, for no certificate ever comes.
        let tls = tls(&Scheme::HTTP).unwrap();
        let connected = with_tls(tls, Duration::from_millis(100)).oneshot(url.parse().unwrap());
        let connected = tokio::time::timeout(Duration::from_secs(5), connected).await;
        assert!(connected.expect("it does not take for ever").is_err());
    }
}
