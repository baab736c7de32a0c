//! The homeserver's own single sign-on, as far as it concerns the gate: who its
//! providers are, and where a browser begins.

use axum::body::Bytes;
use http::{HeaderValue, Request, header};
use serde_json::{Value, json};
use url::Url;

use super::{Ask, Finding, Gateway, Synapse, logins::LOGIN};
use crate::{Context, Error, IdentityProvider, SignOn};

const REDIRECT: &str = "/_matrix/client/v3/login/sso/redirect";

impl Synapse {
    /// Whether its single sign-on leads to a provider, and back here.
    pub async fn examine_sign_on(&self, public_url: &Url) -> Finding {
        let context = Context { address: None, request_id: "doctor".to_owned() };
        let providers = match self.gateway.identity_providers(&context).await {
            Ok(providers) => providers,
            Err(error) => return Finding::Bad(format!("single sign-on: {error}")),
        };
        for provider in &providers {
            if let Err(error) = self.gateway.sign_on(provider, public_url, &context).await {
                return Finding::Bad(format!("single sign-on with {}: {error}", provider.name));
            }
        }
        let names: Vec<_> = providers.iter().map(|provider| provider.name.as_str()).collect();
        if names.is_empty() {
            return Finding::Bad("single sign-on: Synapse has no identity provider".to_owned());
        }
        Finding::Good(format!("single sign-on leads to {}", names.join(", ")))
    }
}

impl Gateway {
    /// Those of `OpenID` Connect. With SAML and CAS, whoever makes a link to the
    /// provider says where the homeserver leads with its token.
    pub(super) async fn identity_providers(
        &self,
        context: &Context,
    ) -> Result<Vec<IdentityProvider>, Error> {
        let body = self.send(Ask::get(LOGIN), Some(context)).await?.object()?;
        let flows = body.get("flows").and_then(Value::as_array).into_iter().flatten();
        let sso = flows.filter(|flow| flow.get("type") == Some(&json!("m.login.sso")));
        let providers = sso.filter_map(|flow| flow.get("identity_providers")?.as_array()).flatten();
        let text = |provider: &Value, key| Some(provider.get(key)?.as_str()?.to_owned());
        let provider = |value: &Value| {
            let id = text(value, "id")?;
            IdentityProvider::new(&id, &text(value, "name").unwrap_or_else(|| id.clone()))
        };
        let providers = providers.filter_map(provider);
        Ok(providers.filter(|provider| is_openid_connect(&provider.id)).collect())
    }

    pub(super) async fn sign_on(
        &self,
        provider: &IdentityProvider,
        back: &Url,
        context: &Context,
    ) -> Result<SignOn, Error> {
        let mut target = back.clone();
        target.set_path(&format!("{REDIRECT}/{}", provider.id));
        target.set_query(None);
        target.query_pairs_mut().append_pair("redirectUrl", back.as_str());
        let mut request = Request::new(Bytes::new());
        let uri = target[url::Position::BeforePath..].parse();
        *request.uri_mut() =
            uri.map_err(|_| Error::Unexpected("an address that is none".to_owned()))?;
        // It sets its cookies for its public address only, and sends who comes by
        // another there first.
        let host = target[url::Position::BeforeHost..url::Position::AfterPort].parse();
        let host = host.map_err(|_| Error::Unexpected("a host that is none".to_owned()))?;
        request.headers_mut().insert(header::HOST, host);
        let answer = self.options.upstream.call(request, Some(context)).await?;
        let location = answer.headers().get(header::LOCATION);
        let location = location.filter(|_| answer.status().is_redirection()).ok_or_else(|| {
            let status = answer.status().as_u16();
            Error::Unexpected(format!("the homeserver answers a sign-on with {status}"))
        })?;
        if begins_anew(location, back) {
            let text = "the homeserver sends the browser to its public_baseurl first: that has to \
                        be Myelin's public_url, and its listener needs x_forwarded";
            return Err(Error::Unexpected(text.to_owned()));
        }
        let cookies = answer.headers().get_all(header::SET_COOKIE).iter();
        let cookies = cookies.map(kept_quiet).collect();
        Ok(SignOn { location: kept_quiet(location), cookies })
    }
}

/// What one browser goes with is not for a log.
fn kept_quiet(value: &HeaderValue) -> HeaderValue {
    let mut value = value.clone();
    value.set_sensitive(true);
    value
}

/// How Synapse names them.
pub(super) fn is_openid_connect(provider: &str) -> bool {
    provider == "oidc" || provider.starts_with("oidc-")
}

/// Whether an address leads to where a sign-on begins, and not to a provider.
fn begins_anew(location: &HeaderValue, public: &Url) -> bool {
    let location = location.to_str().ok().and_then(|text| public.join(text).ok());
    location.is_none_or(|location| location.path().contains(REDIRECT))
}
