//! No cache keeps a secret.

use serde_json::json;

use crate::{
    case::{Check, Row},
    client::Request,
    fixture::{Operation, Proof, Target},
};

pub(super) const CASES: &[Row] = &[
    ("no-store.challenge", "A 401 with a session has Cache-Control: no-store.", challenge),
    ("no-store.login", "Both steps of a login have Cache-Control: no-store.", login),
    ("no-store.register", "The challenge of a registration has Cache-Control: no-store.", register),
    (
        "no-store.set-up-and-confirmation",
        "The secret and the recovery codes have Cache-Control: no-store.",
        set_up_and_confirmation,
    ),
    (
        "no-store.regenerated-codes",
        "Regenerated recovery codes have Cache-Control: no-store.",
        regenerated_codes,
    ),
    ("no-store.login-token", "A login token has Cache-Control: no-store.", login_token),
];

fn challenge(target: &Target) -> Check {
    let reply = target.shared_guarded()?.ask(&Operation::set_up("Tablet"))?;
    reply.status(401)?.no_store()?;
    Ok(())
}

fn login(target: &Target) -> Check {
    let alice = target.guarded()?;
    let first = alice.login_with(&json!({}))?;
    first.status(401)?.no_store()?;
    let session = first.text("/session")?;
    let login = crate::fixture::Login::resume(&alice, session);
    login.totp(alice.phone()?.wrong_code())?.status(401)?.no_store()?;
    alice.logged_in(&login.totp(alice.code()?)?)?.no_store()?;
    Ok(())
}

fn register(target: &Target) -> Check {
    let body = json!({"username": "spec-no-store", "password": "Pw-no-store-9"});
    let reply = target.send(&Request::post("/register", &body))?;
    reply.status(401)?.no_store()?;
    Ok(())
}

fn set_up_and_confirmation(target: &Target) -> Check {
    let alice = target.plain()?;
    let reply = alice.perform(&Operation::set_up("Phone"), Proof::Password)?;
    reply.status(200)?.no_store()?;
    let phone = alice.set_up("Phone", Proof::Password)?;
    alice.confirm(&phone.id, &phone.code())?.status(200)?.no_store()?;
    Ok(())
}

fn regenerated_codes(target: &Target) -> Check {
    let alice = target.guarded()?;
    let reply = alice.perform(&Operation::regenerate(), Proof::Totp)?;
    reply.status(200)?.no_store()?;
    Ok(())
}

fn login_token(target: &Target) -> Check {
    let alice = target.plain()?;
    let reply = alice.perform(&Operation::login_token(), Proof::Password)?;
    reply.status(200)?.no_store()?;
    Ok(())
}
