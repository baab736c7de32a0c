//! The `auth` object itself: absent, malformed, incomplete.

use serde_json::{Value, json};

use crate::{
    case::{Check, Row},
    client::Request,
    fixture::{Operation, Proof, Target},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "auth.absent-null-or-empty-asks-for-a-challenge",
        "`auth` absent, null or `{}` asks for a challenge.",
        empty_auth_asks_for_a_challenge,
    ),
    (
        "auth.empty-does-not-advance-a-session",
        "An empty `auth` completes no stage.",
        empty_auth_completes_nothing,
    ),
    (
        "auth.not-an-object-is-bad-json",
        "`auth` that is no object is 400 M_BAD_JSON.",
        auth_must_be_an_object,
    ),
    (
        "auth.missing-type-is-missing-param",
        "A missing `type` with other keys is 400 M_MISSING_PARAM.",
        missing_type,
    ),
    (
        "auth.type-or-session-of-a-wrong-type-is-bad-json",
        "`type` and `session` that are no strings are 400 M_BAD_JSON.",
        wrong_types,
    ),
    (
        "auth.missing-token-is-missing-param",
        "A second-factor stage without `token` is 400 M_MISSING_PARAM.",
        missing_token,
    ),
    (
        "auth.token-that-is-no-string-is-bad-json",
        "A `token` that is no string is 400 M_BAD_JSON.",
        token_must_be_a_string,
    ),
    (
        "auth.bad-json-is-not-counted",
        "What is refused as 400 is no guess and leaves the session as it was.",
        bad_json_is_not_counted,
    ),
    (
        "auth.session-alone-reports",
        "`{\"session\"}` alone reports where the session stands.",
        session_alone_reports,
    ),
    (
        "auth.session-alone-executes-nothing-unproven",
        "`{\"session\"}` alone completes no stage.",
        session_alone_completes_nothing,
    ),
    (
        "auth.unknown-stage-completes-nothing",
        "A stage that no flow offers is refused and completes nothing.",
        unknown_stage,
    ),
];

fn empty_auth_asks_for_a_challenge(target: &Target) -> Check {
    let user = target.shared_guarded()?;
    let operation = Operation::set_up("Tablet");
    for auth in [None, Some(Value::Null), Some(json!({}))] {
        let reply = user.call(operation.request(auth.as_ref()))?;
        let challenge = reply.challenge()?;
        reply.demand(challenge.completed.is_empty(), "nothing completed")?;
        reply.demand(reply.errcode().is_none(), "no errcode: nothing has failed")?;
    }
    Ok(())
}

fn empty_auth_completes_nothing(target: &Target) -> Check {
    let user = target.shared_guarded()?;
    let (login, _) = user.begin_login_with(&json!({}))?;
    let empty = target.send(&Request::post("/login", &json!({"auth": {}})))?;
    empty.status(401)?.not_executed()?;
    let reply = login.send(&json!({"session": login.session}))?;
    reply.demand(reply.completed() == [stage::PASSWORD], "the password alone completed")?;
    Ok(())
}

fn auth_must_be_an_object(target: &Target) -> Check {
    let user = target.shared_guarded()?;
    let operation = Operation::set_up("Tablet");
    for auth in [json!("x"), json!(5), json!(true), json!([]), json!([{"type": stage::TOTP}])] {
        user.call(operation.request(Some(&auth)))?.refused(400, "M_BAD_JSON")?;
        let login = Request::post("/login", &json!({"auth": auth}));
        target.send(&login)?.refused(400, "M_BAD_JSON")?;
    }
    Ok(())
}

fn missing_type(target: &Target) -> Check {
    let user = target.shared_guarded()?;
    let ceremony = user.open(&Operation::set_up("Tablet"), Proof::Totp)?;
    let auths = [
        json!({"session": ceremony.session, "token": "123456"}),
        json!({"token": "123456"}),
        json!({"password": "x"}),
    ];
    for auth in auths {
        ceremony.send(&auth)?.refused(400, "M_MISSING_PARAM")?;
    }
    Ok(())
}

fn wrong_types(target: &Target) -> Check {
    let user = target.shared_guarded()?;
    let ceremony = user.open(&Operation::set_up("Tablet"), Proof::Totp)?;
    let auths = [
        json!({"type": 5, "session": ceremony.session}),
        json!({"type": [stage::TOTP], "session": ceremony.session, "token": "123456"}),
        json!({"type": stage::TOTP, "session": 5, "token": "123456"}),
        json!({"type": stage::TOTP, "session": {}, "token": "123456"}),
    ];
    for auth in auths {
        ceremony.send(&auth)?.refused(400, "M_BAD_JSON")?;
    }
    Ok(())
}

fn missing_token(target: &Target) -> Check {
    let login = target.shared_guarded()?.begin_login()?;
    for stage in [stage::TOTP, stage::RECOVERY] {
        let auth = json!({"type": stage, "session": login.session});
        login.send(&auth)?.refused(400, "M_MISSING_PARAM")?;
    }
    Ok(())
}

fn token_must_be_a_string(target: &Target) -> Check {
    let login = target.shared_guarded()?.begin_login()?;
    for token in [json!(123_456), json!(1.5), json!(true), json!(["123456"]), json!({"a": "b"})] {
        login.totp(token.clone())?.refused(400, "M_BAD_JSON")?;
        login.recovery(token)?.refused(400, "M_BAD_JSON")?;
    }
    Ok(())
}

fn bad_json_is_not_counted(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    for _ in 0..4 {
        login.totp(123_456)?.refused_any(400)?;
        login.send(&json!({"type": stage::TOTP, "session": login.session}))?.refused_any(400)?;
    }
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn session_alone_reports(target: &Target) -> Check {
    let user = target.shared_guarded()?;
    let login = user.begin_login()?;
    let reply = login.send(&json!({"session": login.session}))?;
    let challenge = reply.challenge()?;
    reply.demand(challenge.session == login.session, "the same session")?;
    reply.demand(challenge.completed == [stage::PASSWORD], "m.login.password completed")?;
    Ok(())
}

fn session_alone_completes_nothing(target: &Target) -> Check {
    let user = target.shared_guarded()?;
    let ceremony = user.open(&Operation::set_up("Tablet"), Proof::Totp)?;
    for _ in 0..3 {
        let reply = ceremony.send(&json!({"session": ceremony.session}))?;
        let challenge = reply.challenge()?;
        reply.demand(challenge.session == ceremony.session, "the same session")?;
        reply.demand(challenge.completed.is_empty(), "nothing completed")?;
    }
    Ok(())
}

fn unknown_stage(target: &Target) -> Check {
    let user = target.shared_guarded()?;
    let ceremony = user.open(&Operation::set_up("Tablet"), Proof::Totp)?;
    for stage in [stage::DUMMY, stage::REGISTRATION_TOKEN, stage::SSO, "m.login.2fa.TOTP", ""] {
        let auth = json!({"type": stage, "session": ceremony.session, "token": "123456"});
        let reply = ceremony.send(&auth)?;
        reply.not_executed()?.demand(!reply.is_stage_done(), "no stage done")?;
    }
    let reply = ceremony.send(&json!({"session": ceremony.session}))?;
    let completed = reply.challenge()?.completed;
    reply.demand(completed.is_empty(), "nothing completed")?;
    Ok(())
}
