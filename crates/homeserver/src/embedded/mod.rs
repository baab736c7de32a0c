//! The embedded homeserver: the account part of the client-server API, in the
//! same database.
//!
//! It owns accounts, passwords, devices, access tokens and cross-signing keys.
//! It knows no rooms, sends no email, and takes no part in federation. Whether
//! an operation may be performed is decided before it is reached here.

mod account;
mod cross_signing;
mod devices;
mod failure;
mod identifiers;
mod login;
mod operations;
mod options;
mod passwords;
mod register;
mod request;
mod router;
mod state;
mod tokens;

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
};
use myelin_storage::Epoch;
use myelin_uia::{Authenticated, Flows, Stage};
use ruma::{ServerName, api::client::uiaa::UserIdentifier};
use tower::ServiceExt;

use self::{failure::Failure, state::State};
use crate::{
    AccessToken, Context, Device, Error, Homeserver, LoggedIn, OperationRequest, Password,
    PasswordCheck, Performed, Refusal, Registration, Resolved, Silent,
};

pub use options::{
    DEFAULT_ACCESS_TOKEN_LIFETIME, EmbeddedOptions, RegistrationPolicy, RegistrationToken,
};
pub use passwords::PasswordParameters;

/// The embedded homeserver.
pub struct Embedded {
    state: Arc<State>,
    router: Router,
}

impl Embedded {
    /// Sets it up. Nothing is read or written before the first request.
    pub fn new(options: EmbeddedOptions) -> Self {
        let state = Arc::new(State::new(options));
        let router = router::router(Arc::clone(&state));
        Self { state, router }
    }
}

impl Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, router: _ } = self;
        f.debug_struct("Embedded").field("state", state).finish_non_exhaustive()
    }
}

#[async_trait]
impl Homeserver for Embedded {
    fn server_name(&self) -> &ServerName {
        &self.state.server_name
    }

    async fn check_password(
        &self,
        identifier: &UserIdentifier,
        password: &Password,
        _context: &Context,
    ) -> Result<PasswordCheck, Error> {
        self.state.check_password(identifier, password).await
    }

    async fn log_in(
        &self,
        proof: Authenticated,
        device: Device,
        as_of: Epoch,
        context: &Context,
    ) -> Result<LoggedIn, Error> {
        let answer = self.state.log_in(&proof, &device, as_of, context).await;
        respond(answer).map(LoggedIn::Answered)
    }

    async fn resolve(&self, token: &AccessToken, _context: &Context) -> Result<Resolved, Error> {
        match self.state.resolve(token).await {
            Ok(identity) => Ok(Resolved::Identity(identity)),
            Err(Failure::Refused(refusal)) => Ok(Resolved::Refused(refusal)),
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    async fn precheck(&self, request: &OperationRequest) -> Result<Result<(), Refusal>, Error> {
        match self.state.precheck(request).await {
            Ok(()) => Ok(Ok(())),
            Err(Failure::Refused(refusal)) => Ok(Err(refusal)),
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    async fn try_silently(
        &self,
        request: &OperationRequest,
        context: &Context,
    ) -> Result<Silent, Error> {
        match self.state.try_silently(request, context).await {
            Ok(silent) => Ok(silent),
            // What is refused is not done; it is refused again before any proof.
            Err(Failure::Refused(_)) => Ok(Silent::NeedsProof),
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    async fn perform(
        &self,
        proof: Authenticated,
        as_of: Epoch,
        request: OperationRequest,
        context: &Context,
    ) -> Result<Performed, Error> {
        respond(self.state.perform(&proof, as_of, &request, context).await).map(Performed::Answered)
    }

    fn registration(&self) -> Registration {
        match &self.state.registration {
            RegistrationPolicy::Open => Registration::Open(Flows::new([[Stage::Dummy]])),
            RegistrationPolicy::Token(_) => {
                Registration::Open(Flows::new([[Stage::RegistrationToken]]))
            }
            RegistrationPolicy::Closed => Registration::Closed,
        }
    }

    async fn check_registration_token(&self, token: &str) -> Result<bool, Error> {
        Ok(self.state.registration.accepts(token))
    }

    async fn forward(&self, mut request: Request, context: &Context) -> Response {
        request.extensions_mut().insert(context.clone());
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn check(&self) -> Result<(), Error> {
        // Any read will do: it fails where the database does.
        let nobody = self.state.user_id(identifiers::NOBODY)?;
        self.state.accounts.lookup(&nobody).await?;
        Ok(())
    }
}

/// A refusal is an answer as well; only what broke is an error.
fn respond(result: Result<Response, Failure>) -> Result<Response, Error> {
    match result {
        Ok(response) => Ok(response),
        Err(Failure::Refused(refusal)) => Ok(refusal.into_response()),
        Err(Failure::Broken(error)) => Err(error),
    }
}
