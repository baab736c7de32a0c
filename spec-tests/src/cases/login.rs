//! The two steps of a login.

use serde_json::{Value, json};

use crate::{
    case::{Check, Row},
    client::Request,
    fixture::{Target, User},
    random, stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "login.types.password-and-token",
        "GET /login lists m.login.password and m.login.token.",
        types_password_and_token,
    ),
    ("login.types.sso", "GET /login lists m.login.sso.", types_sso),
    ("login.types.unknown-is-m-unknown", "Any other login type is 400 M_UNKNOWN.", unknown_type),
    (
        "login.password-alone-without-a-factor",
        "The right password of a user without a second factor is 200.",
        plain_login,
    ),
    (
        "login.wrong-password-is-403",
        "A wrong password is 403 M_FORBIDDEN, with or without a second factor.",
        wrong_password,
    ),
    ("login.unknown-user-is-403", "An unknown user is 403 M_FORBIDDEN.", unknown_user),
    (
        "login.refusals-are-the-same-bytes",
        "Unknown user and wrong password are answered in the same bytes, \
         whether or not the user has a second factor.",
        refusals_are_the_same_bytes,
    ),
    (
        "login.refusals-take-like-time",
        "Unknown user and wrong password take like time.",
        refusals_take_like_time,
    ),
    (
        "login.second-factor-needs-401-with-errcode",
        "The right password of a user with a second factor is 401 with flows, params, \
         session, completed, errcode M_FORBIDDEN and a text for a person.",
        second_factor_needs_401,
    ),
    (
        "login.auth-form-has-no-errcode",
        "Step 1 in an `auth` is the same, without errcode on the 401.",
        auth_form_has_no_errcode,
    ),
    (
        "login.auth-form-logs-in-without-a-factor",
        "Step 1 in an `auth` logs a user without a second factor in.",
        auth_form_plain,
    ),
    (
        "login.auth-form-wrong-password-is-403",
        "A wrong password at login is 403 in an `auth`, too.",
        auth_form_wrong_password,
    ),
    (
        "login.nothing-exists-before-the-second-factor",
        "After step 1 no device and no token exist yet.",
        nothing_exists_yet,
    ),
    (
        "login.second-factor-in-every-flow",
        "Every flow of a login of a user with a second factor asks for it.",
        second_factor_in_every_flow,
    ),
    ("login.recovery-code-logs-in", "A recovery code finishes a login.", recovery_code_logs_in),
    (
        "login.user-of-the-first-stage-stays",
        "In a login session the user of the first stage stays.",
        user_of_the_first_stage_stays,
    ),
];

fn has_type(target: &Target, wanted: &str) -> Check {
    let reply = target.send(&Request::get("/login"))?;
    let types = reply.status(200)?.json["flows"].as_array().cloned().unwrap_or_default();
    let held = types.iter().any(|flow| flow["type"] == wanted);
    reply.demand(held, &format!("{wanted} among the flows"))?;
    Ok(())
}

fn types_password_and_token(target: &Target) -> Check {
    has_type(target, stage::PASSWORD)?;
    has_type(target, "m.login.token")
}

fn types_sso(target: &Target) -> Check {
    has_type(target, stage::SSO)
}

fn unknown_type(target: &Target) -> Check {
    for kind in ["org.example.unknown", "m.login.dummy", "org.matrix.login.jwt", "M.LOGIN.PASSWORD"]
    {
        let body = json!({"type": kind, "token": "x"});
        target.send(&Request::post("/login", &body))?.refused(400, "M_UNKNOWN")?;
    }
    Ok(())
}

fn plain_login(target: &Target) -> Check {
    target.shared_plain()?.log_in_plainly(&json!({}))?;
    Ok(())
}

fn wrong_password(target: &Target) -> Check {
    for user in [target.shared_plain()?, target.shared_guarded()?] {
        for password in ["not the password", ""] {
            let reply = user.login_with(&json!({"password": password}))?;
            reply.refused(403, "M_FORBIDDEN")?;
        }
    }
    Ok(())
}

/// A login body for a user that does not exist.
fn nobody() -> Value {
    let name = format!("spec-{}", random::letters(14));
    json!({
        "type": stage::PASSWORD, "password": "not the password",
        "identifier": {"type": "m.id.user", "user": name},
    })
}

/// A login body with a wrong password.
fn mistaken(user: &User) -> Value {
    let mut body = user.login_body();
    body["password"] = json!("not the password");
    body
}

fn unknown_user(target: &Target) -> Check {
    target.send(&Request::post("/login", &nobody()))?.refused(403, "M_FORBIDDEN")?;
    Ok(())
}

fn refusals_are_the_same_bytes(target: &Target) -> Check {
    let expected = target.send(&Request::post("/login", &nobody()))?;
    expected.refused(403, "M_FORBIDDEN")?;
    for user in [target.shared_plain()?, target.shared_guarded()?] {
        let reply = target.send(&Request::post("/login", &mistaken(user)))?;
        let bytes = String::from_utf8_lossy(&expected.body).into_owned();
        let same = reply.status == expected.status && reply.body == expected.body;
        reply.demand(same, &format!("403 with the same bytes as for nobody: {bytes}"))?;
    }
    Ok(())
}

fn refusals_take_like_time(target: &Target) -> Check {
    const ROUNDS: usize = 9;
    let user = target.shared_guarded()?;
    let (mut of_nobody, mut of_user) = (u128::MAX, u128::MAX);
    target.alone(|| -> Check {
        // The fastest of several is the time without what else went on.
        for _ in 0..ROUNDS {
            of_nobody = of_nobody.min(target.timed(&Request::post("/login", &nobody()))?);
            of_user = of_user.min(target.timed(&Request::post("/login", &mistaken(user)))?);
        }
        Ok(())
    })?;
    let (low, high) = (of_nobody.min(of_user), of_nobody.max(of_user));
    let reply = target.send(&Request::post("/login", &nobody()))?;
    let expected = format!("like times, not {of_nobody} ms for nobody, {of_user} ms for a user");
    reply.demand(high <= 2 * low + 10, &expected)?;
    Ok(())
}

fn second_factor_needs_401(target: &Target) -> Check {
    let reply = target.shared_guarded()?.login_with(&json!({}))?;
    let challenge = reply.refused(401, "M_FORBIDDEN")?.challenge()?;
    reply.demand(challenge.completed == [stage::PASSWORD], "m.login.password completed")?;
    reply.demand(reply.text("/error")?.len() > 10, "a text that tells a person what to do")?;
    let wanted = [stage::PASSWORD, stage::TOTP];
    let offered = challenge.flows.iter().any(|flow| *flow == wanted);
    reply.demand(offered, "the flow [m.login.password, m.login.2fa.totp]")?;
    Ok(())
}

fn auth_form_has_no_errcode(target: &Target) -> Check {
    let user = target.shared_guarded()?;
    let body = json!({"auth": user.password_auth()});
    let reply = target.send(&Request::post("/login", &body))?;
    let challenge = reply.challenge()?;
    reply.demand(challenge.completed == [stage::PASSWORD], "m.login.password completed")?;
    reply.demand(reply.errcode().is_none(), "no errcode")?;
    Ok(())
}

fn auth_form_plain(target: &Target) -> Check {
    let user = target.shared_plain()?;
    let body = json!({"auth": user.password_auth()});
    user.logged_in(&target.send(&Request::post("/login", &body))?)?;
    Ok(())
}

fn auth_form_wrong_password(target: &Target) -> Check {
    for user in [target.shared_plain()?, target.shared_guarded()?] {
        let body = json!({"auth": mistaken(user)});
        target.send(&Request::post("/login", &body))?.refused(403, "M_FORBIDDEN")?;
    }
    Ok(())
}

fn nothing_exists_yet(target: &Target) -> Check {
    let alice = target.guarded()?;
    let before = alice.devices()?;
    let reply = alice.login_with(&json!({"device_id": "EARLY", "refresh_token": true}))?;
    reply.status(401)?;
    for key in ["access_token", "refresh_token", "device_id", "login_token"] {
        reply.demand(reply.json.get(key).is_none(), &format!("no {key}"))?;
    }
    let after = alice.devices()?;
    reply.demand(before == after, &format!("the devices {before:?}, not {after:?}"))?;
    Ok(())
}

fn second_factor_in_every_flow(target: &Target) -> Check {
    let reply = target.shared_guarded()?.login_with(&json!({}))?;
    let held = reply.challenge()?.always_asks_for_a_factor();
    reply.demand(held, "a second factor in every native flow")?;
    Ok(())
}

fn recovery_code_logs_in(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    alice.logged_in(&login.recovery(alice.recovery_code()?)?)?;
    Ok(())
}

fn user_of_the_first_stage_stays(target: &Target) -> Check {
    let (alice, bob) = (target.guarded()?, target.shared_guarded()?);
    let login = alice.begin_login()?;
    let mut auth = bob.password_auth();
    auth["session"] = json!(login.session);
    login.send(&auth)?.status(401)?.not_executed()?;
    let mut code = login.auth(stage::TOTP, alice.code()?);
    code["identifier"] = json!({"type": "m.id.user", "user": bob.localpart});
    alice.logged_in(&login.send(&code)?)?;
    Ok(())
}
