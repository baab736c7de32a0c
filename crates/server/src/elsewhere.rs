//! What follows here from a change at a homeserver that has a database of its
//! own.
//!
//! The embedded homeserver does the same in the transaction of the change.
//! Here the two cannot be one: what was proven before a change of the password
//! ends before it, so that nothing leads to a device that the homeserver has
//! just signed out; and once more after it, with all that was made meanwhile.

use http::StatusCode;
use myelin_homeserver::Operation;
use myelin_storage::Action;
use ruma::OwnedUserId;

use crate::{error::Error, uia::Gate};

/// Before an operation that the homeserver performs on proof alone. Without
/// this, it is not to be performed.
pub(crate) async fn performs(gate: &Gate<'_>, operation: Operation) -> Result<(), Error> {
    if let Some(user) = concerned(gate).filter(|_| ends_sessions(operation)) {
        gate.app.store().end_sessions(user).await?;
    }
    Ok(())
}

/// After an operation of the user whom the gate knows: what the homeserver has
/// answered, or nothing that can be understood. Then nobody knows what it did.
pub(crate) async fn performed(gate: &Gate<'_>, operation: Operation, status: Option<StatusCode>) {
    let Some(user) = concerned(gate) else { return };
    let done = status == Some(StatusCode::OK);
    let unknown = status.is_none_or(|status| status.is_server_error());
    let action = match operation {
        Operation::ChangePassword => Action::PasswordChanged,
        Operation::Deactivate => Action::Deactivated,
        Operation::DeleteDevice | Operation::DeleteDevices => Action::DevicesDeleted,
        Operation::UploadSigningKeys => Action::CrossSigningUploaded,
        Operation::Register | Operation::AddThirdParty | Operation::AddThirdPartyDeprecated => {
            return;
        }
    };
    match (ends_sessions(operation), done) {
        (true, true) => end_all(gate, user, action).await,
        (true, false) if unknown => end_all(gate, user, Action::SessionsEnded).await,
        (false, true) => record(gate, user.clone(), action).await,
        (_, false) => {}
    }
}

/// After a login of this user.
pub(crate) async fn logged_in(gate: &Gate<'_>, user: OwnedUserId, status: StatusCode) {
    if status == StatusCode::OK && !gate.app.homeserver().shares_the_store() {
        record(gate, user, Action::LoggedIn).await;
    }
}

/// The user for whom something follows here.
fn concerned<'g>(gate: &'g Gate<'_>) -> Option<&'g OwnedUserId> {
    gate.user.as_ref().filter(|_| !gate.app.homeserver().shares_the_store())
}

const fn ends_sessions(operation: Operation) -> bool {
    matches!(operation, Operation::ChangePassword | Operation::Deactivate)
}

/// A session that has passed a stage is void once the password has changed, and
/// so is an app password that whoever knew it may have made.
async fn end_all(gate: &Gate<'_>, user: &OwnedUserId, action: Action) {
    let event = gate.event(user.clone(), action, gate.app.now());
    if let Err(error) = gate.app.store().end_all(user, event).await {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, "sessions or app passwords outlive a change of the password");
    }
}

async fn record(gate: &Gate<'_>, user: OwnedUserId, action: Action) {
    let event = gate.event(user, action, gate.app.now());
    if let Err(error) = gate.app.store().record(event).await {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, action = action.as_str(), "not in the audit log");
    }
}
