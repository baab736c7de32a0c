//! Sessions that end because the user's password or factors changed.

use serde_json::json;

use crate::{
    case::{Check, Row},
    client::Reply,
    fixture::{Operation, Proof, Target},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "session.void-after-password-change",
        "A session that has passed a stage is void once the password changes.",
        void_after_password_change,
    ),
    (
        "session.void-after-a-factor-is-added",
        "A session that has passed a stage is void once a factor is added.",
        void_after_a_factor_is_added,
    ),
    (
        "session.void-after-a-factor-is-removed",
        "A session that has passed a stage is void once a factor is removed.",
        void_after_a_factor_is_removed,
    ),
    (
        "session.operation-void-after-password-change",
        "An operation that has passed a stage is void once the password changes.",
        operation_void_after_password_change,
    ),
    (
        "session.begun-without-a-factor-cannot-finish-with-the-password",
        "An operation begun without a factor cannot finish with the password alone \
         once one exists.",
        begun_without_a_factor,
    ),
];

const NEW_PASSWORD: &str = "Another-password-9";

/// Demands a fresh challenge instead of what the session was for.
fn void(reply: &Reply, session: &str) -> Check {
    reply.status(401)?.not_executed()?;
    reply.demand(!reply.is_stage_done(), "no stage done")?;
    reply.demand(reply.text("/session")? != session, "a new session")?;
    Ok(())
}

fn void_after_password_change(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let change = Operation::change_password(NEW_PASSWORD);
    alice.perform(&change, Proof::Recovery)?.status(200)?;
    void(&login.totp(alice.code()?)?, &login.session)
}

fn void_after_a_factor_is_added(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    alice.add_authenticator("Tablet")?;
    void(&login.totp(alice.code()?)?, &login.session)
}

fn void_after_a_factor_is_removed(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let remove = Operation::remove(&alice.phone()?.id);
    alice.perform(&remove, Proof::Recovery)?.status(200)?;
    // The password was passed, and no second factor is asked for any more:
    // still not all that this login was for.
    void(&login.send(&json!({"session": login.session}))?, &login.session)
}

fn operation_void_after_password_change(target: &Target) -> Check {
    let alice = target.guarded()?;
    let ceremony = alice.open(&Operation::set_up("Tablet"), Proof::Totp)?;
    ceremony.reach(&ceremony.flow[1])?;
    let change = Operation::change_password(NEW_PASSWORD);
    alice.perform(&change, Proof::Recovery)?.status(200)?;
    let reply = match ceremony.flow[1].as_str() {
        stage::TOTP => ceremony.totp(alice.code()?)?,
        _ => ceremony.send(&json!({"session": ceremony.session}))?,
    };
    void(&reply, &ceremony.session)
}

fn begun_without_a_factor(target: &Target) -> Check {
    let mut alice = target.plain()?;
    let operation = Operation::change_password(NEW_PASSWORD);
    let session = alice.open(&operation, Proof::Password)?.session;
    alice.enrol()?;
    let mut auth = alice.password_auth();
    auth["session"] = json!(session);
    alice.call(operation.request(Some(&auth)))?.status(401)?;
    alice.call(operation.request(Some(&json!({"session": session}))))?.status(401)?;
    // Nothing was executed: the old password still stands.
    alice.begin_login()?;
    Ok(())
}
