//! The operations that need proof, and the request for one.

use std::fmt::{self, Debug};

use axum::response::Response;
use http::{HeaderMap, Method, Uri};
use myelin_uia::Flows;
use ruma::api::client::uiaa::UserIdentifier;
use serde_json::{Map, Value};

use crate::{Identity, Password};

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
    /// What came before the body.
    pub head: Head,
    /// The body without `auth`.
    pub body: Map<String, Value>,
    /// The password that comes with the request, where the homeserver checks
    /// it itself ([`Reauthentication::WithPassword`]).
    pub password: Option<PasswordEvidence>,
}

/// A request without its body, as it was sent: for whoever sends it on.
#[derive(Clone)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The path, not normalised, and the query, which may hold the access
    /// token.
    pub uri: Uri,
    /// The headers; one may hold the access token.
    pub headers: HeaderMap,
}

impl Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, uri: _, headers: _ } = self;
        f.debug_struct("Head").field("method", method).finish_non_exhaustive()
    }
}

/// A password, and whose it is said to be.
#[derive(Clone, Debug)]
pub struct PasswordEvidence {
    /// Whose.
    pub identifier: UserIdentifier,
    /// The password.
    pub password: Password,
}

impl Debug for OperationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may hold a password.
        let Self { operation, identity, path_parameters, head, body: _, password: _ } = self;
        f.debug_struct("OperationRequest")
            .field("operation", operation)
            .field("identity", identity)
            .field("path_parameters", path_parameters)
            .field("head", head)
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
    /// The homeserver asks for stages of its own: see [`Homeserver::relay`].
    Relayed,
}

/// How the homeserver is convinced that an operation is its owner's wish. The
/// gate chooses the order of the stages by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reauthentication {
    /// It takes the gate's word: the password is checked first, then the
    /// second factor.
    OnProof,
    /// It wants the password with the operation and checks it itself: the
    /// second factor comes first, and the password goes through the gate
    /// without being kept.
    WithPassword,
}

/// What performing an operation led to.
#[derive(Debug)]
pub enum Performed {
    /// The homeserver's answer to the operation.
    Answered(Response),
    /// The homeserver checks the password itself, and it is wrong: nothing has
    /// changed.
    WrongPassword,
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
