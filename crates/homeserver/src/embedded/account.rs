//! What a user does with the account as a whole.

use axum::{Json, response::IntoResponse, response::Response};
use http::StatusCode;
use myelin_storage::{Action, Epoch, LogoutDevices, Outcome};
use ruma::api::{
    client::account::{ThirdPartyIdRemovalStatus, change_password, deactivate, whoami},
    error::ErrorKind,
};
use serde_json::json;

use super::{
    failure::{Failure, answer, changed},
    passwords::Passwords,
    request::Owner,
    state::State,
};
use crate::{Context, Error, Identity, Password, Refusal};

/// The new password, if it can be set.
pub(super) fn new_password(request: &change_password::v3::Request) -> Result<Password, Refusal> {
    let password = Password::new(request.new_password.clone());
    Passwords::check_new(&password)?;
    Ok(password)
}

/// `403 M_THREEPID_DENIED`: this homeserver sends no email and no SMS, so it
/// cannot find out whose an address is.
pub(super) fn no_third_parties() -> Refusal {
    let text = "This server does not keep email addresses or phone numbers.";
    Refusal::new(StatusCode::FORBIDDEN, &ErrorKind::ThreepidDenied, text)
}

/// What was proven before another change is void.
fn unless_stale(outcome: &Outcome<()>) -> Result<(), Refusal> {
    match outcome {
        Outcome::Committed(()) => Ok(()),
        Outcome::Stale => Err(changed()),
    }
}

impl State {
    /// `POST /account/password`
    pub(super) async fn change_password(
        &self,
        identity: &Identity,
        request: change_password::v3::Request,
        as_of: Epoch,
        context: &Context,
    ) -> Result<Response, Failure> {
        let password = new_password(&request)?;
        let devices = if request.logout_devices {
            let asking = identity.device_id.clone();
            let asking =
                asking.ok_or_else(|| Error::Unexpected("a token without a device".to_owned()))?;
            LogoutDevices::AllBut(asking)
        } else {
            LogoutDevices::Keep
        };
        let hash = self.passwords.hash(&password).await?;
        let detail = request.logout_devices.then(|| "other devices logged out".to_owned());
        let event = self.event(&identity.user, Action::PasswordChanged, context, detail);
        let user = &identity.user;
        unless_stale(&self.accounts.set_password(user, &hash, devices, Some(as_of), event).await?)?;
        answer(change_password::v3::Response::new())
    }

    /// `POST /account/deactivate`
    ///
    /// `erase` changes nothing: there are no messages here.
    pub(super) async fn deactivate(
        &self,
        identity: &Identity,
        _request: deactivate::v3::Request,
        as_of: Epoch,
        context: &Context,
    ) -> Result<Response, Failure> {
        let event = self.event(&identity.user, Action::Deactivated, context, None);
        unless_stale(&self.accounts.deactivate(&identity.user, Some(as_of), event).await?)?;
        answer(deactivate::v3::Response::new(ThirdPartyIdRemovalStatus::NoSupport))
    }
}

/// `GET /account/whoami`
pub(super) async fn whoami(owner: Owner) -> Result<Response, Failure> {
    let mut response = whoami::v3::Response::new(owner.user, false);
    response.device_id = Some(owner.device_id);
    answer(response)
}

/// `GET /account/3pid`: never any.
pub(super) async fn third_parties(_: Owner) -> Response {
    // Ruma's response leaves an empty list out.
    Json(json!({"threepids": []})).into_response()
}

/// `GET /capabilities`
pub(super) async fn capabilities(_: Owner) -> Response {
    // Ruma's response leaves out what is the default of the specification.
    Json(json!({
        "capabilities": {
            "m.change_password": {"enabled": true},
            "m.get_login_token": {"enabled": true},
            "m.3pid_changes": {"enabled": false},
            "m.profile_fields": {"enabled": false},
            "m.set_avatar_url": {"enabled": false},
            "m.set_displayname": {"enabled": false},
        },
    }))
    .into_response()
}
