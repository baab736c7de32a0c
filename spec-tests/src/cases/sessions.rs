//! What a session is bound to.

use serde_json::json;

use crate::{
    Failure,
    case::{Check, Row},
    client::{Reply, Request},
    fixture::{Ceremony, Operation, Proof, Target},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "session.bound-to-user",
        "A session with the access token of another user is 403 and stays untouched.",
        bound_to_user,
    ),
    (
        "session.bound-to-endpoint",
        "A session at another endpoint is 403 and stays untouched.",
        bound_to_endpoint,
    ),
    (
        "session.bound-to-body",
        "A session with another body is 403 and stays untouched.",
        bound_to_body,
    ),
    (
        "session.bound-to-body-after-the-first-stage",
        "A body swapped before the last stage is 403, and no code is spent.",
        bound_to_body_half_way,
    ),
    (
        "session.bound-to-path-parameters",
        "A session with another path parameter is 403 and stays untouched.",
        bound_to_path_parameters,
    ),
    (
        "session.bound-to-method",
        "A session with another method executes nothing and stays untouched.",
        bound_to_method,
    ),
    (
        "session.login-session-is-no-operation",
        "A session of a login cannot finish an operation.",
        login_session_is_no_operation,
    ),
    (
        "session.operation-session-is-no-login",
        "A session of an operation cannot finish a login.",
        operation_session_is_no_login,
    ),
    (
        "session.valid-under-every-prefix",
        "A session is bound to the endpoint, whatever the version prefix.",
        valid_under_every_prefix,
    ),
    (
        "session.unknown-gets-a-fresh-challenge",
        "An unknown session gets a fresh 401 challenge with errcode M_FORBIDDEN.",
        unknown_session,
    ),
    (
        "session.client-chosen-id-is-never-adopted",
        "A session id that the client chose is never adopted.",
        client_chosen_id,
    ),
    (
        "session.executes-once",
        "A session executes its operation at most once; a repeat is a new challenge.",
        executes_once,
    ),
    (
        "session.login-executes-once",
        "A finished login session logs nobody in again.",
        login_executes_once,
    ),
    (
        "session.many-of-one-user-push-out-none-of-another",
        "However many sessions one user opens, those of another stay.",
        many_push_out_no_others,
    ),
];

/// Sessions that one user opens beside another's: more than a person needs,
/// not more than a suite can ask a server for.
const MANY: usize = 200;

/// Demands that a session opened for one operation is refused for a request
/// that differs from it, and that it then still finishes its own.
fn differs(
    ceremony: &Ceremony<'_>,
    send: impl FnOnce() -> Result<Reply, Failure>,
) -> Result<(), Failure> {
    send()?.refused(403, "M_FORBIDDEN")?;
    let reply = ceremony.finish()?;
    reply.status(200).map_err(|failure| failure.during("finishing the untouched session"))?;
    Ok(())
}

/// The same session and stage, with another operation.
fn swapped(ceremony: &Ceremony<'_>, operation: &Operation) -> Result<Reply, Failure> {
    ceremony.user.call(operation.request(Some(&ceremony.password_auth())))
}

fn bound_to_user(target: &Target) -> Check {
    let (alice, mallory) = (target.plain()?, target.shared_plain()?);
    let ceremony = alice.open(&Operation::set_up("Phone"), Proof::Password)?;
    differs(&ceremony, || {
        let mut auth = mallory.password_auth();
        auth["session"] = json!(ceremony.session);
        mallory.call(ceremony.operation.request(Some(&auth)))
    })
}

fn bound_to_endpoint(target: &Target) -> Check {
    let alice = target.plain()?;
    let ceremony = alice.open(&Operation::delete_devices(&["NONE"]), Proof::Password)?;
    let other = Operation::new("POST", "/account/deactivate", ceremony.operation.body.clone());
    differs(&ceremony, || swapped(&ceremony, &other))
}

fn bound_to_body(target: &Target) -> Check {
    let alice = target.plain()?;
    let ceremony = alice.open(&Operation::set_up("Phone"), Proof::Password)?;
    differs(&ceremony, || swapped(&ceremony, &Operation::set_up("Tablet")))
}

fn bound_to_body_half_way(target: &Target) -> Check {
    let alice = target.guarded()?;
    let ceremony = alice.open_at_totp(&Operation::set_up("Tablet"))?;
    let auth = ceremony.auth(stage::TOTP, alice.code()?);
    let other = Operation::set_up("Laptop");
    alice.call(other.request(Some(&auth)))?.refused(403, "M_FORBIDDEN")?;
    let reply = ceremony.send(&auth)?;
    ceremony.settle(stage::TOTP, reply)?.status(200)?;
    Ok(())
}

fn bound_to_path_parameters(target: &Target) -> Check {
    let alice = target.plain()?;
    alice.log_in_plainly(&json!({"device_id": "SPARE"}))?;
    let ceremony = alice.open(&Operation::delete_device("SPARE"), Proof::Password)?;
    let own = Operation::delete_device(&alice.device_id);
    differs(&ceremony, || swapped(&ceremony, &own))
}

fn bound_to_method(target: &Target) -> Check {
    let alice = target.plain()?;
    alice.log_in_plainly(&json!({"device_id": "SPARE"}))?;
    let ceremony = alice.open(&Operation::delete_device("SPARE"), Proof::Password)?;
    let post = Operation::new("POST", "/devices/SPARE", json!({}));
    swapped(&ceremony, &post)?.not_executed()?;
    ceremony.finish()?.status(200)?;
    Ok(())
}

fn login_session_is_no_operation(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let code = alice.code()?;
    let auth = login.auth(stage::TOTP, code.as_str());
    let operation = Operation::set_up("Tablet");
    alice.call(operation.request(Some(&auth)))?.refused(403, "M_FORBIDDEN")?;
    alice.logged_in(&login.totp(code)?)?;
    Ok(())
}

fn operation_session_is_no_login(target: &Target) -> Check {
    let alice = target.guarded()?;
    let ceremony = alice.open_at_totp(&Operation::set_up("Tablet"))?;
    let auth = ceremony.auth(stage::TOTP, alice.code()?);
    let login = Request::post("/login", &json!({"auth": auth}));
    target.send(&login)?.refused(403, "M_FORBIDDEN")?;
    let reply = ceremony.send(&auth)?;
    ceremony.settle(stage::TOTP, reply)?.status(200)?;
    Ok(())
}

fn valid_under_every_prefix(target: &Target) -> Check {
    let alice = target.shared_guarded()?;
    let ceremony = alice.open(&Operation::set_up("Tablet"), Proof::Totp)?;
    for prefix in ["r0", "unstable", "v3"] {
        let mut operation = ceremony.operation.clone();
        operation.endpoint = format!("/_matrix/client/{prefix}/account/two-factor/totp");
        let auth = json!({"session": ceremony.session});
        let reply = alice.call(operation.request(Some(&auth)))?;
        let challenge = reply.challenge()?;
        reply.demand(challenge.session == ceremony.session, "the same session")?;
    }
    Ok(())
}

fn unknown_session(target: &Target) -> Check {
    let alice = target.plain()?;
    let operation = Operation::set_up("Phone");
    let mut auth = alice.password_auth();
    auth["session"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let reply = alice.call(operation.request(Some(&auth)))?;
    let challenge = reply.wrong()?;
    reply.demand(challenge.completed.is_empty(), "nothing completed")?;
    // The fresh session is a good one.
    let fresh = Ceremony::of(&alice, &operation, &reply, Proof::Password)?;
    fresh.finish()?.status(200)?;
    Ok(())
}

fn client_chosen_id(target: &Target) -> Check {
    let alice = target.plain()?;
    let operation = Operation::set_up("Phone");
    let long = "A".repeat(4000);
    for chosen in ["", "0", "../..", "a b", "ZmVlbGluZyBsdWNreSB0b2RheT8", long.as_str()] {
        for _ in 0..2 {
            let mut auth = alice.password_auth();
            auth["session"] = json!(chosen);
            let reply = alice.call(operation.request(Some(&auth)))?;
            let challenge = reply.wrong()?;
            reply.demand(challenge.session != chosen, "a session that the server chose")?;
        }
    }
    Ok(())
}

fn executes_once(target: &Target) -> Check {
    let alice = target.plain()?;
    let ceremony = alice.open(&Operation::set_up("Phone"), Proof::Password)?;
    ceremony.finish()?.status(200)?;
    for auth in [ceremony.password_auth(), json!({"session": ceremony.session})] {
        let reply = ceremony.send(&auth)?;
        let challenge = reply.challenge()?;
        reply.demand(challenge.session != ceremony.session, "a new session")?;
        reply.demand(challenge.completed.is_empty(), "nothing completed")?;
    }
    Ok(())
}

fn login_executes_once(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let auth = login.auth(stage::TOTP, alice.code()?);
    alice.logged_in(&login.send(&auth)?)?;
    let next = login.auth(stage::TOTP, alice.code()?);
    for auth in [auth, json!({"session": login.session}), next] {
        let reply = login.send(&auth)?;
        reply.status(401)?.not_executed()?;
        reply.demand(reply.text("/session")? != login.session, "a new session")?;
    }
    Ok(())
}

fn many_push_out_no_others(target: &Target) -> Check {
    let (alice, mallory) = (target.plain()?, target.plain()?);
    let (first, operation) = (Operation::set_up("Phone"), Operation::set_up("Tablet"));
    let ceremony = alice.open(&first, Proof::Password)?;
    for _ in 0..MANY {
        // A server may refuse to open more; it may not close Alice's.
        mallory.ask(&operation)?;
    }
    ceremony.finish()?.status(200)?;
    Ok(())
}
