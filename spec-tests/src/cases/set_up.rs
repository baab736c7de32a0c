//! Beginning to set an authenticator up.

use serde_json::{Value, json};

use crate::{
    authenticator::Authenticator,
    case::{Check, Row},
    client::Request,
    fixture::{Operation, Proof, Target},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "two-factor.needs-an-access-token",
        "Every two-factor endpoint needs an access token.",
        needs_an_access_token,
    ),
    ("two-factor.set-up-needs-uia", "Setting up needs User-Interactive Authentication.", needs_uia),
    (
        "two-factor.set-up-needs-the-enrolled-factor",
        "With a factor enrolled, the password alone sets up no other one.",
        needs_the_enrolled_factor,
    ),
    (
        "two-factor.set-up-answers-secret-and-uri",
        "Set-up answers id, base32 secret of 160 bits, uri, SHA1, 6, 30, expiry.",
        answers_secret_and_uri,
    ),
    (
        "two-factor.uri-is-otpauth",
        "The URI is otpauth with issuer, account without colon, and all parameters.",
        uri_is_otpauth,
    ),
    (
        "two-factor.name-defaults-to-authenticator",
        "Without a name it is `Authenticator`.",
        name_defaults,
    ),
    (
        "two-factor.name-has-1-to-64-characters",
        "A name has 1 to 64 characters, not bytes.",
        name_has_1_to_64_characters,
    ),
    (
        "two-factor.pending-is-not-listed",
        "A pending authenticator is not listed, nor its secret.",
        pending_is_not_listed,
    ),
    (
        "two-factor.pending-protects-nothing",
        "With a pending authenticator only, login asks for the password alone.",
        pending_protects_nothing,
    ),
    (
        "two-factor.pending-unlocks-nothing",
        "A code of a pending authenticator is wrong.",
        pending_unlocks_nothing,
    ),
    (
        "two-factor.set-up-again-replaces-the-pending-one",
        "Beginning again replaces the pending authenticator.",
        again_replaces_pending,
    ),
    (
        "two-factor.set-up-leaves-active-ones",
        "Beginning again leaves active authenticators untouched.",
        leaves_active_ones,
    ),
    (
        "two-factor.at-most-five-active",
        "A sixth authenticator is 400 M_LIMIT_EXCEEDED.",
        at_most_five_active,
    ),
];

fn needs_an_access_token(target: &Target) -> Check {
    let paths = [
        ("GET", "/account/two-factor"),
        ("POST", "/account/two-factor/totp"),
        ("POST", "/account/two-factor/totp/t_x/confirm"),
        ("PUT", "/account/two-factor/totp/t_x"),
        ("DELETE", "/account/two-factor/totp/t_x"),
        ("POST", "/account/two-factor/recovery"),
    ];
    for (method, path) in paths {
        let request = || match method {
            "GET" => Request::get(path),
            _ => Request::new(method, path).json(&json!({"token": "123456", "name": "x"})),
        };
        target.send(&request())?.refused(401, "M_MISSING_TOKEN")?;
        target.send(&request().bearer("unknown"))?.refused(401, "M_UNKNOWN_TOKEN")?;
    }
    Ok(())
}

fn needs_uia(target: &Target) -> Check {
    target.shared_plain()?.ask(&Operation::set_up("Phone"))?.challenge()?;
    Ok(())
}

fn needs_the_enrolled_factor(target: &Target) -> Check {
    let alice = target.shared_guarded()?;
    let ceremony = alice.open(&Operation::set_up("Intruder"), Proof::Totp)?;
    ceremony.attempt(stage::PASSWORD)?.status(401)?.not_executed()?;
    let reply = ceremony.send(&json!({"session": ceremony.session}))?;
    reply.status(401)?.not_executed()?;
    Ok(())
}

fn answers_secret_and_uri(target: &Target) -> Check {
    let alice = target.plain()?;
    let reply = alice.perform(&Operation::set_up("Phone"), Proof::Password)?;
    reply.status(200)?.text("/id")?;
    let secret = reply.text("/secret")?;
    let base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    let held = secret.len() == 32 && secret.bytes().all(base32);
    reply.demand(held, "a secret of 32 base32 characters: 160 bits, no padding")?;
    reply.holds("/algorithm", &json!("SHA1"))?.holds("/digits", &json!(6))?;
    reply.holds("/period", &json!(30))?;
    let lives = reply.json["expires_in_ms"].as_u64().is_some_and(|expires| expires > 0);
    reply.demand(lives, "a positive expires_in_ms")?;
    let again = alice.perform(&Operation::set_up("Phone"), Proof::Password)?;
    again.demand(again.text("/secret")? != secret, "another secret each time")?;
    Ok(())
}

fn uri_is_otpauth(target: &Target) -> Check {
    let alice = target.plain()?;
    let reply = alice.perform(&Operation::set_up("Phone"), Proof::Password)?;
    let uri = reply.status(200)?.text("/uri")?;
    let parts = uri.strip_prefix("otpauth://totp/").and_then(|rest| rest.split_once('?'));
    let (label, query) =
        parts.ok_or_else(|| reply.unlike("a uri otpauth://totp/<label>?<parameters>"))?;
    let label = label.replace("%3A", ":").replace("%3a", ":").replace("%40", "@");
    let account = format!("{}@{}", alice.localpart, alice.server_name);
    let (issuer, named) = label.split_once(':').unwrap_or_default();
    reply.demand(!issuer.is_empty(), "a label <issuer>:<account>")?;
    reply.demand(named == account, &format!("the account {account} in the label"))?;
    let secret = format!("secret={}", reply.text("/secret")?);
    let issuer = format!("issuer={issuer}");
    for wanted in [secret.as_str(), issuer.as_str(), "algorithm=SHA1", "digits=6", "period=30"] {
        let held = query.split('&').any(|parameter| parameter == wanted);
        reply.demand(held, &format!("{wanted} in the uri"))?;
    }
    Ok(())
}

fn name_defaults(target: &Target) -> Check {
    let alice = target.plain()?;
    let operation = Operation::new("POST", "/account/two-factor/totp", json!({}));
    let reply = alice.perform(&operation, Proof::Password)?;
    let id = reply.status(200)?.text("/id")?;
    let phone = Authenticator::new(id, reply.text("/secret")?);
    let phone = phone.ok_or_else(|| reply.unlike("a base32 secret"))?;
    alice.confirm(id, &phone.code())?.status(200)?;
    let name = "/providers/m.login.2fa.totp/authenticators/0/name";
    alice.factors()?.holds(name, &json!("Authenticator"))?;
    Ok(())
}

fn name_has_1_to_64_characters(target: &Target) -> Check {
    let alice = target.plain()?;
    for name in ["", &"x".repeat(65), &"ä".repeat(65)] {
        alice.perform(&Operation::set_up(name), Proof::Password)?.refused_any(400)?;
    }
    alice.perform(&Operation::set_up(&"ä".repeat(64)), Proof::Password)?.status(200)?;
    Ok(())
}

fn pending_is_not_listed(target: &Target) -> Check {
    let alice = target.plain()?;
    let reply = alice.perform(&Operation::set_up("Phone"), Proof::Password)?;
    let secret = reply.status(200)?.text("/secret")?;
    let factors = alice.factors()?;
    factors.holds("/providers", &json!({}))?;
    let shown = String::from_utf8_lossy(&factors.body).contains(secret);
    factors.demand(!shown, "no secret in the status")?;
    Ok(())
}

fn pending_protects_nothing(target: &Target) -> Check {
    let alice = target.plain()?;
    alice.set_up("Phone", Proof::Password)?;
    alice.log_in_plainly(&json!({}))?;
    alice.set_up("Phone", Proof::Password)?;
    Ok(())
}

fn pending_unlocks_nothing(target: &Target) -> Check {
    let alice = target.guarded()?;
    let pending = alice.set_up("Tablet", Proof::Recovery)?;
    let login = alice.begin_login()?;
    login.totp(pending.code())?.wrong()?;
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn again_replaces_pending(target: &Target) -> Check {
    let alice = target.plain()?;
    let first = alice.set_up("Phone", Proof::Password)?;
    let second = alice.set_up("Phone", Proof::Password)?;
    alice.confirm(&first.id, &first.code())?.refused(404, "M_NOT_FOUND")?;
    alice.confirm(&second.id, &second.code())?.status(200)?;
    Ok(())
}

fn leaves_active_ones(target: &Target) -> Check {
    let alice = target.guarded()?;
    let before = alice.factors()?.json;
    alice.set_up("Tablet", Proof::Recovery)?;
    let reply = alice.factors()?;
    let list = |json: &Value| json.pointer("/providers/m.login.2fa.totp").cloned();
    reply.demand(list(&reply.json) == list(&before), "the authenticators as they were")?;
    alice.logged_in(&alice.begin_login()?.totp(alice.code()?)?)?;
    Ok(())
}

fn at_most_five_active(target: &Target) -> Check {
    let alice = target.guarded()?;
    for name in ["Two", "Three", "Four", "Five"] {
        alice.add_authenticator(name)?;
    }
    let sixth = alice.perform(&Operation::set_up("Six"), Proof::Recovery)?;
    sixth.refused(400, "M_LIMIT_EXCEEDED")?;
    Ok(())
}
