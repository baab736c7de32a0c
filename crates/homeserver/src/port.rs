//! The port: what any homeserver can do for a gate in front of it.

use std::fmt::Debug;

use async_trait::async_trait;
use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use myelin_storage::Epoch;
use myelin_uia::Authenticated;
use ruma::{
    OwnedUserId, ServerName, UserId,
    api::{client::uiaa::UserIdentifier, error::ErrorKind},
};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    AccessToken, Context, Device, Error, Head, Identity, IdentityProvider, OperationRequest,
    Password, PasswordEvidence, Performed, Reauthentication, Refusal, Registration, SignOn, Silent,
};

/// What an access token led to.
#[derive(Debug)]
pub enum Resolved {
    /// It names someone.
    Identity(Identity),
    /// It names nobody, or nobody any more: the homeserver's answer.
    Refused(Refusal),
}

/// What a password check led to.
#[derive(Debug)]
pub enum PasswordCheck {
    /// It is the password of this user: the canonical ID, as the homeserver
    /// confirms it, never what the client typed.
    Verified(OwnedUserId),
    /// Wrong password or unknown user, alike in bytes and in time.
    Wrong,
    /// The homeserver refuses this user whatever the password (such as
    /// deactivated, and only after the right password where that tells
    /// something), or wants the client to wait.
    Refused(Refusal),
}

/// What logging in with nothing but a password led to.
#[derive(Debug)]
pub enum AtOnce {
    /// Logged in; nobody has seen the answer yet.
    LoggedIn(Provisional),
    /// As [`PasswordCheck::Wrong`].
    Wrong,
    /// As [`PasswordCheck::Refused`].
    Refused(Refusal),
}

/// What minting a login led to.
#[derive(Debug)]
pub enum LoggedIn {
    /// The login response, or a refusal. The epoch was compared in the
    /// transaction of the login.
    Answered(Response),
    /// Logged in at a homeserver that knows no epoch; nobody has seen the
    /// answer yet. The proof is what releases it.
    Provisional(Provisional, Authenticated),
}

/// A login that exists at the homeserver and that nobody has heard of. It is
/// released on a proof, or undone by [`Homeserver::undo`].
#[derive(Debug)]
pub struct Provisional {
    user: OwnedUserId,
    token: AccessToken,
    response: Response,
}

impl Provisional {
    /// A login response of a homeserver that holds `token` for `user`.
    pub fn new(user: OwnedUserId, token: AccessToken, response: Response) -> Self {
        Self { user, token, response }
    }

    /// Who is logged in: the canonical ID, as the homeserver returned it.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The token that is to be undone.
    pub(crate) fn token(&self) -> &AccessToken {
        &self.token
    }

    /// The login response, for whoever has proved to be the user; else the
    /// login as it was, to be undone.
    ///
    /// # Errors
    ///
    /// The login itself, where the proof is another user's.
    pub fn release(self, proof: &Authenticated) -> Result<Response, Box<Self>> {
        if proof.user() == Some(&*self.user) { Ok(self.response) } else { Err(Box::new(self)) }
    }
}

/// A homeserver.
///
/// # Errors
///
/// Every method fails with [`Error`] when the homeserver or its database does
/// not answer: nobody gets in then. A refusal is no error.
#[async_trait]
pub trait Homeserver: Debug + Send + Sync {
    /// The server's name: the part after the colon of its users' IDs.
    fn server_name(&self) -> &ServerName;

    /// How it is convinced of an operation.
    fn reauthentication(&self) -> Reauthentication {
        Reauthentication::OnProof
    }

    /// Whether its accounts are in Myelin's own database: then a change there
    /// ends the user's sessions and is in the audit log, in one transaction.
    fn shares_the_store(&self) -> bool {
        true
    }

    /// Whether it logs in a proven user whose password was not given to
    /// [`Self::keep_password`] shortly before.
    fn mints(&self) -> bool {
        true
    }

    /// The login types, besides those of the gate, that it offers and that the
    /// gate hands on with [`Self::relay_login`]; as in the answer of
    /// `GET /login`.
    async fn relayed_login_types(&self, context: &Context) -> Result<Vec<Value>, Error> {
        let _ = context;
        Ok(Vec::new())
    }

    /// Hands on a login that proves itself to the homeserver
    /// (`m.login.application_service`). `body` is read strictly and is to be
    /// written anew.
    async fn relay_login(
        &self,
        head: &Head,
        body: &Map<String, Value>,
        context: &Context,
    ) -> Result<Response, Error> {
        let _ = (head, body, context);
        let text = "This login type is not offered here.";
        Ok(Refusal::bad_request(&ErrorKind::Unknown, text).into_response())
    }

    /// Checks a password without leaving a device or a token behind.
    async fn check_password(
        &self,
        identifier: &UserIdentifier,
        password: &Password,
        context: &Context,
    ) -> Result<PasswordCheck, Error>;

    /// Keeps a password that was found right, for the login or the operation that
    /// comes next, where the homeserver does that only for the password.
    fn keep_password(&self, user: &UserId, password: &Password) {
        let _ = (user, password);
    }

    /// The identity providers of its own single sign-on.
    async fn identity_providers(&self, context: &Context) -> Result<Vec<IdentityProvider>, Error> {
        let _ = context;
        Ok(Vec::new())
    }

    /// Where a browser signs on with a provider, to come back to `back` with a
    /// login token of the homeserver's.
    async fn sign_on(
        &self,
        provider: &IdentityProvider,
        back: &Url,
        context: &Context,
    ) -> Result<SignOn, Error> {
        let _ = (provider, back, context);
        Err(Error::Unexpected("there is no single sign-on here".to_owned()))
    }

    /// Whom a login token of the homeserver's names, without leaving a device or
    /// a token behind. It is spent.
    async fn check_login_token(
        &self,
        token: &str,
        context: &Context,
    ) -> Result<Result<OwnedUserId, Refusal>, Error> {
        let _ = (token, context);
        Err(Error::Unexpected("there is no single sign-on here".to_owned()))
    }

    /// Whether it can check a password only by a login. Then a user who is
    /// expected to have no second factor is logged in by
    /// [`Self::log_in_at_once`]: one password hash instead of two.
    fn checks_by_login(&self) -> bool {
        false
    }

    /// Logs in with nothing but a password. Nobody may hear of it before it is
    /// clear that the password was enough.
    async fn log_in_at_once(
        &self,
        evidence: &PasswordEvidence,
        device: &Device,
        context: &Context,
    ) -> Result<AtOnce, Error> {
        let _ = (evidence, device, context);
        Err(Error::Unexpected("passwords are checked without a login here".to_owned()))
    }

    /// Ends a login that nobody is to hear of.
    async fn undo(&self, provisional: Provisional, context: &Context) -> Result<(), Error> {
        let _ = (provisional, context);
        Err(Error::Unexpected("there is no login to undo".to_owned()))
    }

    /// Mints a login for a user who has passed a flow of `/login`.
    ///
    /// `as_of` is the epoch of the user's factors that the proof is good for.
    /// Where it has passed, the login is refused; or, where the homeserver
    /// cannot tell, it is provisional, and undone by whoever can.
    async fn log_in(
        &self,
        proof: Authenticated,
        device: Device,
        as_of: Epoch,
        context: &Context,
    ) -> Result<LoggedIn, Error>;

    /// Whom an access token names.
    async fn resolve(&self, token: &AccessToken, context: &Context) -> Result<Resolved, Error>;

    /// Refuses, before any proof is asked for, what could not be performed
    /// with it either: a name that is taken, a body that is not valid.
    async fn precheck(&self, request: &OperationRequest) -> Result<Result<(), Refusal>, Error>;

    /// Performs the operation if it needs no proof.
    async fn try_silently(
        &self,
        request: &OperationRequest,
        context: &Context,
    ) -> Result<Silent, Error>;

    /// Performs an operation for whom it is proven. `as_of` as in [`Self::log_in`]:
    /// where accounts share the database, no other change of the account is undone.
    async fn perform(
        &self,
        proof: Authenticated,
        as_of: Epoch,
        request: OperationRequest,
        context: &Context,
    ) -> Result<Performed, Error>;

    /// Hands on a request whose stages are the homeserver's own: a
    /// registration, or a password reset by email without an access token.
    /// `auth` holds only what the gate lets through.
    async fn relay(
        &self,
        request: &OperationRequest,
        auth: Option<Map<String, Value>>,
        context: &Context,
    ) -> Result<Response, Error> {
        let _ = (request, auth, context);
        Ok(Refusal::missing_token("There is no access token.").into_response())
    }

    /// What someone who registers has to pass.
    fn registration(&self) -> Registration;

    /// Whether a registration token is valid.
    async fn check_registration_token(&self, token: &str) -> Result<bool, Error>;

    /// Answers any other request.
    async fn forward(&self, request: Request, context: &Context) -> Response;

    /// Answers if the homeserver does.
    async fn check(&self) -> Result<(), Error>;
}
