//! Stages complete in order.

use serde_json::json;

use crate::{
    case::{Check, Row},
    client::Request,
    fixture::{Login, Operation, Proof, Target},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "order.stage-out-of-order-changes-nothing",
        "A stage out of order is a 401 that completes nothing and spends no code.",
        out_of_order_changes_nothing,
    ),
    (
        "order.stage-out-of-order-is-not-counted",
        "A stage out of order counts nothing.",
        out_of_order_is_not_counted,
    ),
    (
        "order.completed-stage-cannot-be-retried",
        "A completed stage cannot be retried, neither rightly nor wrongly.",
        completed_stage_cannot_be_retried,
    ),
    (
        "order.code-before-the-password-is-no-login",
        "A second factor before the password is no login.",
        code_before_the_password,
    ),
];

fn out_of_order_changes_nothing(target: &Target) -> Check {
    let alice = target.guarded()?;
    let ceremony = alice.open(&Operation::set_up("Tablet"), Proof::Totp)?;
    let code = alice.code()?;
    let auth = |stage: &str| match stage {
        stage::PASSWORD => ceremony.password_auth(),
        other => ceremony.auth(other, code.as_str()),
    };
    let reply = ceremony.send(&auth(&ceremony.flow[1]))?;
    let challenge = reply.wrong()?;
    reply.demand(challenge.completed.is_empty(), "nothing completed")?;
    let reply = ceremony.send(&auth(&ceremony.flow[0]))?;
    reply.demand(reply.is_stage_done(), "the first stage done")?;
    // The same code, which trying it too early did not spend.
    ceremony.send(&auth(&ceremony.flow[1]))?.status(200)?;
    Ok(())
}

fn out_of_order_is_not_counted(target: &Target) -> Check {
    let alice = target.guarded()?;
    let ceremony = alice.open(&Operation::set_up("Tablet"), Proof::Totp)?;
    for code in alice.phone()?.wrong_codes().take(6) {
        let auth = match ceremony.flow[1].as_str() {
            stage::PASSWORD => ceremony.password_auth(),
            other => ceremony.auth(other, code),
        };
        ceremony.send(&auth)?.wrong()?;
    }
    ceremony.finish()?.status(200)?;
    Ok(())
}

fn completed_stage_cannot_be_retried(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let mut again = alice.password_auth();
    again["session"] = json!(login.session);
    let mut wrong = again.clone();
    wrong["password"] = json!("not the password");
    for auth in [again, wrong] {
        let reply = login.send(&auth)?;
        let challenge = reply.wrong()?;
        reply.demand(challenge.completed == [stage::PASSWORD], "the password still completed")?;
    }
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn code_before_the_password(target: &Target) -> Check {
    let alice = target.guarded()?;
    let reply = target.send(&Request::post("/login", &json!({"auth": {}})))?;
    let session = reply.status(401)?.text("/session")?.to_owned();
    let code = alice.code()?;
    Login::resume(&alice, session).totp(code.as_str())?.status(401)?.not_executed()?;
    let identified = json!({
        "type": stage::TOTP, "token": code,
        "identifier": {"type": "m.id.user", "user": alice.localpart},
    });
    target.send(&Request::post("/login", &json!({"auth": identified})))?.not_executed()?;
    target.send(&Request::post("/login", &identified))?.not_executed()?;
    // None of it was evaluated.
    alice.logged_in(&alice.begin_login()?.totp(code)?)?;
    Ok(())
}
