//! Devices: listing, naming, deleting them, and logging out.

use axum::{Extension, extract::State as Shared, response::Response};
use myelin_storage::Action;
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedDeviceId, UInt, UserId,
    api::{
        client::{
            device::{
                Device as DeviceBody, delete_device, delete_devices, get_device, get_devices,
                update_device,
            },
            session::{logout, logout_all},
        },
        error::ErrorKind,
    },
};

use super::{
    failure::{Failure, answer},
    request::{Matrix, Nothing, Owner},
    router::Home,
    state::State,
};
use crate::{Context, Device, Identity, Refusal};

/// How many device IDs one entry of the audit log names.
const NAMED_IN_LOG: usize = 10;

impl State {
    /// `DELETE /devices/{deviceId}`
    pub(super) async fn delete_device(
        &self,
        identity: &Identity,
        request: delete_device::v3::Request,
        context: &Context,
    ) -> Result<Response, Failure> {
        self.delete(&identity.user, vec![request.device_id], context).await?;
        answer(delete_device::v3::Response::new())
    }

    /// `POST /delete_devices`
    pub(super) async fn delete_devices(
        &self,
        identity: &Identity,
        request: delete_devices::v3::Request,
        context: &Context,
    ) -> Result<Response, Failure> {
        self.delete(&identity.user, request.devices, context).await?;
        answer(delete_devices::v3::Response::new())
    }

    /// Deletes these devices and no others: none for an empty list.
    async fn delete(
        &self,
        user: &UserId,
        mut devices: Vec<OwnedDeviceId>,
        context: &Context,
    ) -> Result<(), Failure> {
        // What can be no device's ID is none of the user's, and goes neither
        // into a query nor into the log.
        devices.retain(|id| Device::is_id(id.as_str()));
        devices.sort_unstable();
        devices.dedup();
        if devices.is_empty() {
            return Ok(());
        }
        let event = self.event(user, Action::DevicesDeleted, context, Some(named(&devices)));
        Ok(self.accounts.delete_devices(user, &devices, event).await?)
    }

    async fn find(&self, user: &UserId, id: &OwnedDeviceId) -> Result<DeviceBody, Failure> {
        let device =
            if Device::is_id(id.as_str()) { self.accounts.device(user, id).await? } else { None };
        Ok(device.map(body).ok_or_else(no_such_device)?)
    }
}

/// The device IDs, as the audit log shows them.
fn named(devices: &[OwnedDeviceId]) -> String {
    let some: Vec<_> = devices.iter().take(NAMED_IN_LOG).map(|id| id.as_str()).collect();
    let more = devices.len() - some.len();
    let some = some.join(", ");
    if more == 0 { some } else { format!("{some} and {more} more") }
}

fn no_such_device() -> Refusal {
    Refusal::not_found("There is no such device.")
}

fn body(device: myelin_storage::Device) -> DeviceBody {
    let mut body = DeviceBody::new(device.device_id);
    body.display_name = device.display_name;
    body.last_seen_ip = device.last_seen_ip;
    body.last_seen_ts =
        device.last_seen.map(|at| MilliSecondsSinceUnixEpoch(UInt::new_saturating(at.as_millis())));
    body
}

/// `GET /devices`
pub(super) async fn list(Shared(home): Home, owner: Owner) -> Result<Response, Failure> {
    let devices = home.accounts.devices(&owner.user).await?;
    answer(get_devices::v3::Response::new(devices.into_iter().map(body).collect()))
}

/// `GET /devices/{deviceId}`
pub(super) async fn show(
    Shared(home): Home,
    owner: Owner,
    Matrix(request): Matrix<get_device::v3::Request>,
) -> Result<Response, Failure> {
    answer(get_device::v3::Response::new(home.find(&owner.user, &request.device_id).await?))
}

/// `PUT /devices/{deviceId}`
pub(super) async fn rename(
    Shared(home): Home,
    owner: Owner,
    Extension(context): Extension<Context>,
    Matrix(request): Matrix<update_device::v3::Request>,
) -> Result<Response, Failure> {
    home.find(&owner.user, &request.device_id).await?;
    // Without a name, the name stays.
    if let Some(name) = &request.display_name {
        if !Device::is_name(name) {
            let text = "The device's name can be up to 256 characters long.";
            return Err(Refusal::bad_request(&ErrorKind::InvalidParam, text).into());
        }
        let (user, device) = (&owner.user, &request.device_id);
        let event = home.event(user, Action::DeviceRenamed, &context, Some(device.to_string()));
        if !home.accounts.rename_device(user, device, Some(name), event).await? {
            return Err(no_such_device().into());
        }
    }
    answer(update_device::v3::Response::new())
}

/// `POST /logout`
pub(super) async fn log_out(
    Shared(home): Home,
    owner: Owner,
    Extension(context): Extension<Context>,
    Nothing: Nothing,
) -> Result<Response, Failure> {
    home.delete(&owner.user, vec![owner.device_id], &context).await?;
    answer(logout::v3::Response::new())
}

/// `POST /logout/all`
pub(super) async fn log_out_everywhere(
    Shared(home): Home,
    owner: Owner,
    Extension(context): Extension<Context>,
    Nothing: Nothing,
) -> Result<Response, Failure> {
    let event = home.event(&owner.user, Action::DevicesDeleted, &context, Some("all".to_owned()));
    home.accounts.delete_all_devices(&owner.user, event).await?;
    answer(logout_all::v3::Response::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_no_more_than_ten_devices() {
        let ids = |count: usize| -> Vec<OwnedDeviceId> {
            (0..count).map(|index| format!("D{index}").into()).collect()
        };
        assert_eq!(named(&ids(2)), "D0, D1");
        assert_eq!(named(&ids(10)), "D0, D1, D2, D3, D4, D5, D6, D7, D8, D9");
        assert_eq!(named(&ids(12)), "D0, D1, D2, D3, D4, D5, D6, D7, D8, D9 and 2 more");
    }
}
