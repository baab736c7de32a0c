//! Where clients look for the homeserver, and what they find there.
//!
//! [Client-Server API, Server discovery](https://spec.matrix.org/v1.16/client-server-api/#server-discovery)

use http::{StatusCode, header};
use serde_json::{Map, Value};

use super::Finding;
use crate::{
    Error,
    gateway::{Answer, Ask, Gateway},
    upstream::{Upstream, UpstreamOptions, UpstreamUrl},
};

const WELL_KNOWN: &str = "/.well-known/matrix/client";

/// What clients find that are told the server's name and nothing else.
/// `server` is what answers under that name, `base_url` where they should come.
pub async fn discovery(server: UpstreamUrl, base_url: &str) -> Finding {
    let place = format!("{server}{WELL_KNOWN}");
    match ask(server).await {
        Ok(answer) => compared(&answer, &place, base_url),
        Err(error) => {
            let text = error.to_string();
            let text = text.trim_start_matches("the homeserver does not answer: ");
            Finding::Unknown(format!("{place} cannot be asked for from here: {text}"))
        }
    }
}

async fn ask(server: UpstreamUrl) -> Result<Answer, Error> {
    let upstream = Upstream::new(UpstreamOptions::new(server))?;
    Ok(Answer::new(upstream.call(Ask::get(WELL_KNOWN).into_request(), None).await?))
}

fn compared(answer: &Answer, place: &str, base_url: &str) -> Finding {
    let status = answer.status();
    if status.is_redirection() {
        let to = answer.header(&header::LOCATION).unwrap_or("nowhere");
        let text = format!("{place} leads to {to}: see that it names {base_url} there");
        return Finding::Unknown(text);
    }
    if status == StatusCode::NOT_FOUND {
        return Finding::Unknown(format!(
            "there is no {place}: people have to give their client {base_url}. To let the \
             server's name be enough, send that path to Myelin"
        ));
    }
    match named(answer) {
        Ok(Some(named)) if is_same(&named, base_url) => {
            Finding::Good(format!("{place} names {base_url}"))
        }
        Ok(Some(named)) => Finding::Bad(format!(
            "{place} names {named}, but public_url is {base_url}: clients go around Myelin. Send \
             that path to Myelin, or name {base_url} there"
        )),
        Ok(None) | Err(_) => Finding::Bad(format!(
            "{place} is answered {} without an m.homeserver: clients stop there. Send that path \
             to Myelin",
            status.as_u16()
        )),
    }
}

impl Gateway {
    /// What the homeserver says of its own address. Clients are told the
    /// gateway's instead.
    pub(super) async fn examine_own_address(&self) -> Finding {
        let base_url = &self.options.base_url;
        let named = match self.send(Ask::get(WELL_KNOWN), None).await {
            Ok(answer) if answer.status() == StatusCode::OK => named(&answer).unwrap_or_default(),
            Ok(_) => None,
            Err(error) => return Finding::Bad(error.to_string()),
        };
        match named {
            Some(named) if is_same(&named, base_url) => {
                Finding::Good(format!("the homeserver itself names {base_url} to clients"))
            }
            Some(named) => Finding::Unknown(format!(
                "the homeserver says that clients reach it at {named}; Myelin tells them \
                 {base_url} instead. Set that in the homeserver too (Synapse: public_baseurl), for \
                 the links in its emails"
            )),
            None => Finding::Unknown(format!(
                "the homeserver does not say where clients reach it; Myelin tells them {base_url}"
            )),
        }
    }
}

/// The address in an answer, if there is one.
fn named(answer: &Answer) -> Result<Option<String>, Error> {
    let body: Map<String, Value> = answer.object()?;
    let named = body.get("m.homeserver").and_then(|homeserver| homeserver.get("base_url"));
    Ok(named.and_then(Value::as_str).map(ToOwned::to_owned))
}

fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}
