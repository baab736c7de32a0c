//! The operations that need proof: where each is refused early, done silently,
//! and performed.

use axum::response::Response;
use myelin_storage::Epoch;
use myelin_uia::Authenticated;
use ruma::api::client::{
    account::{change_password, deactivate},
    device::{delete_device, delete_devices},
};

use super::{account, failure::Failure, register::Wanted, request::parse, state::State};
use crate::{Context, Error, Identity, Operation, OperationRequest, Refusal, Silent};

impl State {
    /// Refuses what could not be performed with proof either.
    pub(super) async fn precheck(&self, request: &OperationRequest) -> Result<(), Failure> {
        if request.operation == Operation::Register {
            let wanted = Wanted::parse(self, request)?;
            return self.check_available(wanted.username()).await;
        }
        let identity = owner(request)?;
        match request.operation {
            Operation::Register => {}
            Operation::ChangePassword => {
                account::new_password(&parse::<change_password::v3::Request>(request)?)?;
            }
            Operation::Deactivate => {
                parse::<deactivate::v3::Request>(request)?;
            }
            Operation::AddThirdParty | Operation::AddThirdPartyDeprecated => {
                return Err(account::no_third_parties().into());
            }
            Operation::DeleteDevice => {
                parse::<delete_device::v3::Request>(request)?;
            }
            Operation::DeleteDevices => {
                parse::<delete_devices::v3::Request>(request)?;
            }
            Operation::UploadSigningKeys => self.check_signing_keys(identity, request).await?,
        }
        Ok(())
    }

    /// Performs what needs no proof.
    pub(super) async fn try_silently(
        &self,
        request: &OperationRequest,
        context: &Context,
    ) -> Result<Silent, Failure> {
        match request.operation {
            Operation::UploadSigningKeys => {
                self.upload_signing_keys_silently(owner(request)?, request, context).await
            }
            _ => Ok(Silent::NeedsProof),
        }
    }

    /// Performs an operation for whom it is proven.
    pub(super) async fn perform(
        &self,
        proof: &Authenticated,
        as_of: Epoch,
        request: &OperationRequest,
        context: &Context,
    ) -> Result<Response, Failure> {
        if request.operation == Operation::Register {
            if proof.user().is_some() {
                return Err(another_user().into());
            }
            return self.register(request, context).await;
        }
        let identity = owner(request)?;
        // The gate has matched them already. Should it ever not, nothing happens.
        if proof.user() != Some(&*identity.user) {
            return Err(another_user().into());
        }
        match request.operation {
            Operation::Register | Operation::AddThirdParty | Operation::AddThirdPartyDeprecated => {
                Err(account::no_third_parties().into())
            }
            Operation::ChangePassword => {
                self.change_password(identity, parse(request)?, as_of, context).await
            }
            Operation::Deactivate => {
                self.deactivate(identity, parse(request)?, as_of, context).await
            }
            Operation::DeleteDevice => self.delete_device(identity, parse(request)?, context).await,
            Operation::DeleteDevices => {
                self.delete_devices(identity, parse(request)?, context).await
            }
            Operation::UploadSigningKeys => {
                self.upload_signing_keys(identity, request, context).await
            }
        }
    }
}

/// Whose operation it is.
fn owner(request: &OperationRequest) -> Result<&Identity, Refusal> {
    let missing = || Refusal::missing_token("This needs an access token.");
    request.identity.as_ref().ok_or_else(missing)
}

fn another_user() -> Error {
    Error::Unexpected("a proof for another user than the operation's".to_owned())
}
