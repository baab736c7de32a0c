//! A gateway in front of an existing homeserver.
//!
//! It owns what the gate needs of a homeserver that it reaches over HTTP: two
//! adapters, [`Generic`] for any homeserver as it is, [`Synapse`] for one with
//! the module of this repository. It refuses to know second factors.
//!
//! No answer of the homeserver is believed that is not exactly what was asked
//! for, and no session of the homeserver's own User-Interactive Authentication
//! reaches a client whose operation is gated.

mod answer;
mod cross_signing;
mod examine;
mod generic;
mod identity;
mod logins;
mod operations;
mod pace;
mod relay;
mod sign_on;
mod synapse;

use std::sync::Arc;

use axum::body::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use myelin_ambient::{Clock, Entropy};
use ruma::OwnedServerName;
use serde_json::{Map, Value};

use self::{answer::Answer, identity::KnownTokens, pace::Pace};
pub use self::{
    answer::point_to_gateway,
    examine::{Finding, discovery},
    generic::Generic,
    synapse::{ModuleVersion, Secret, SecretError, Synapse},
};
use crate::{AccessToken, Context, Error, upstream::Upstream};

/// What both adapters need.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// The part after the colon of the users' IDs. An answer that names a user
    /// of another server is not believed.
    pub server_name: OwnedServerName,
    /// The homeserver.
    pub upstream: Upstream,
    /// Where clients reach the gateway, without a slash at the end: what they
    /// are told instead of the homeserver's own address.
    pub base_url: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where nonces and device IDs come from.
    pub entropy: Arc<dyn Entropy>,
}

/// What both adapters share.
#[derive(Debug)]
struct Gateway {
    options: GatewayOptions,
    tokens: KnownTokens,
    pace: Pace,
}

impl Gateway {
    fn new(options: GatewayOptions) -> Self {
        Self { options, tokens: KnownTokens::default(), pace: Pace::default() }
    }

    /// Sends a request of the gateway's own.
    async fn send(&self, ask: Ask<'_>, context: Option<&Context>) -> Result<Answer, Error> {
        let request = ask.into_request();
        Ok(Answer::new(self.options.upstream.call(request, context).await?))
    }
}

/// A request of the gateway's own.
struct Ask<'a> {
    method: Method,
    path: &'static str,
    token: Option<&'a AccessToken>,
    /// What stands for the client's name, where the homeserver reads it.
    agent: Option<HeaderValue>,
    body: Option<&'a Map<String, Value>>,
}

impl<'a> Ask<'a> {
    const fn get(path: &'static str) -> Self {
        Self { method: Method::GET, path, token: None, agent: None, body: None }
    }

    const fn post(path: &'static str, body: &'a Map<String, Value>) -> Self {
        Self { method: Method::POST, path, token: None, agent: None, body: Some(body) }
    }

    fn with_token(self, token: &'a AccessToken) -> Self {
        Self { token: Some(token), ..self }
    }

    fn with_agent(self, agent: String) -> Self {
        Self { agent: sensitive(agent), ..self }
    }

    fn into_request(self) -> Request<Bytes> {
        let Self { method, path, token, agent, body } = self;
        let mut headers = HeaderMap::new();
        let mut bytes = Bytes::new();
        if let Some(body) = body {
            bytes = serialised(body);
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(token) = token.and_then(|token| sensitive(format!("Bearer {}", token.expose())))
        {
            headers.insert(header::AUTHORIZATION, token);
        }
        if let Some(agent) = agent {
            headers.insert(header::USER_AGENT, agent);
        }
        let mut request = Request::new(bytes);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_static(path);
        *request.headers_mut() = headers;
        request
    }
}

/// A header's value that no debug output shows.
fn sensitive(value: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn serialised(body: &Map<String, Value>) -> Bytes {
    serde_json::to_vec(body).expect("invariant: a JSON map serialises").into()
}
