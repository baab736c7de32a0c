//! `myelin doctor`

use myelin_homeserver::gateway::{Finding, Generic, Synapse, discovery};
use myelin_server::SignOn;

use super::print;
use crate::{
    config::{Config, Homeserver, Sources, load},
    database,
    failure::Failure,
    homeserver::gateway,
};

/// Looks over what Myelin depends on. Changes nothing.
pub(super) async fn run(sources: &Sources) -> Result<(), Failure> {
    let config = load(sources)?;
    let mut findings = vec![storage(&config).await];
    findings.extend(match &config.homeserver {
        Homeserver::Embedded { .. } => {
            vec![Finding::Good("the homeserver is the embedded one".to_owned())]
        }
        Homeserver::Generic { url } => Generic::new(gateway(&config, url)?).examine().await,
        Homeserver::Synapse { url, secret, secret_file: _ } => {
            let synapse = Synapse::new(gateway(&config, url)?, secret.clone());
            let mut findings = synapse.examine().await;
            if config.settings.sign_on != SignOn::Refused {
                findings.push(synapse.examine_sign_on(&config.settings.public_url).await);
            }
            findings
        }
    });
    findings.push(found_by_name(&config).await);
    for finding in &findings {
        match finding {
            Finding::Good(text) => print(format_args!("ok       {text}"))?,
            Finding::Bad(text) => print(format_args!("WRONG    {text}"))?,
            Finding::Unknown(text) => print(format_args!("note     {text}"))?,
        }
    }
    match findings.iter().filter(|finding| matches!(finding, Finding::Bad(_))).count() {
        0 => Ok(()),
        1 => Err(Failure::failed("one thing is wrong")),
        wrong => Err(Failure::failed(format!("{wrong} things are wrong"))),
    }
}

/// What clients find that are told the server's name.
async fn found_by_name(config: &Config) -> Finding {
    let public = config.settings.public_url.as_str().trim_end_matches('/');
    let name = config.server_name.host();
    match format!("https://{name}").parse() {
        Ok(server) => discovery(server, public).await,
        Err(error) => Finding::Unknown(format!("no web server can be called {name}: {error}")),
    }
}

async fn storage(config: &Config) -> Finding {
    let opened = match database::open_existing(config).await {
        Ok(opened) => opened,
        Err(Failure::Usage(error) | Failure::Failed(error)) => {
            return Finding::Bad(format!("{error:#}"));
        }
    };
    match opened.store.check().await {
        Ok(()) => {
            Finding::Good("the database can be written to, and every key is there".to_owned())
        }
        Err(error) => Finding::Bad(format!("the database and the key file do not fit: {error}")),
    }
}
