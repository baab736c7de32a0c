//! Identifiers, devices and refresh tokens of a login.

use serde_json::{Value, json};

use crate::{
    case::{Check, Row},
    client::{Reply, Request},
    fixture::{Target, User},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "login.identifier.in-any-case",
        "A local part in another case names the same user and asks for the second factor.",
        in_any_case,
    ),
    ("login.identifier.full-id", "A full ID of this server, in any case, names the user.", full_id),
    (
        "login.identifier.legacy-user-field",
        "The legacy `user` field names the user.",
        legacy_user_field,
    ),
    (
        "login.identifier.of-another-server-is-403",
        "A full ID of another server is 403.",
        of_another_server,
    ),
    (
        "login.device-id-of-step-1",
        "The device ID of step 1 is that of the new device.",
        device_id_of_step_1,
    ),
    (
        "login.device-display-name-of-step-1",
        "The display name of step 1 is that of the new device.",
        display_name_of_step_1,
    ),
    (
        "login.refresh-token-of-step-1",
        "A refresh token comes if step 1 asked for one, just as without a second factor.",
        refresh_token_of_step_1,
    ),
    ("login.no-refresh-token-unasked", "No refresh token comes unasked.", no_refresh_token_unasked),
    (
        "login.repeated-values-may-be-equal",
        "device_id, initial_device_display_name and refresh_token may be repeated in step 2.",
        repeated_values_may_be_equal,
    ),
    (
        "login.repeated-values-must-be-equal",
        "A repeated value that differs is refused, and no code is spent.",
        repeated_values_must_be_equal,
    ),
];

/// Demands that a form of the identifier leads to the user, past no factor.
fn names_the_user(target: &Target, form: impl Fn(&User) -> Value) -> Check {
    let plain = target.shared_plain()?;
    plain.log_in_plainly(&form(plain))?;
    let guarded = target.shared_guarded()?;
    guarded.begin_login_with(&form(guarded))?;
    Ok(())
}

fn user(name: impl Into<String>) -> Value {
    json!({"identifier": {"type": "m.id.user", "user": name.into()}})
}

fn in_any_case(target: &Target) -> Check {
    names_the_user(target, |someone| user(someone.localpart.to_uppercase()))
}

fn full_id(target: &Target) -> Check {
    names_the_user(target, |someone| user(someone.id.clone()))?;
    names_the_user(target, |someone| {
        user(format!("@{}:{}", someone.localpart.to_uppercase(), someone.server_name))
    })
}

fn legacy_user_field(target: &Target) -> Check {
    for someone in [target.shared_plain()?, target.shared_guarded()?] {
        let body = json!({
            "type": stage::PASSWORD, "user": someone.localpart, "password": someone.password,
        });
        let reply = target.send(&Request::post("/login", &body))?;
        if someone.recovery_codes.is_empty() {
            someone.logged_in(&reply)?;
        } else {
            let completed = reply.challenge()?.completed;
            reply.demand(completed == [stage::PASSWORD], "m.login.password completed")?;
        }
    }
    Ok(())
}

fn of_another_server(target: &Target) -> Check {
    let someone = target.shared_plain()?;
    let id = format!("@{}:elsewhere.example.org", someone.localpart);
    someone.login_with(&user(id))?.refused(403, "M_FORBIDDEN")?;
    Ok(())
}

fn device_id_of_step_1(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (login, _) = alice.begin_login_with(&json!({"device_id": "CHOSEN"}))?;
    let reply = login.totp(alice.code()?)?;
    alice.logged_in(&reply)?.holds("/device_id", &json!("CHOSEN"))?;
    Ok(())
}

fn display_name_of_step_1(target: &Target) -> Check {
    let alice = target.guarded()?;
    let further = json!({"device_id": "NAMED", "initial_device_display_name": "Kitchen"});
    let (login, _) = alice.begin_login_with(&further)?;
    alice.logged_in(&login.totp(alice.code()?)?)?;
    alice.get("/devices/NAMED")?.status(200)?.holds("/display_name", &json!("Kitchen"))?;
    Ok(())
}

fn refresh_token_of_step_1(target: &Target) -> Check {
    let mut alice = target.plain()?;
    let asked = json!({"refresh_token": true});
    // Refresh tokens are optional: only what the plain login gives is due.
    let plainly = alice.log_in_plainly(&asked)?.json["refresh_token"].is_string();
    alice.enrol()?;
    let (login, _) = alice.begin_login_with(&asked)?;
    let reply = login.totp(alice.code()?)?;
    let given = alice.logged_in(&reply)?.json["refresh_token"].is_string();
    reply.demand(given == plainly, &format!("a refresh token: {plainly}"))?;
    Ok(())
}

fn no_refresh_token_unasked(target: &Target) -> Check {
    let alice = target.guarded()?;
    let reply = alice.begin_login()?.totp(alice.code()?)?;
    let absent = alice.logged_in(&reply)?.json.get("refresh_token").is_none();
    reply.demand(absent, "no refresh_token")?;
    Ok(())
}

fn first_step() -> Value {
    json!({"device_id": "CHOSEN", "initial_device_display_name": "Kitchen", "refresh_token": true})
}

fn repeated_values_may_be_equal(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (login, _) = alice.begin_login_with(&first_step())?;
    let auth = login.auth(stage::TOTP, alice.code()?);
    let reply = login.send_beside(first_step(), &auth)?;
    alice.logged_in(&reply)?.holds("/device_id", &json!("CHOSEN"))?;
    Ok(())
}

fn repeated_values_must_be_equal(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (login, _) = alice.begin_login_with(&first_step())?;
    let auth = login.auth(stage::TOTP, alice.code()?);
    let others = [
        json!({"device_id": "OTHER"}),
        json!({"initial_device_display_name": "Cellar"}),
        json!({"refresh_token": false}),
    ];
    for other in others {
        differing(&login.send_beside(other, &auth)?)?;
    }
    alice.logged_in(&login.send(&auth)?)?.holds("/device_id", &json!("CHOSEN"))?;
    Ok(())
}

fn differing(reply: &Reply) -> Check {
    let held = matches!(reply.status, 400 | 403) && reply.errcode().is_some();
    reply.demand(held, "403 or 400 with an errcode").map(drop)
}
