//! What a gated operation does once both factors are passed.

use serde_json::json;

use crate::{
    Failure,
    case::{Check, Row},
    client::{Reply, Request},
    fixture::{Operation, Proof, Target, User},
};

pub(super) const CASES: &[Row] = &[
    (
        "gate.effect.account-password",
        "The password changes after both factors; the second one is still asked for.",
        account_password,
    ),
    (
        "gate.effect.account-deactivate",
        "The account is deactivated after both factors.",
        account_deactivate,
    ),
    ("gate.effect.device", "A device is deleted after both factors, and not before.", device),
    (
        "gate.effect.delete-devices",
        "Devices are deleted after both factors, and not before.",
        delete_devices,
    ),
    (
        "gate.effect.login-token-logs-in-once",
        "A login token that both factors got logs in once, without asking again.",
        login_token,
    ),
    (
        "gate.effect.login-token-is-not-guessed",
        "An m.login.token that was not given out is 403 M_FORBIDDEN.",
        unknown_login_token,
    ),
    (
        "gate.effect.empty-device-list",
        "Deleting an empty list of devices deletes none.",
        empty_device_list,
    ),
    (
        "gate.needs-an-access-token",
        "A gated operation without an access token is 401 M_MISSING_TOKEN.",
        needs_an_access_token,
    ),
    (
        "gate.device-of-another-user",
        "Nobody deletes another user's device, whatever they prove.",
        device_of_another_user,
    ),
];

/// A user with a second factor and a device SPARE.
fn guarded_with_spare(target: &Target) -> Result<User, Failure> {
    let mut user = target.plain()?;
    user.log_in_plainly(&json!({"device_id": "SPARE"}))?;
    user.enrol()?;
    Ok(user)
}

fn account_password(target: &Target) -> Check {
    let alice = target.guarded()?;
    let change = Operation::change_password("Another-password-9");
    alice.perform(&change, Proof::Totp)?.status(200)?;
    alice.login_with(&json!({}))?.refused(403, "M_FORBIDDEN")?;
    let (login, _) = alice.begin_login_with(&json!({"password": "Another-password-9"}))?;
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn account_deactivate(target: &Target) -> Check {
    let alice = target.guarded()?;
    let deactivate = Operation::new("POST", "/account/deactivate", json!({}));
    alice.perform(&deactivate, Proof::Totp)?.status(200)?;
    alice.get("/account/whoami")?.status(401)?;
    alice.login_with(&json!({}))?.status(403)?;
    Ok(())
}

fn deletes_spare(alice: &User, operation: &Operation) -> Check {
    let reply = alice.ask(operation)?;
    reply.challenge()?;
    let there = alice.devices()?.iter().any(|id| id == "SPARE");
    reply.demand(there, "SPARE still there after the challenge")?;
    let reply = alice.perform(operation, Proof::Totp)?;
    reply.status(200)?;
    let devices = alice.devices()?;
    let gone = devices == [alice.device_id.as_str()];
    reply.demand(gone, &format!("SPARE alone gone, not {devices:?} left"))?;
    Ok(())
}

fn device(target: &Target) -> Check {
    deletes_spare(&guarded_with_spare(target)?, &Operation::delete_device("SPARE"))
}

fn delete_devices(target: &Target) -> Check {
    deletes_spare(&guarded_with_spare(target)?, &Operation::delete_devices(&["SPARE"]))
}

fn token_login(target: &Target, token: &str) -> Result<Reply, Failure> {
    target.send(&Request::post("/login", &json!({"type": "m.login.token", "token": token})))
}

fn login_token(target: &Target) -> Check {
    let alice = target.guarded()?;
    let reply = alice.perform(&Operation::login_token(), Proof::Totp)?;
    let token = reply.status(200)?.text("/login_token")?;
    let lives = reply.json["expires_in_ms"].as_u64().is_some_and(|expires| expires > 0);
    reply.demand(lives, "a positive expires_in_ms")?;
    alice.logged_in(&token_login(target, token)?)?;
    token_login(target, token)?.refused(403, "M_FORBIDDEN")?;
    Ok(())
}

fn unknown_login_token(target: &Target) -> Check {
    for token in ["unknown", &"x".repeat(500)] {
        token_login(target, token)?.refused(403, "M_FORBIDDEN")?;
    }
    // Neither is an access token one.
    token_login(target, &target.shared_guarded()?.token)?.refused(403, "M_FORBIDDEN")?;
    Ok(())
}

fn empty_device_list(target: &Target) -> Check {
    let alice = guarded_with_spare(target)?;
    let reply = alice.perform(&Operation::delete_devices(&[]), Proof::Totp)?;
    let devices = alice.devices()?;
    reply.demand(devices.len() == 2, &format!("both devices left, not {devices:?}"))?;
    Ok(())
}

fn needs_an_access_token(target: &Target) -> Check {
    let operations = [
        Operation::new("POST", "/account/deactivate", json!({})),
        Operation::delete_device("SPARE"),
        Operation::delete_devices(&["SPARE"]),
        Operation::login_token(),
        Operation::new("POST", "/keys/device_signing/upload", json!({})),
    ];
    for operation in operations {
        target.send(&operation.request(None))?.refused(401, "M_MISSING_TOKEN")?;
    }
    Ok(())
}

fn device_of_another_user(target: &Target) -> Check {
    let (alice, mallory) = (target.plain()?, target.plain()?);
    alice.log_in_plainly(&json!({"device_id": "OFALICE"}))?;
    mallory.perform(&Operation::delete_device("OFALICE"), Proof::Password)?;
    mallory.perform(&Operation::delete_devices(&["OFALICE"]), Proof::Password)?;
    let reply = alice.get("/devices/OFALICE")?;
    reply.status(200)?;
    Ok(())
}
