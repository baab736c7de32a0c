//! The homeserver behind the gate, as the configuration says.

use std::sync::Arc;

use anyhow::{Context, Result};
use http::uri::Scheme;
use myelin_ambient::{SystemClock, SystemEntropy};
use myelin_homeserver::{
    Homeserver as Port,
    embedded::{Embedded, EmbeddedOptions},
    gateway::{GatewayOptions, Generic, Synapse},
    upstream::{Upstream, UpstreamOptions, UpstreamUrl},
};
use myelin_storage::Accounts;

use crate::config::{Config, Homeserver};

/// Builds the adapter.
pub(crate) fn build(config: &Config, accounts: Arc<dyn Accounts>) -> Result<Arc<dyn Port>> {
    Ok(match &config.homeserver {
        Homeserver::Embedded { access_token_lifetime } => {
            let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
            let name = config.server_name.clone();
            Arc::new(Embedded::new(EmbeddedOptions {
                registration: config.registration.clone(),
                access_token_lifetime: *access_token_lifetime,
                body: config.settings.body,
                ..EmbeddedOptions::new(name, accounts, clock, entropy)
            }))
        }
        Homeserver::Synapse { url, secret, secret_file: _ } => {
            Arc::new(Synapse::new(gateway(config, url)?, secret.clone()))
        }
        Homeserver::Generic { url } => Arc::new(Generic::new(gateway(config, url)?)),
    })
}

/// How the homeserver is reached, and what it is to be told.
pub(crate) fn gateway(config: &Config, url: &UpstreamUrl) -> Result<GatewayOptions> {
    let public = &config.settings.public_url;
    let public_scheme = if public.scheme() == "https" { Scheme::HTTPS } else { Scheme::HTTP };
    let options = UpstreamOptions { public_scheme, ..UpstreamOptions::new(url.clone()) };
    Ok(GatewayOptions {
        server_name: config.server_name.clone(),
        upstream: Upstream::new(options).context("homeserver.url")?,
        base_url: public.as_str().trim_end_matches('/').to_owned(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    })
}
