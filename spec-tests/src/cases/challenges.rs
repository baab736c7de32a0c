//! The 401 body: flows, params, session, completed.

use serde_json::json;

use crate::{
    Failure,
    case::{Check, Row},
    client::{Challenge, Reply},
    fixture::{Operation, Proof, Target, User},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "challenge.flows.user-without-a-factor-is-asked-for-the-password",
        "A user without a second factor is offered the password alone.",
        plain_user_is_asked_for_the_password,
    ),
    (
        "challenge.flows.password-and-totp",
        "A user with a second factor is offered the password with a TOTP code.",
        password_and_totp,
    ),
    (
        "challenge.flows.password-and-recovery",
        "While recovery codes remain, the password with a recovery code is offered.",
        password_and_recovery,
    ),
    (
        "challenge.flows.none-without-a-second-factor",
        "No native flow leaves the second factor out for a user who has one.",
        none_without_a_second_factor,
    ),
    (
        "challenge.params.always-present",
        "`params` is always present, `{}` if empty.",
        params_are_always_present,
    ),
    (
        "challenge.params.totp-has-strings",
        "The params of the TOTP stage are the strings `6` and `30`.",
        totp_params_are_strings,
    ),
    (
        "challenge.params.recovery-is-empty",
        "The params of the recovery stage are `{}`.",
        recovery_params_are_empty,
    ),
    (
        "challenge.session.url-safe-and-128-bits",
        "A session is URL-safe and holds at least 128 bits.",
        session_is_url_safe_and_long,
    ),
    (
        "challenge.session.never-the-same",
        "Each challenge has a session of its own.",
        sessions_differ,
    ),
    (
        "challenge.completed.grows-without-errcode",
        "A stage done with more to do is 401, `completed` grows, no errcode.",
        completed_grows,
    ),
    (
        "challenge.wrong-password-in-an-operation-is-401",
        "A wrong password inside an operation is 401 M_FORBIDDEN; the session stays.",
        wrong_password_is_401,
    ),
    (
        "challenge.password-of-another-user-is-403",
        "A password stage that names another user than the access token's is 403.",
        password_of_another_user,
    ),
    (
        "challenge.asking-takes-no-token-away",
        "A challenge leaves the access token valid.",
        token_stays_valid,
    ),
];

fn challenge_of(user: &User) -> Result<(Reply, Challenge), Failure> {
    let reply = user.ask(&Operation::set_up("Tablet"))?;
    let challenge = reply.challenge()?;
    Ok((reply, challenge))
}

fn has_both(flow: &[String], factor: &str) -> bool {
    let has = |name: &str| flow.iter().any(|stage| stage == name);
    flow.len() == 2 && has(stage::PASSWORD) && has(factor)
}

fn plain_user_is_asked_for_the_password(target: &Target) -> Check {
    let (reply, challenge) = challenge_of(target.shared_plain()?)?;
    let native = challenge.flows.iter().filter(|flow| *flow != &[stage::SSO]);
    let held = native.eq([&[stage::PASSWORD]]);
    reply.demand(held, "the one native flow [m.login.password]")?;
    Ok(())
}

fn password_and_totp(target: &Target) -> Check {
    let (reply, challenge) = challenge_of(target.shared_guarded()?)?;
    let held = challenge.flows.iter().any(|flow| has_both(flow, stage::TOTP));
    reply.demand(held, "a flow of m.login.password and m.login.2fa.totp")?;
    Ok(())
}

fn password_and_recovery(target: &Target) -> Check {
    let (reply, challenge) = challenge_of(target.shared_guarded()?)?;
    let held = challenge.flows.iter().any(|flow| has_both(flow, stage::RECOVERY));
    reply.demand(held, "a flow of m.login.password and m.login.2fa.recovery")?;
    Ok(())
}

fn none_without_a_second_factor(target: &Target) -> Check {
    let (reply, challenge) = challenge_of(target.shared_guarded()?)?;
    reply.demand(challenge.always_asks_for_a_factor(), "a second factor in every native flow")?;
    Ok(())
}

fn params_are_always_present(target: &Target) -> Check {
    challenge_of(target.shared_plain()?)?;
    challenge_of(target.shared_guarded()?)?;
    Ok(())
}

fn totp_params_are_strings(target: &Target) -> Check {
    let (reply, challenge) = challenge_of(target.shared_guarded()?)?;
    let held = challenge.params[stage::TOTP] == json!({"digits": "6", "period": "30"});
    reply.demand(held, r#"params of m.login.2fa.totp {"digits": "6", "period": "30"}"#)?;
    Ok(())
}

fn recovery_params_are_empty(target: &Target) -> Check {
    let (reply, challenge) = challenge_of(target.shared_guarded()?)?;
    let held = challenge.params[stage::RECOVERY] == json!({});
    reply.demand(held, "params of m.login.2fa.recovery {}")?;
    Ok(())
}

fn session_is_url_safe_and_long(target: &Target) -> Check {
    let (reply, challenge) = challenge_of(target.shared_plain()?)?;
    // RFC 3986's unreserved characters; 22 of 64 different ones hold 128 bits.
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let held = challenge.session.len() >= 22 && challenge.session.bytes().all(safe);
    reply.demand(held, "a session of at least 22 unreserved characters")?;
    Ok(())
}

fn sessions_differ(target: &Target) -> Check {
    let user = target.shared_plain()?;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        let (reply, challenge) = challenge_of(user)?;
        reply.demand(!sessions.contains(&challenge.session), "a session not seen before")?;
        sessions.push(challenge.session);
    }
    Ok(())
}

fn completed_grows(target: &Target) -> Check {
    let alice = target.guarded()?;
    let ceremony = alice.open(&Operation::set_up("Tablet"), Proof::Totp)?;
    let reply = ceremony.attempt(&ceremony.flow[0])?;
    let challenge = reply.challenge()?;
    reply.demand(reply.errcode().is_none(), "no errcode")?;
    reply.demand(challenge.completed == ceremony.flow[..1], "the first stage completed")?;
    reply.demand(challenge.session == ceremony.session, "the same session")?;
    ceremony.attempt(&ceremony.flow[1])?.status(200)?;
    Ok(())
}

fn wrong_password_is_401(target: &Target) -> Check {
    let alice = target.plain()?;
    let ceremony = alice.open(&Operation::set_up("Phone"), Proof::Password)?;
    let mut auth = ceremony.password_auth();
    auth["password"] = json!("not the password");
    let reply = ceremony.send(&auth)?;
    let challenge = reply.wrong()?;
    reply.demand(challenge.session == ceremony.session, "the same session")?;
    ceremony.attempt(stage::PASSWORD)?.status(200)?;
    Ok(())
}

fn password_of_another_user(target: &Target) -> Check {
    let (alice, bob) = (target.plain()?, target.shared_plain()?);
    let ceremony = alice.open(&Operation::set_up("Phone"), Proof::Password)?;
    let mut auth = bob.password_auth();
    auth["session"] = json!(ceremony.session);
    ceremony.send(&auth)?.refused(403, "M_FORBIDDEN")?;
    Ok(())
}

fn token_stays_valid(target: &Target) -> Check {
    let alice = target.shared_guarded()?;
    let (reply, _) = challenge_of(alice)?;
    reply.demand(reply.errcode() != Some("M_UNKNOWN_TOKEN"), "no M_UNKNOWN_TOKEN in mid-flow")?;
    alice.get("/account/whoami")?.status(200)?;
    Ok(())
}
