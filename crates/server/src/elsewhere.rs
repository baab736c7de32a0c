//! What follows here from a change at a homeserver that has a database of its
//! own.
//!
//! The embedded homeserver does the same in the transaction of the change.
//! Here the change comes first: what follows from it must not happen without
//! it, and is tried while the answer waits.

use http::StatusCode;
use myelin_homeserver::Operation;
use myelin_storage::Action;
use ruma::OwnedUserId;

use crate::{App, uia::Gate};

/// After an operation of the user whom the gate knows.
pub(crate) async fn performed(gate: &Gate<'_>, operation: Operation, status: StatusCode) {
    let Some(user) = &gate.user else { return };
    if status != StatusCode::OK || gate.app.homeserver().shares_the_store() {
        return;
    }
    let (action, ends_sessions) = match operation {
        Operation::ChangePassword => (Action::PasswordChanged, true),
        Operation::Deactivate => (Action::Deactivated, true),
        Operation::DeleteDevice | Operation::DeleteDevices => (Action::DevicesDeleted, false),
        Operation::UploadSigningKeys => (Action::CrossSigningUploaded, false),
        Operation::Register | Operation::AddThirdParty | Operation::AddThirdPartyDeprecated => {
            return;
        }
    };
    if ends_sessions {
        end_sessions(gate.app, user).await;
    }
    record(gate, user.clone(), action).await;
}

/// After a login of this user.
pub(crate) async fn logged_in(gate: &Gate<'_>, user: OwnedUserId, status: StatusCode) {
    if status == StatusCode::OK && !gate.app.homeserver().shares_the_store() {
        record(gate, user, Action::LoggedIn).await;
    }
}

/// A session that has passed a stage is void once the password has changed.
async fn end_sessions(app: &App, user: &OwnedUserId) {
    if let Err(error) = app.store().end_sessions(user).await {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, "sessions outlive a change of the password until they expire");
    }
}

async fn record(gate: &Gate<'_>, user: OwnedUserId, action: Action) {
    let event = gate.event(user, action, gate.app.now());
    if let Err(error) = gate.app.store().record(event).await {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, action = action.as_str(), "not in the audit log");
    }
}
