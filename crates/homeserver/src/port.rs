//! The port: what any homeserver can do for a gate in front of it.

use std::{
    fmt::{self, Debug},
    net::IpAddr,
};

use async_trait::async_trait;
use axum::{extract::Request, response::Response};
use myelin_storage::{Actor, Origin, Version};
use myelin_uia::{Authenticated, Flows};
use ruma::{
    OwnedDeviceId, OwnedUserId, ServerName,
    api::{client::uiaa::UserIdentifier, error::ErrorKind},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{Error, Refusal};

/// Who asks, as far as the connection tells.
#[derive(Clone, Debug)]
pub struct Context {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The request's id, as in the logs.
    pub request_id: String,
}

impl Context {
    /// The origin that the audit log shows for what the user does.
    pub fn origin(&self) -> Origin {
        Origin {
            actor: Actor::User,
            address: self.address,
            request_id: Some(self.request_id.clone()),
        }
    }
}

/// An access token, as the client sent it.
#[derive(Clone)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
    }

    /// The token.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("AccessToken(…)")
    }
}

/// A password, as the client sent it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    /// The password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Password(…)")
    }
}

/// Whom an access token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: OwnedUserId,
    /// The device, where the token belongs to one.
    pub device_id: Option<OwnedDeviceId>,
}

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

/// The device that a login asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its ID; a new one if there is none.
    pub device_id: Option<OwnedDeviceId>,
    /// The name of a new device.
    pub initial_display_name: Option<String>,
    /// Whether the client can refresh tokens.
    pub refresh_token: bool,
}

impl Device {
    /// The longest device ID, in bytes.
    pub const ID_LIMIT: usize = 255;
    /// The longest display name, in characters.
    pub const NAME_LIMIT: usize = 256;

    /// Refuses what cannot be logged in on. To be asked before any proof is
    /// spent on it.
    ///
    /// # Errors
    ///
    /// `400 M_INVALID_PARAM` for an ID or a name that is too long or has
    /// control characters, or an ID that is empty.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.device_id.as_deref().is_some_and(|id| !Self::is_id(id.as_str())) {
            return Err(invalid("The device ID has to be 1 to 255 characters long."));
        }
        if self.initial_display_name.as_deref().is_some_and(|name| !Self::is_name(name)) {
            return Err(invalid("The device's name can be up to 256 characters long."));
        }
        Ok(())
    }

    /// Whether a device can have this ID.
    pub fn is_id(id: &str) -> bool {
        !id.is_empty() && id.len() <= Self::ID_LIMIT && !id.contains(char::is_control)
    }

    /// Whether a device can have this name.
    pub fn is_name(name: &str) -> bool {
        name.chars().count() <= Self::NAME_LIMIT && !name.contains(char::is_control)
    }
}

fn invalid(text: &str) -> Refusal {
    Refusal::bad_request(&ErrorKind::InvalidParam, text)
}

/// The operations of a homeserver that need proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST /register`
    Register,
    /// `POST /account/password`
    ChangePassword,
    /// `POST /account/deactivate`
    Deactivate,
    /// `POST /account/3pid/add`
    AddThirdParty,
    /// `POST /account/3pid`, deprecated
    AddThirdPartyDeprecated,
    /// `DELETE /devices/{deviceId}`
    DeleteDevice,
    /// `POST /delete_devices`
    DeleteDevices,
    /// `POST /keys/device_signing/upload`
    UploadSigningKeys,
}

/// One request for an operation, parsed strictly and without `auth`.
#[derive(Clone)]
pub struct OperationRequest {
    /// Which operation.
    pub operation: Operation,
    /// Whose, where a token names someone.
    pub identity: Option<Identity>,
    /// The path's parameters, percent-decoded.
    pub path_parameters: Vec<String>,
    /// The URI's query as it was sent; it may hold the access token.
    pub query: Option<String>,
    /// The body without `auth`.
    pub body: Map<String, Value>,
}

impl Debug for OperationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may hold a password, the query a token.
        let Self { operation, identity, path_parameters, query: _, body: _ } = self;
        f.debug_struct("OperationRequest")
            .field("operation", operation)
            .field("identity", identity)
            .field("path_parameters", path_parameters)
            .finish_non_exhaustive()
    }
}

/// What a homeserver asks of someone who registers.
#[derive(Clone, Debug)]
pub enum Registration {
    /// One of these flows.
    Open(Flows),
    /// Nobody can register.
    Closed,
}

/// What trying an operation without proof led to.
#[derive(Debug)]
pub enum Silent {
    /// The operation needs proof; nothing has changed.
    NeedsProof,
    /// It is one that the specification lets pass without (the first upload of
    /// cross-signing keys, or an identical one), and it is done.
    Done(Response),
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

    /// Checks a password without leaving a device or a token behind.
    async fn check_password(
        &self,
        identifier: &UserIdentifier,
        password: &Password,
        context: &Context,
    ) -> Result<PasswordCheck, Error>;

    /// Mints a login for a user who has passed a flow of `/login`; the answer
    /// is the login response.
    ///
    /// `as_of` is the version of the factors that were read before a password
    /// was checked which is all the proof there is. Where the homeserver can
    /// tell that the password or the factors have changed since, it refuses.
    async fn log_in(
        &self,
        proof: Authenticated,
        device: Device,
        as_of: Option<Version>,
        context: &Context,
    ) -> Result<Response, Error>;

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

    /// Performs an operation for whom it is proven.
    async fn perform(
        &self,
        proof: Authenticated,
        request: OperationRequest,
        context: &Context,
    ) -> Result<Response, Error>;

    /// What someone who registers has to pass.
    fn registration(&self) -> Registration;

    /// Whether a registration token is valid.
    async fn check_registration_token(&self, token: &str) -> Result<bool, Error>;

    /// Answers any other request.
    async fn forward(&self, request: Request, context: &Context) -> Response;

    /// Answers if the homeserver does.
    async fn check(&self) -> Result<(), Error>;
}
