//! A homeserver on a database of its own, and the requests of a client.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use myelin_ambient::{FrozenClock, SeededEntropy, SystemEntropy, Timestamp};
use myelin_homeserver::{
    AccessToken, Context, Device, Head, Homeserver, Identity, LoggedIn, Operation,
    OperationRequest, Password, PasswordCheck, Performed, Refusal, Resolved, Silent,
    embedded::{Embedded, EmbeddedOptions, PasswordParameters, RegistrationPolicy},
};
use myelin_storage::{
    Action, Database, Epoch, FixedKeySource, Key, Keyring, OpenOptions, Quota, open,
};
use myelin_uia::{Authenticated, Binding, DEFAULT_LIFETIME, Flows, Progress, Session, Stage};
use ruma::{OwnedUserId, UserId, api::client::uiaa::UserIdentifier, server_name};
use serde_json::{Map, Value, from_slice, from_value, json};
use tempfile::TempDir;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_mins(5);
pub(crate) const PASSWORD: &str = "correct horse";

/// A homeserver on a database of its own.
pub(crate) struct Home {
    pub(crate) embedded: Embedded,
    pub(crate) database: Database,
    pub(crate) clock: Arc<FrozenClock>,
    _directory: TempDir,
}

/// What a client gets: the status and the body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) is_kept_by_nobody: bool,
}

impl Reply {
    pub(crate) async fn of(response: Response) -> Self {
        let status = response.status();
        let cache = response.headers().get("cache-control");
        let is_kept_by_nobody = cache.is_some_and(|value| value == "no-store");
        assert_eq!(response.headers()["content-type"], "application/json");
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Self { status, body: from_slice(&bytes).unwrap(), is_kept_by_nobody }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.body
    }

    #[track_caller]
    pub(crate) fn refused(self, status: u16, errcode: &str) {
        assert_eq!(self.body["errcode"], errcode, "{self:?}");
        assert!(self.body["error"].is_string(), "{self:?}");
        assert_eq!(self.status.as_u16(), status, "{self:?}");
    }
}

#[track_caller]
pub(crate) fn refused(refusal: &Refusal, status: u16, errcode: &str) {
    assert_eq!((refusal.status.as_u16(), refusal.errcode.as_str()), (status, errcode));
}

impl Home {
    pub(crate) async fn open() -> Self {
        Self::with(RegistrationPolicy::Open).await
    }

    pub(crate) async fn with(registration: RegistrationPolicy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = OpenOptions {
            url: format!("sqlite:{}", directory.path().join("myelin.db").display()),
            connections: 2,
            migrate: true,
            keys: Arc::new(FixedKeySource(Keyring::new(Key::from_bytes([7; 32])))),
            entropy: Arc::new(SystemEntropy),
            limits: Quota::default(),
        };
        let database = open(&options).await.unwrap();
        let clock = Arc::new(FrozenClock::at(NOW));
        let options = EmbeddedOptions {
            registration,
            access_token_lifetime: TOKEN_LIFETIME,
            password_hash: PasswordParameters::new(8, 1, 1).unwrap(),
            ..EmbeddedOptions::new(
                server_name!("example.org").to_owned(),
                Arc::clone(&database.accounts),
                Arc::clone(&clock) as _,
                Arc::new(SeededEntropy::new(1)),
            )
        };
        Self { embedded: Embedded::new(options), database, clock, _directory: directory }
    }

    /// Sends a request that needs no proof.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(body.into()).unwrap();
        Reply::of(self.embedded.forward(request, &context()).await).await
    }

    pub(crate) async fn get(&self, endpoint: &str, token: &str) -> Reply {
        let path = format!("/_matrix/client/v3/{endpoint}");
        self.send(Method::GET, &path, Some(token), Body::empty()).await
    }

    pub(crate) async fn post(&self, endpoint: &str, token: Option<&str>, body: Value) -> Reply {
        let path = format!("/_matrix/client/v3/{endpoint}");
        self.send(Method::POST, &path, token, body.to_string()).await
    }

    pub(crate) async fn put(&self, endpoint: &str, token: &str, body: Value) -> Reply {
        let path = format!("/_matrix/client/v3/{endpoint}");
        self.send(Method::PUT, &path, Some(token), body.to_string()).await
    }

    /// Checks and performs a registration.
    pub(crate) async fn register(&self, body: Value) -> Reply {
        let request = request(Operation::Register, None, &[], body);
        self.perform(None, request).await
    }

    /// Registers a user with [`PASSWORD`].
    pub(crate) async fn user(&self, name: &str) -> Client<'_> {
        let body = json!({"username": name, "password": PASSWORD});
        Client::new(self, &self.register(body).await.ok())
    }

    /// Prechecks and performs an operation with a proof for `user`.
    pub(crate) async fn perform(&self, user: Option<&UserId>, request: OperationRequest) -> Reply {
        if let Err(refusal) = self.embedded.precheck(&request).await.unwrap() {
            return Reply::of(axum::response::IntoResponse::into_response(refusal)).await;
        }
        let epoch = match user {
            Some(user) => self.database.store.lookup_factors(user).await.unwrap().epoch,
            None => Epoch(0),
        };
        let performed =
            self.embedded.perform(proof(user), epoch, request, &context()).await.unwrap();
        let response = answered(performed);
        Reply::of(response).await
    }

    pub(crate) async fn log_in(&self, user: &UserId, device: Device) -> Reply {
        let epoch = self.database.store.lookup_factors(user).await.unwrap().epoch;
        self.log_in_as_of(user, device, epoch).await
    }

    /// A login on a proof that is good for this epoch.
    pub(crate) async fn log_in_as_of(&self, user: &UserId, device: Device, epoch: Epoch) -> Reply {
        let login = self.embedded.log_in(proof(Some(user)), device, epoch, &context()).await;
        match login.unwrap() {
            LoggedIn::Answered(response) => Reply::of(response).await,
            login @ LoggedIn::Provisional(..) => panic!("{login:?}"),
        }
    }

    pub(crate) async fn resolve(&self, token: &str) -> Result<Identity, Refusal> {
        match self.embedded.resolve(&AccessToken::new(token), &context()).await.unwrap() {
            Resolved::Identity(identity) => Ok(identity),
            Resolved::Refused(refusal) => Err(refusal),
        }
    }

    pub(crate) async fn check_password(&self, user: &str, password: &str) -> PasswordCheck {
        let identifier: UserIdentifier =
            from_value(json!({"type": "m.id.user", "user": user})).unwrap();
        let password = Password::new(password);
        self.embedded.check_password(&identifier, &password, &context()).await.unwrap()
    }

    pub(crate) async fn is_password(&self, user: &str, password: &str) -> bool {
        matches!(self.check_password(user, password).await, PasswordCheck::Verified(_))
    }

    /// What the audit log says about a user, oldest first.
    pub(crate) async fn log(&self, user: &UserId) -> Vec<(Action, Option<String>)> {
        let mut events = self.database.store.events(user, 100).await.unwrap();
        events.reverse();
        for recorded in &events {
            assert_eq!(recorded.event.origin, context().origin());
        }
        events.into_iter().map(|recorded| (recorded.event.action, recorded.event.detail)).collect()
    }
}

/// A user's device, logged in.
pub(crate) struct Client<'h> {
    home: &'h Home,
    pub(crate) user: OwnedUserId,
    pub(crate) token: String,
    pub(crate) device: String,
}

impl<'h> Client<'h> {
    pub(crate) fn new(home: &'h Home, login: &Value) -> Self {
        let text = |field: &str| login[field].as_str().unwrap().to_owned();
        let user = UserId::parse(text("user_id")).unwrap();
        Self { home, user, token: text("access_token"), device: text("device_id") }
    }

    /// The same user on another device.
    pub(crate) async fn on(&self, device: &str) -> Client<'h> {
        let device = Device { device_id: Some(device.into()), ..Device::default() };
        Client::new(self.home, &self.home.log_in(&self.user, device).await.ok())
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity { user: self.user.clone(), device_id: Some(self.device.as_str().into()) }
    }

    pub(crate) fn request(
        &self,
        operation: Operation,
        path: &[&str],
        body: Value,
    ) -> OperationRequest {
        request(operation, Some(self.identity()), path, body)
    }

    pub(crate) async fn perform(&self, operation: Operation, path: &[&str], body: Value) -> Reply {
        self.home.perform(Some(&self.user), self.request(operation, path, body)).await
    }

    pub(crate) async fn try_silently(&self, operation: Operation, body: Value) -> Silent {
        let request = self.request(operation, &[], body);
        self.home.embedded.try_silently(&request, &context()).await.unwrap()
    }

    pub(crate) async fn is_logged_in(&self) -> bool {
        self.home.resolve(&self.token).await.is_ok()
    }
}

pub(crate) fn request(
    operation: Operation,
    identity: Option<Identity>,
    path: &[&str],
    body: Value,
) -> OperationRequest {
    OperationRequest {
        operation,
        identity,
        path_parameters: path.iter().map(|&parameter| parameter.to_owned()).collect(),
        head: Head { method: Method::POST, uri: Uri::from_static("/"), headers: HeaderMap::new() },
        body: from_value(body).unwrap(),
        password: None,
    }
}

pub(crate) fn answered(performed: Performed) -> Response {
    let Performed::Answered(response) = performed else { panic!("no password is asked for") };
    response
}

/// The proof of someone who passed a flow.
pub(crate) fn proof(user: Option<&UserId>) -> Authenticated {
    let binding = Binding::new(user, "POST", "test", &[], &Map::new());
    let user = user.map(ToOwned::to_owned);
    let session = Session::open(&SystemEntropy, user, binding, NOW, DEFAULT_LIFETIME);
    let flows = Flows::new([[Stage::Dummy]]);
    let admitted = session.admit(&binding, &flows, Stage::Dummy, NOW).unwrap();
    let Progress::Done(proof) = admitted.complete() else { panic!("there is one stage") };
    proof
}

pub(crate) fn context() -> Context {
    Context { address: Some([192, 0, 2, 1].into()), request_id: "r1".to_owned() }
}
