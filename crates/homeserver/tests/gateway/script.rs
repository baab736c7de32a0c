//! A homeserver that answers from a script and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::{Router, body::to_bytes, extract::Request, response::Response};
use http::{HeaderMap, Method, Uri, header};
use myelin_ambient::{FrozenClock, SeededEntropy, SystemEntropy, Timestamp};
use myelin_homeserver::{
    AccessToken, Context, Device, Error, Head, Homeserver, Identity, Operation, OperationRequest,
    Password, PasswordCheck, PasswordEvidence,
    gateway::{GatewayOptions, Generic, Secret, Synapse},
    upstream::{Upstream, UpstreamOptions, UpstreamUrl},
};
use myelin_uia::{Authenticated, Binding, DEFAULT_LIFETIME, Flows, Progress, Session, Stage};
use ruma::{
    UserId,
    api::client::uiaa::{MatrixUserIdentifier, UserIdentifier},
    user_id,
};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// What the homeservers' clocks show.
const DATE: &str = "Wed, 18 Nov 2026 11:06:40 GMT";

pub(crate) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// What the script sees of a request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) token: Option<String>,
    pub(crate) body: Value,
}

/// A homeserver.
pub(crate) struct Scripted {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    /// One that answers with a status and a body. The lines are such as
    /// `POST login`: the path without its prefix.
    pub(crate) async fn homeserver(
        script: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let (asked, script) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(script));
        let memory = Arc::clone(&asked);
        let answer = move |request: Request| {
            let (memory, script) = (Arc::clone(&memory), Arc::clone(&script));
            async move {
                let asked = read(request).await;
                memory.lock().unwrap().push(asked.clone());
                let (status, body) = script(&asked);
                Response::builder().status(status).header(header::DATE, DATE).body(body).unwrap()
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    /// One that answers everything alike.
    pub(crate) async fn always(status: u16, body: &'static str) -> Self {
        Self::homeserver(move |_| (status, body.to_owned())).await
    }

    pub(crate) fn url(&self) -> UpstreamUrl {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// The way to it.
    pub(crate) fn options(&self) -> GatewayOptions {
        GatewayOptions {
            server_name: "example.org".try_into().unwrap(),
            upstream: Upstream::new(UpstreamOptions::new(self.url())).unwrap(),
            base_url: "https://matrix.example.org".to_owned(),
            clock: Arc::new(FrozenClock::at(NOW)),
            entropy: Arc::new(SeededEntropy::new(1)),
        }
    }

    pub(crate) fn generic(&self) -> Generic {
        Generic::new(self.options())
    }

    pub(crate) fn synapse(&self) -> Synapse {
        Synapse::new(self.options(), Secret::from_bytes(SECRET).unwrap())
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The tokens that it was asked to log out, in order.
    pub(crate) fn logged_out(&self) -> Vec<String> {
        let asked = self.asked();
        let logouts = asked.into_iter().filter(|asked| asked.line == "POST logout");
        logouts.filter_map(|asked| asked.token).collect()
    }
}

async fn read(request: Request) -> Asked {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches("/_matrix/client/v3/");
    let bearer = parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
    Asked {
        line: format!("{} {path}", parts.method),
        token: bearer.map(|value| value.trim_start_matches("Bearer ").to_owned()),
        body: serde_json::from_slice(&to_bytes(body, 1 << 20).await.unwrap()).unwrap_or_default(),
    }
}

/// A login response.
pub(crate) fn login_of(user: &str, token: &str) -> (u16, String) {
    let body = json!({"user_id": user, "access_token": token, "device_id": "DEVICE"});
    (200, body.to_string())
}

pub(crate) fn context() -> Context {
    Context { address: Some([192, 0, 2, 7].into()), request_id: "r1".to_owned() }
}

pub(crate) fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

pub(crate) fn token() -> AccessToken {
    AccessToken::new("alices-token")
}

pub(crate) fn identifier() -> UserIdentifier {
    MatrixUserIdentifier::new("alice".to_owned()).into()
}

pub(crate) fn evidence() -> PasswordEvidence {
    PasswordEvidence { identifier: identifier(), password: Password::new("a long password") }
}

/// A check of alice's password, which is kept if it is right.
pub(crate) async fn check(adapter: &dyn Homeserver) -> Result<PasswordCheck, Error> {
    let password = evidence().password;
    let check = adapter.check_password(&identifier(), &password, &context()).await?;
    if let PasswordCheck::Verified(user) = &check {
        adapter.keep_password(user, &password);
    }
    Ok(check)
}

/// The device that a client asks for.
pub(crate) fn device() -> Device {
    Device { device_id: Some("PHONE".into()), ..Device::default() }
}

/// A proof of alice.
pub(crate) fn proof() -> Authenticated {
    let binding = Binding::new(Some(alice()), "POST", "login", &[], &Map::new());
    let user = Some(alice().to_owned());
    let session = Session::open(&SystemEntropy, user, binding, NOW, DEFAULT_LIFETIME);
    let flows = Flows::new([[Stage::Password]]);
    match session.admit(&binding, &flows, Stage::Password, NOW).unwrap().complete() {
        Progress::Done(proof) => proof,
        Progress::More(session) => panic!("more is asked for: {session:?}"),
    }
}

/// An operation of alice's with her password in it.
pub(crate) fn operation(
    operation: Operation,
    method: Method,
    path: &str,
    body: Value,
) -> OperationRequest {
    let bearer = "Bearer alices-token".parse().unwrap();
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
    let uri: Uri = format!("/_matrix/client/v3/{path}").parse().unwrap();
    let Value::Object(body) = body else { panic!("no object") };
    OperationRequest {
        operation,
        identity: Some(Identity { user: alice().to_owned(), device_id: None }),
        path_parameters: Vec::new(),
        head: Head { method, uri, headers },
        body,
        password: Some(evidence()),
    }
}

/// The deletion of a device.
pub(crate) fn deletion() -> OperationRequest {
    operation(Operation::DeleteDevice, Method::DELETE, "devices/OLD", json!({}))
}

/// An upload of cross-signing keys.
pub(crate) fn upload() -> OperationRequest {
    let key = json!({"user_id": alice(), "usage": ["master"], "keys": {"ed25519:X": "X"}});
    let path = "keys/device_signing/upload";
    operation(Operation::UploadSigningKeys, Method::POST, path, json!({"master_key": key}))
}
