//! Any homeserver, as it is.
//!
//! It checks a password by logging in on a throw-away device and logging that
//! out at once, and it performs an operation only with the owner's password in
//! the request. So it keeps a password, in memory, from the first stage of a
//! login to the second, and from the page that confirms an operation to the
//! operation; one that comes in the request of an operation goes through and
//! is not kept.

mod retained;

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use data_encoding::HEXUPPER;
use myelin_storage::Epoch;
use myelin_uia::Authenticated;
use ruma::{
    ServerName, UserId,
    api::client::uiaa::{MatrixUserIdentifier, UserIdentifier},
};
use serde_json::{Map, Value, json};
use tracing::{Instrument as _, Span};

use self::retained::Retained;
use super::{
    Gateway, GatewayOptions,
    answer::Answer,
    logins::{self, Login},
    operations::owner,
};
use crate::{
    AccessToken, AtOnce, Context, Device, Error, Head, Homeserver, LoggedIn, OperationRequest,
    Password, PasswordCheck, PasswordEvidence, Performed, Provisional, Reauthentication, Refusal,
    Registration, Resolved, Silent, upstream::Upstream,
};

/// The name of the device of a check, should one ever be seen.
const CHECK: &str = "Password check by the sign-in gateway";

/// A homeserver that knows nothing of the gateway.
#[derive(Debug)]
pub struct Generic {
    pub(super) gateway: Arc<Gateway>,
    retained: Arc<Retained>,
}

impl Generic {
    /// Sets it up. Nothing is connected before the first request.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn new(options: GatewayOptions) -> Self {
        let retained = Retained::wiped_by(Arc::clone(&options.clock));
        Self { gateway: Arc::new(Gateway::new(options)), retained }
    }

    /// A device that nobody has: logging out one that a client named would
    /// delete the client's own, with its keys.
    fn throw_away(&self) -> Device {
        let id = HEXUPPER.encode(&self.gateway.options.entropy.bytes::<10>());
        Device {
            device_id: Some(id.into()),
            initial_display_name: Some(CHECK.to_owned()),
            refresh_token: false,
        }
    }

    /// Logs in on a throw-away device and ends that again.
    async fn log_in_and_out(
        &self,
        identifier: &UserIdentifier,
        password: &Password,
        context: &Context,
    ) -> Result<Login, Error> {
        let (gateway, device) = (Arc::clone(&self.gateway), self.throw_away());
        let (identifier, password) = (identifier.clone(), password.clone());
        let context = context.clone();
        let check = async move {
            let login = log_in_on(&gateway, &identifier, &password, &device, &context).await?;
            if let Login::Done { token, .. } = &login {
                // The password is right whether or not the device goes; that it
                // has stayed is in the log, and nobody holds its token.
                let _ = gateway.log_out(token, &context).await;
            }
            Ok(login)
        };
        // To its end, also when the client goes away meanwhile: the device
        // would stay.
        let check = tokio::spawn(check.instrument(Span::current())).await;
        check.map_err(|_| Error::Unexpected("a password check broke off".to_owned()))?
    }

    /// The owner's password, as `auth` in one shot: no session of the
    /// homeserver's is needed, so none is ever shown.
    fn one_shot(user: &UserId, password: &Password) -> Map<String, Value> {
        // Always the owner of the access token: some homeservers do not compare
        // the two themselves.
        let identifier = json!({"type": "m.id.user", "user": user});
        Map::from_iter([
            ("type".to_owned(), json!("m.login.password")),
            ("identifier".to_owned(), identifier),
            ("password".to_owned(), json!(password.expose())),
        ])
    }
}

#[async_trait]
impl Homeserver for Generic {
    fn server_name(&self) -> &ServerName {
        &self.gateway.options.server_name
    }

    fn reauthentication(&self) -> Reauthentication {
        Reauthentication::WithPassword
    }

    fn mints(&self) -> bool {
        false
    }

    fn checks_by_login(&self) -> bool {
        true
    }

    fn shares_the_store(&self) -> bool {
        false
    }

    async fn relayed_login_types(&self, context: &Context) -> Result<Vec<Value>, Error> {
        self.gateway.relayed_login_types(context).await
    }

    async fn relay_login(
        &self,
        head: &Head,
        body: &Map<String, Value>,
        context: &Context,
    ) -> Result<Response, Error> {
        self.gateway.relay_login(head, body, None, context).await
    }

    async fn check_password(
        &self,
        identifier: &UserIdentifier,
        password: &Password,
        context: &Context,
    ) -> Result<PasswordCheck, Error> {
        match self.log_in_and_out(identifier, password, context).await? {
            Login::Done { user, token: _, answer: _ } => Ok(PasswordCheck::Verified(user)),
            Login::Wrong => Ok(PasswordCheck::Wrong),
            Login::Refused(refusal) => Ok(PasswordCheck::Refused(refusal)),
        }
    }

    fn keep_password(&self, user: &UserId, password: &Password) {
        self.retained.keep(user, password, self.gateway.options.clock.now());
    }

    async fn log_in_at_once(
        &self,
        evidence: &PasswordEvidence,
        device: &Device,
        context: &Context,
    ) -> Result<AtOnce, Error> {
        let PasswordEvidence { identifier, password } = evidence;
        Ok(match log_in_on(&self.gateway, identifier, password, device, context).await? {
            Login::Done { user, token, answer } => {
                let response = self.gateway.login_response(answer)?;
                AtOnce::LoggedIn(Provisional::new(user, token, response))
            }
            Login::Wrong => AtOnce::Wrong,
            Login::Refused(refusal) => AtOnce::Refused(refusal),
        })
    }

    async fn undo(&self, provisional: Provisional, context: &Context) -> Result<(), Error> {
        self.gateway.log_out(provisional.token(), context).await
    }

    async fn log_in(
        &self,
        proof: Authenticated,
        device: Device,
        _as_of: Epoch,
        context: &Context,
    ) -> Result<LoggedIn, Error> {
        let user = proof
            .user()
            .ok_or_else(|| Error::Unexpected("a login without a proven user".to_owned()))?;
        let Some(password) = self.retained.take(user, self.gateway.options.clock.now()) else {
            return Ok(LoggedIn::Answered(again().into_response()));
        };
        let identifier = MatrixUserIdentifier::new(user.to_string()).into();
        match log_in_on(&self.gateway, &identifier, &password, &device, context).await? {
            Login::Done { user: returned, token, answer } => {
                if returned != user {
                    self.gateway.log_out(&token, context).await?;
                    let text = "the homeserver logs in another user than it has verified";
                    return Err(Error::Unexpected(text.to_owned()));
                }
                let response = self.gateway.login_response(answer)?;
                Ok(LoggedIn::Provisional(Provisional::new(returned, token, response), proof))
            }
            // It was right a moment ago.
            Login::Wrong => Ok(LoggedIn::Answered(again().into_response())),
            Login::Refused(refusal) => Ok(LoggedIn::Answered(refusal.into_response())),
        }
    }

    async fn resolve(&self, token: &AccessToken, context: &Context) -> Result<Resolved, Error> {
        self.gateway.resolve(token, context).await
    }

    async fn precheck(&self, request: &OperationRequest) -> Result<Result<(), Refusal>, Error> {
        Ok(Upstream::check(&request.head))
    }

    async fn try_silently(
        &self,
        request: &OperationRequest,
        context: &Context,
    ) -> Result<Silent, Error> {
        self.gateway.try_silently(request, context).await
    }

    async fn perform(
        &self,
        proof: Authenticated,
        _as_of: Epoch,
        request: OperationRequest,
        context: &Context,
    ) -> Result<Performed, Error> {
        let user = &owner(&proof, &request)?.user;
        let password = match &request.password {
            Some(evidence) => evidence.password.clone(),
            // Confirmed on a page, where the password was given.
            None => match self.retained.take(user, self.gateway.options.clock.now()) {
                Some(password) => password,
                None => return Ok(Performed::Answered(again().into_response())),
            },
        };
        let auth = Self::one_shot(user, &password);
        let answer = self.gateway.forward_operation(&request, Some(auth), context).await?;
        performed(answer, &self.gateway.options.base_url)
    }

    async fn relay(
        &self,
        request: &OperationRequest,
        auth: Option<Map<String, Value>>,
        context: &Context,
    ) -> Result<Response, Error> {
        self.gateway.relay(request, auth, context).await
    }

    fn registration(&self) -> Registration {
        Registration::Relayed
    }

    async fn check_registration_token(&self, _token: &str) -> Result<bool, Error> {
        Ok(false)
    }

    async fn forward(&self, request: Request, context: &Context) -> Response {
        self.gateway.forward(request, context).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.gateway.check().await
    }
}

/// Logs in, and holds a wrong password back for as long as a right one takes.
async fn log_in_on(
    gateway: &Gateway,
    identifier: &UserIdentifier,
    password: &Password,
    device: &Device,
    context: &Context,
) -> Result<Login, Error> {
    let clock = &*gateway.options.clock;
    let started = clock.now();
    let body = logins::on_device(logins::with_password(identifier, password)?, device);
    let login = gateway.try_login(&body, None, context).await?;
    match login {
        Login::Done { .. } => gateway.pace.learn(started, clock),
        Login::Wrong => gateway.pace.hold(started, clock).await,
        Login::Refused(_) => {}
    }
    Ok(login)
}

/// What an answer to an operation with the password in it means.
fn performed(answer: Answer, base_url: &str) -> Result<Performed, Error> {
    let Some(challenge) = answer.challenge()? else {
        return answer.into_response(base_url).map(Performed::Answered);
    };
    let passed = challenge.get("completed").and_then(Value::as_array);
    if passed.is_some_and(|stages| !stages.is_empty()) {
        let text = "the homeserver asks for more than the password";
        return Err(Error::Unexpected(text.to_owned()));
    }
    Ok(Performed::WrongPassword)
}

/// The password is not at hand: it was kept too long ago, or by another
/// process.
fn again() -> Refusal {
    Refusal::forbidden("This took too long. Begin again with the password.")
}
