//! A request that Myelin answers itself, read and checked.

use axum::extract::Request;
use http::{HeaderMap, Method, Uri};
use myelin_homeserver::{
    AccessToken, Context, Head, Identity, Operation, OperationRequest, Resolved, access_token,
    strict_json::parse_object,
};
use myelin_uia::Binding;
use ruma::UserId;
use serde_json::{Map, Value};

use crate::{
    App,
    error::Error,
    routes::{Action, Route},
    uia::{Auth, Gate, Purpose},
};

/// So many devices are named, and no more.
const SHOWN: usize = 10;

/// One request of a route.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) context: Context,
    pub(crate) route: &'static Route,
    /// The path's parameters, percent-decoded.
    pub(crate) parameters: Vec<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) uri: Uri,
    pub(crate) body: Map<String, Value>,
}

impl Call {
    /// Reads the request's body.
    pub(crate) async fn read(
        app: &App,
        context: Context,
        route: &'static Route,
        parameters: Vec<String>,
        request: Request,
    ) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let bytes = app.settings().body.read(body).await?;
        // Nobody is obliged to send a body with these.
        let optional = matches!(parts.method, Method::GET | Method::DELETE);
        let body = if optional && bytes.is_empty() { Map::new() } else { parse_object(&bytes)? };
        Ok(Self { context, route, parameters, headers: parts.headers, uri: parts.uri, body })
    }

    /// Whom the access token names.
    pub(crate) async fn identity(&self, app: &App) -> Result<Identity, Error> {
        self.resolve(app, &access_token(&self.headers, &self.uri)?).await
    }

    async fn resolve(&self, app: &App, token: &AccessToken) -> Result<Identity, Error> {
        match app.homeserver().resolve(token, &self.context).await? {
            Resolved::Identity(identity) => Ok(identity),
            Resolved::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// Whom the access token names, and how far the request has proved it.
    pub(crate) async fn caller(&mut self, app: &App) -> Result<(Identity, Auth), Error> {
        let token = access_token(&self.headers, &self.uri)?;
        let mut auth = Auth::take(&mut self.body);
        let looking = async {
            match &mut auth {
                Ok(auth) => auth.look(app).await,
                Err(_) => Ok(()),
            }
        };
        let (identity, looked) = tokio::join!(self.resolve(app, &token), looking);
        // Whose token is not good is told of nothing else.
        let identity = identity?;
        looked?;
        Ok((identity, auth?))
    }

    /// What a session for this request is bound to.
    pub(crate) fn binding(&self, user: Option<&UserId>) -> Binding {
        let parameters: Vec<_> = self.parameters.iter().map(String::as_str).collect();
        let Route { method, endpoint, action: _ } = self.route;
        Binding::new(user, method.as_str(), endpoint, &parameters, &self.body)
    }

    /// The request for an operation of the homeserver, without a password.
    pub(crate) fn operation(
        &self,
        operation: Operation,
        identity: Option<Identity>,
    ) -> OperationRequest {
        OperationRequest {
            operation,
            identity,
            path_parameters: self.parameters.clone(),
            head: self.head(),
            body: self.body.clone(),
            password: None,
        }
    }

    /// The request without its body.
    pub(crate) fn head(&self) -> Head {
        let (method, uri, headers) =
            (self.route.method.clone(), self.uri.clone(), self.headers.clone());
        Head { method, uri, headers }
    }

    /// The gate before an operation of this user.
    pub(crate) fn gate<'a>(&'a self, app: &'a App, identity: &Identity) -> Gate<'a> {
        Gate {
            app,
            context: &self.context,
            purpose: Purpose::Own,
            user: Some(identity.user.clone()),
            binding: self.binding(Some(&identity.user)),
            endpoint: self.route.endpoint,
            devices: self.devices(),
        }
    }

    /// The devices that this request signs out. Whoever sent it may want to
    /// mislead whoever confirms it: nothing invisible, and nothing long.
    fn devices(&self) -> Vec<String> {
        let ids: Vec<&str> = match self.route.action {
            Action::Protected(Operation::DeleteDevice) => {
                self.parameters.iter().map(String::as_str).collect()
            }
            Action::Protected(Operation::DeleteDevices) => {
                let ids = self.body.get("devices").and_then(Value::as_array);
                ids.into_iter().flatten().filter_map(Value::as_str).collect()
            }
            _ => Vec::new(),
        };
        let visible = |c: char| if c.is_ascii_graphic() { c } else { '?' };
        let shown = ids.iter().take(SHOWN).map(|id| id.chars().take(64).map(visible).collect());
        shown.chain((ids.len() > SHOWN).then(|| "…".to_owned())).collect()
    }
}
