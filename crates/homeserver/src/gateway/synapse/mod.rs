//! Synapse with the module of this repository (`synapse-module/`).
//!
//! The module checks a password without a login, logs in whom the gateway has
//! verified, and takes the gateway's word for an operation. So no password is
//! kept, and no token exists before the second factor is passed.

mod assertion;
mod module;

use async_trait::async_trait;
use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use myelin_ambient::Timestamp;
use myelin_storage::Epoch;
use myelin_uia::Authenticated;
use ruma::{OwnedUserId, ServerName, UserId, api::client::uiaa::UserIdentifier};
use serde_json::{Map, Value, json};
use url::Url;

use self::assertion::Claim;
pub use self::{
    assertion::{Secret, SecretError},
    module::ModuleVersion,
};
use super::{
    Ask, Gateway, GatewayOptions,
    logins::{self, LOGIN, Login},
    operations::owner,
    sign_on::is_openid_connect,
};
use crate::{
    AccessToken, Context, Device, Error, Head, Homeserver, IdentityProvider, LoggedIn,
    OperationRequest, Password, PasswordCheck, Performed, Provisional, Refusal, Registration,
    Resolved, SignOn, Silent, upstream::Upstream,
};

/// The stage and the field that are between the module and the gateway.
pub(super) const OWN: &str = "org.myelin.assertion";
const VERIFIED_USER: &str = "org.myelin.user_id";
const PROVIDER: &str = "org.myelin.auth_provider_id";

/// What the module says of a login that was not made.
enum Probed {
    /// Whom it would log in, and which identity provider has named them, if one has.
    Verified {
        user: OwnedUserId,
        provider: Option<String>,
    },
    Wrong,
    Refused(Refusal),
}

/// Synapse with the module.
#[derive(Debug)]
pub struct Synapse {
    pub(super) gateway: Gateway,
    secret: Secret,
}

impl Synapse {
    /// Sets it up. Nothing is connected before the first request.
    pub fn new(options: GatewayOptions, secret: Secret) -> Self {
        Self { gateway: Gateway::new(options), secret }
    }

    fn sign(&self, claim: Claim<'_>) -> String {
        self.sign_at(claim, self.gateway.options.clock.now())
    }

    fn sign_at(&self, claim: Claim<'_>, now: Timestamp) -> String {
        self.secret.sign(claim, now, &*self.gateway.options.entropy)
    }

    /// Asks the module whom a login would log in.
    async fn probe(&self, body: &Map<String, Value>, context: &Context) -> Result<Probed, Error> {
        let agent = format!("myelin-probe/{}", self.sign(Claim::of("probe")));
        let answer =
            self.gateway.send(Ask::post(LOGIN, body).with_agent(agent), Some(context)).await?;
        match answer.status() {
            StatusCode::FORBIDDEN => {
                let body = answer.object()?;
                if let Some(user) = body.get(VERIFIED_USER) {
                    let user = self.gateway.own_user(Some(user))?;
                    let provider = body.get(PROVIDER).and_then(Value::as_str);
                    return Ok(Probed::Verified { user, provider: provider.map(str::to_owned) });
                }
                let refusal = answer.refusal()?;
                let is_wrong = refusal.errcode == "M_FORBIDDEN";
                Ok(if is_wrong { Probed::Wrong } else { Probed::Refused(refusal) })
            }
            StatusCode::OK => {
                let token = answer.object()?;
                if let Some(token) = token.get("access_token").and_then(Value::as_str) {
                    self.gateway.log_out(&AccessToken::new(token), context).await?;
                }
                Err(Error::Unexpected("Synapse has no Myelin module: a probe logged in".to_owned()))
            }
            StatusCode::NOT_FOUND => {
                let text = "the Myelin module does not believe this gateway: see Synapse's log";
                Err(Error::Unexpected(text.to_owned()))
            }
            _ => answer.refusal().map(Probed::Refused),
        }
    }

    /// The user whom a login of an application service names.
    fn named(&self, body: &Map<String, Value>) -> Option<OwnedUserId> {
        let identifier = body.get("identifier").and_then(|identifier| identifier.get("user"));
        let named = identifier.or_else(|| body.get("user"))?.as_str()?;
        UserId::parse_with_server_name(named, self.server_name()).ok()
    }
}

#[async_trait]
impl Homeserver for Synapse {
    fn server_name(&self) -> &ServerName {
        &self.gateway.options.server_name
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
        // Synapse checks the service's token; the module lets in only logins
        // that the gateway vouches for.
        let agent = self
            .named(body)
            .map(|user| format!("myelin-login/{}", self.sign(Claim::about("login", &user))));
        self.gateway.relay_login(head, body, agent, context).await
    }

    async fn check_password(
        &self,
        identifier: &UserIdentifier,
        password: &Password,
        context: &Context,
    ) -> Result<PasswordCheck, Error> {
        let clock = &*self.gateway.options.clock;
        let started = clock.now();
        let mut body = logins::with_password(identifier, password)?;
        body.insert(OWN.to_owned(), json!(self.sign(Claim::of("password"))));
        Ok(match self.probe(&body, context).await? {
            Probed::Verified { user, provider: _ } => {
                self.gateway.pace.learn(started, clock);
                PasswordCheck::Verified(user)
            }
            Probed::Wrong => {
                self.gateway.pace.hold(started, clock).await;
                PasswordCheck::Wrong
            }
            Probed::Refused(refusal) => PasswordCheck::Refused(refusal),
        })
    }

    async fn identity_providers(&self, context: &Context) -> Result<Vec<IdentityProvider>, Error> {
        self.gateway.identity_providers(context).await
    }

    async fn sign_on(
        &self,
        provider: &IdentityProvider,
        back: &Url,
        context: &Context,
    ) -> Result<SignOn, Error> {
        self.gateway.sign_on(provider, back, context).await
    }

    async fn check_login_token(
        &self,
        token: &str,
        context: &Context,
    ) -> Result<Result<OwnedUserId, Refusal>, Error> {
        Ok(match self.probe(&logins::with_token(token), context).await? {
            Probed::Verified { user, provider: Some(provider) } if is_openid_connect(&provider) => {
                Ok(user)
            }
            // Another way led to it than single sign-on, or none that is there.
            Probed::Verified { .. } | Probed::Wrong => {
                Err(Refusal::forbidden("This login token is not valid."))
            }
            Probed::Refused(refusal) => Err(refusal),
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
        let login_token = self.mint(user, context).await?;
        let body = logins::on_device(logins::with_token(&login_token), &device);
        let agent = format!("myelin-login/{}", self.sign(Claim::about("login", user)));
        match self.gateway.try_login(&body, Some(agent), context).await? {
            Login::Done { user: returned, token, answer } => {
                if returned != user {
                    self.gateway.log_out(&token, context).await?;
                    let text = "Synapse logs in another user than was asked for";
                    return Err(Error::Unexpected(text.to_owned()));
                }
                let response = self.gateway.login_response(answer)?;
                Ok(LoggedIn::Provisional(Provisional::new(returned, token, response), proof))
            }
            Login::Wrong => {
                let text = "Synapse refuses a login that its own module has minted";
                Err(Error::Unexpected(text.to_owned()))
            }
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
        let base_url = &self.gateway.options.base_url;
        let answer = self.gateway.forward_operation(&request, None, context).await?;
        // A module is not told which operation a stage belongs to. Synapse binds
        // its session to one, so an assertion for the session is one for it.
        let Some(challenge) = answer.challenge()? else {
            return answer.into_response(base_url).map(Performed::Answered);
        };
        let Some(session) = challenge.get("session").and_then(Value::as_str) else {
            return Err(Error::Unexpected("Synapse asks for a stage without a session".to_owned()));
        };
        let claim = Claim { session: Some(session), ..Claim::about("uia", user) };
        let auth = Map::from_iter([
            ("type".to_owned(), json!(OWN)),
            ("session".to_owned(), json!(session)),
            ("identifier".to_owned(), json!({"type": "m.id.user", "user": user})),
            ("assertion".to_owned(), json!(self.sign(claim))),
            ("initial_device_display_name".to_owned(), json!(OWN)),
        ]);
        let answer = self.gateway.forward_operation(&request, Some(auth), context).await?;
        if answer.challenge()?.is_some() {
            let text = "the Myelin module does not believe this gateway: see Synapse's log";
            return Err(Error::Unexpected(text.to_owned()));
        }
        answer.into_response(base_url).map(Performed::Answered)
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
