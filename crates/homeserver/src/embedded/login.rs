//! How a login is minted for someone who is proven.

use axum::response::Response;
use http::StatusCode;
use myelin_storage::{Action, DeviceLogin, Epoch, Outcome};
use myelin_uia::Authenticated;
use ruma::api::{client::session::login, error::ErrorKind};

use super::{
    failure::{Failure, changed, secret_answer},
    identifiers,
    state::State,
    tokens::Minted,
};
use crate::{Context, Device, Error, Refusal};

impl State {
    /// A login on the device that was asked for, and the tokens for it.
    pub(super) fn device_login(&self, device: &Device) -> Result<(DeviceLogin, Minted), Refusal> {
        device.check()?;
        let minted = self.mint(device.refresh_token);
        let new_id = || identifiers::random_device_id(self.entropy.as_ref());
        let login = DeviceLogin {
            device_id: device.device_id.clone().unwrap_or_else(new_id),
            display_name: device.initial_display_name.clone(),
            tokens: minted.digests(self.clock.now()),
        };
        Ok((login, minted))
    }

    /// Logs the proven user in.
    ///
    /// # Errors
    ///
    /// `403 M_USER_DEACTIVATED` if the account was closed in between, `400` for
    /// a device that no one can have.
    pub(super) async fn log_in(
        &self,
        proof: &Authenticated,
        device: &Device,
        as_of: Epoch,
        context: &Context,
    ) -> Result<Response, Failure> {
        let user = proof
            .user()
            .ok_or_else(|| Error::Unexpected("a login without a proven user".to_owned()))?;
        let (login, minted) = self.device_login(device)?;
        let event = self.event(user, Action::LoggedIn, context, Some(login.device_id.to_string()));
        match self.accounts.log_in(user, &login, Some(as_of), self.clock.now(), event).await? {
            Outcome::Committed(true) => {}
            Outcome::Committed(false) => {
                let text = "This account has been deactivated.";
                let refusal =
                    Refusal::new(StatusCode::FORBIDDEN, &ErrorKind::UserDeactivated, text);
                return Err(refusal.into());
            }
            Outcome::Stale => return Err(changed().into()),
        }
        let mut response =
            login::v3::Response::new(user.to_owned(), minted.access(), login.device_id);
        response.refresh_token = minted.refresh();
        response.expires_in = minted.expires_in;
        secret_answer(response)
    }
}
