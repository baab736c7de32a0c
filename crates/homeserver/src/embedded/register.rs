//! `POST /register` and `GET /register/available`.

use axum::{
    Json,
    extract::State as Shared,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use myelin_storage::{Action, Created, NewAccount};
use ruma::api::{
    client::account::{
        get_username_availability,
        register::{RegistrationKind, v3},
    },
    error::ErrorKind,
};
use serde_json::json;

use super::{
    RegistrationPolicy,
    failure::{Failure, answer, secret_answer},
    identifiers,
    passwords::Passwords,
    request::{Matrix, parse},
    router::Home,
    state::State,
    tokens::Minted,
};
use crate::{Context, Device, OperationRequest, Password, Refusal};

/// A registration that can be performed unless the name is taken.
pub(super) struct Wanted {
    username: Option<String>,
    password: Option<Password>,
    device: Device,
    inhibit_login: bool,
}

impl Wanted {
    /// Reads and checks a registration.
    ///
    /// Without a password it passes here: clients send an empty body first, to
    /// learn which stages there are.
    ///
    /// # Errors
    ///
    /// What the specification lists for this endpoint, but `M_USER_IN_USE`.
    pub(super) fn parse(state: &State, request: &OperationRequest) -> Result<Self, Refusal> {
        state.check_open()?;
        let request: v3::Request = parse(request)?;
        check_kind(&request.kind)?;
        let wanted = Self {
            username: request.username,
            password: request.password.map(Password::new),
            device: Device {
                device_id: request.device_id,
                initial_display_name: request.initial_device_display_name,
                refresh_token: request.refresh_token,
            },
            inhibit_login: request.inhibit_login,
        };
        if let Some(username) = wanted.username() {
            identifiers::check_username(username, &state.server_name)?;
        }
        if let Some(password) = &wanted.password {
            Passwords::check_new(password)?;
        }
        wanted.device.check()?;
        Ok(wanted)
    }

    /// The username that was asked for.
    pub(super) fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }
}

fn check_kind(kind: &RegistrationKind) -> Result<(), Refusal> {
    match kind {
        RegistrationKind::User => Ok(()),
        RegistrationKind::Guest => {
            let text = "Guests cannot register here.";
            Err(Refusal::new(StatusCode::FORBIDDEN, &ErrorKind::GuestAccessForbidden, text))
        }
        _ => Err(Refusal::bad_request(&ErrorKind::InvalidParam, "There is no such kind.")),
    }
}

fn user_in_use() -> Refusal {
    Refusal::bad_request(&ErrorKind::UserInUse, "This username is taken.")
}

impl State {
    fn check_open(&self) -> Result<(), Refusal> {
        match self.registration {
            RegistrationPolicy::Open | RegistrationPolicy::Token(_) => Ok(()),
            RegistrationPolicy::Closed => {
                Err(Refusal::forbidden("Registration is closed on this server."))
            }
        }
    }

    /// Refuses a name that is taken, or was.
    pub(super) async fn check_available(&self, username: Option<&str>) -> Result<(), Failure> {
        let Some(username) = username else { return Ok(()) };
        match self.accounts.lookup(&self.user_id(username)?).await? {
            None => Ok(()),
            Some(_) => Err(user_in_use().into()),
        }
    }

    pub(super) async fn register(
        &self,
        request: &OperationRequest,
        context: &Context,
    ) -> Result<Response, Failure> {
        let wanted = Wanted::parse(self, request)?;
        let password = wanted.password.as_ref().ok_or_else(|| {
            Refusal::bad_request(&ErrorKind::MissingParam, "The field `password` is missing.")
        })?;
        let random = || identifiers::random_username(self.entropy.as_ref());
        let user = self.user_id(&wanted.username.clone().unwrap_or_else(random))?;
        let (login, minted) = if wanted.inhibit_login {
            (None, None)
        } else {
            let (login, minted) = self.device_login(&wanted.device)?;
            (Some(login), Some(minted))
        };
        let password_hash = self.passwords.hash(password).await?;
        let detail = login.as_ref().map(|login| login.device_id.to_string());
        let event = self.event(&user, Action::Registered, context, detail);
        let account = NewAccount { user, password_hash, login };
        match self.accounts.create(&account, self.clock.now(), event).await? {
            Created::Taken => Err(user_in_use().into()),
            Created::Created => registered(account, minted),
        }
    }
}

fn registered(account: NewAccount, minted: Option<Minted>) -> Result<Response, Failure> {
    let (Some(login), Some(minted)) = (account.login, minted) else {
        // Ruma's response would hold `"device_id": null`.
        return Ok(Json(json!({"user_id": account.user})).into_response());
    };
    let mut response = v3::Response::new(account.user);
    response.device_id = Some(login.device_id);
    response.access_token = Some(minted.access());
    response.refresh_token = minted.refresh();
    response.expires_in = minted.expires_in;
    secret_answer(response)
}

/// `GET /register/available`
pub(super) async fn available(
    Shared(home): Home,
    Matrix(request): Matrix<get_username_availability::v3::Request>,
) -> Result<Response, Failure> {
    home.check_open()?;
    identifiers::check_username(&request.username, &home.server_name)?;
    home.check_available(Some(&request.username)).await?;
    answer(get_username_availability::v3::Response::new(true))
}
