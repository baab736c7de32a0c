//! What follows here from a change at a homeserver that has a database of its
//! own.
//!
//! The embedded homeserver does the same in the transaction of the change.
//! Here the two cannot be one. What was proven before a change of the password
//! ends before it, where the homeserver makes it on proof alone, and once more
//! after it, with all that was made meanwhile. App passwords end only after it,
//! for it may be refused: a login with one that is made in that moment stays.

use std::time::Duration;

use http::StatusCode;
use myelin_homeserver::{Operation, Refusal};
use myelin_storage::{Action, Epoch, Outcome};
use ruma::OwnedUserId;

use crate::{error::Error, texts, uia::Gate};

/// How long after a failure it is tried again to end what a change has voided.
const BETWEEN: Duration = Duration::from_secs(1);

/// Before an operation that the homeserver performs on proof alone. Without
/// this, or where the epoch of the proof has passed, it is not to be performed.
pub(crate) async fn performs(
    gate: &Gate<'_>,
    operation: Operation,
    epoch: Epoch,
) -> Result<(), Error> {
    let Some(user) = concerned(gate).filter(|_| ends_sessions(operation)) else { return Ok(()) };
    match gate.app.store().end_sessions(user, Some(epoch)).await? {
        Outcome::Committed(()) => Ok(()),
        Outcome::Stale => Err(Refusal::forbidden(texts::CHANGED).into()),
    }
}

/// After an operation of the user whom the gate knows: what the homeserver has
/// answered, or nothing that can be understood. Then nobody knows what it did;
/// and where it was to check the password, whoever has but a token could bring
/// that about again and again. `is_proven` is whether more was proven than that.
pub(crate) async fn performed(
    gate: &Gate<'_>,
    operation: Operation,
    status: Option<StatusCode>,
    is_proven: bool,
) {
    let Some(user) = concerned(gate) else { return };
    let done = status == Some(StatusCode::OK);
    let unknown = is_proven && status.is_none_or(|status| status.is_server_error());
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
    for pause in [Some(BETWEEN), Some(BETWEEN), None] {
        let Err(error) = gate.app.store().end_all(user, event.clone()).await else { return };
        tracing::error!(
            error = &error as &dyn std::error::Error, %user, action = action.as_str(),
            "sessions or app passwords may outlive a change of the password"
        );
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

async fn record(gate: &Gate<'_>, user: OwnedUserId, action: Action) {
    let event = gate.event(user, action, gate.app.now());
    if let Err(error) = gate.app.store().record(event).await {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, action = action.as_str(), "not in the audit log");
    }
}
