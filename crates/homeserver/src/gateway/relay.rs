//! What is the homeserver's own business: registrations, password resets by
//! email, logins of application services, and all other requests.

use axum::{extract::Request, response::Response};
use http::{Method, header};
use serde_json::{Map, Value, json};

use super::{Answer, Ask, Gateway, logins::LOGIN, sensitive, serialised};
use crate::{Context, Error, Head, OperationRequest};

/// The type of login that is handed on.
const APPLICATION_SERVICE: &str = "m.login.application_service";

/// What a login of an application service may hold.
const FIELDS: [&str; 5] =
    ["identifier", "user", "device_id", "initial_device_display_name", "refresh_token"];

pub(super) const VERSIONS: &str = "/_matrix/client/versions";

impl Gateway {
    pub(super) async fn relay(
        &self,
        request: &OperationRequest,
        auth: Option<Map<String, Value>>,
        context: &Context,
    ) -> Result<Response, Error> {
        let answer = self.forward_operation(request, auth, context).await?;
        answer.into_response(&self.options.base_url)
    }

    pub(super) async fn relayed_login_types(&self, context: &Context) -> Result<Vec<Value>, Error> {
        let body = self.send(Ask::get(LOGIN), Some(context)).await?.object()?;
        let flows = body.get("flows").and_then(Value::as_array);
        let is_offered = flows.is_some_and(|flows| {
            flows.iter().any(|flow| flow.get("type") == Some(&json!(APPLICATION_SERVICE)))
        });
        Ok(is_offered.then(|| json!({"type": APPLICATION_SERVICE})).into_iter().collect())
    }

    /// `agent` is what lets it in at a homeserver that lets nobody else in.
    pub(super) async fn relay_login(
        &self,
        head: &Head,
        body: &Map<String, Value>,
        agent: Option<String>,
        context: &Context,
    ) -> Result<Response, Error> {
        let known =
            FIELDS.iter().filter_map(|key| Some(((*key).to_owned(), body.get(*key)?.clone())));
        let mut anew: Map<_, _> = known.collect();
        anew.insert("type".to_owned(), json!(APPLICATION_SERVICE));
        let mut head = head.clone();
        if let Some(agent) = agent.and_then(sensitive) {
            head.headers.insert(header::USER_AGENT, agent);
        }
        let answer = self.options.upstream.call_as(&head, serialised(&anew), context).await?;
        Answer::new(answer).into_response(&self.options.base_url)
    }

    pub(super) async fn forward(&self, request: Request, context: &Context) -> Response {
        let _forgetting = is_logout(&request).then(|| self.tokens.forgetting());
        self.options.upstream.forward(request, context).await
    }

    pub(super) async fn check(&self) -> Result<(), Error> {
        let body = self.send(Ask::get(VERSIONS), None).await?.object()?;
        if body.get("versions").is_some_and(Value::is_array) {
            return Ok(());
        }
        Err(Error::Unexpected("the homeserver does not say which versions it speaks".to_owned()))
    }
}

/// Whether a request may end tokens that are remembered.
fn is_logout(request: &Request) -> bool {
    let path = request.uri().path();
    request.method() == Method::POST && (path.ends_with("/logout") || path.ends_with("/logout/all"))
}
