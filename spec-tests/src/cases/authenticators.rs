//! Listing, renaming and removing authenticators.

use serde_json::{Value, json};

use crate::{
    Failure,
    case::{Check, Row},
    client::{Reply, Request},
    fixture::{Operation, Proof, Target, User},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "two-factor.status-without-factors-is-empty",
        "`providers` holds only what the user has: nothing without a factor.",
        status_is_empty,
    ),
    (
        "two-factor.status-lists-authenticators-and-codes",
        "The status lists id, name, status, created_ts, last_used_ts; remaining, total, \
         generated_ts; required.",
        status_lists_everything,
    ),
    (
        "two-factor.status-tells-the-last-use",
        "`last_used_ts` moves with a login.",
        status_tells_the_last_use,
    ),
    (
        "two-factor.status-shows-no-secret",
        "The status never shows a secret or a code.",
        status_shows_no_secret,
    ),
    ("two-factor.rename", "PUT renames an authenticator.", rename),
    (
        "two-factor.rename-has-the-same-bounds",
        "A name has 1 to 64 characters here, too.",
        rename_bounds,
    ),
    (
        "two-factor.rename-of-another-user-is-404",
        "PUT of an unknown or somebody else's id is 404 M_NOT_FOUND.",
        rename_of_another_user,
    ),
    (
        "two-factor.remove-needs-the-second-factor",
        "The password alone removes no authenticator.",
        remove_needs_the_second_factor,
    ),
    (
        "two-factor.remove-pending-needs-no-uia",
        "A pending authenticator is removed without User-Interactive Authentication.",
        remove_pending,
    ),
    (
        "two-factor.remove-one-of-two",
        "A removed authenticator unlocks nothing; the other and the codes stay.",
        remove_one_of_two,
    ),
    (
        "two-factor.remove-last-removes-recovery-codes",
        "With the last authenticator the recovery codes go, and the password is enough.",
        remove_last,
    ),
    (
        "two-factor.remove-of-another-user-is-404",
        "DELETE of an unknown or somebody else's id is 404 M_NOT_FOUND.",
        remove_of_another_user,
    ),
    (
        "two-factor.enrol-again-gives-new-codes",
        "Who enrols again after removing the last gets a new secret and new codes.",
        enrol_again,
    ),
];

const FIRST: &str = "/providers/m.login.2fa.totp/authenticators/0";

/// PUT of a name.
fn put_name(user: &User, id: &str, name: &Value) -> Result<Reply, Failure> {
    let path = format!("/account/two-factor/totp/{id}");
    user.call(Request::new("PUT", &path).json(&json!({"name": name})))
}

fn status_is_empty(target: &Target) -> Check {
    let reply = target.shared_plain()?.factors()?;
    reply.holds("/providers", &json!({}))?;
    reply.demand(reply.json["required"].is_boolean(), "a boolean `required`")?;
    Ok(())
}

fn status_lists_everything(target: &Target) -> Check {
    let alice = target.shared_guarded()?;
    let reply = alice.factors()?;
    let list = reply.json["providers"][stage::TOTP]["authenticators"].as_array();
    reply.demand(list.is_some_and(|list| list.len() == 1), "one authenticator")?;
    reply.holds(&format!("{FIRST}/id"), &json!(alice.phone()?.id))?;
    reply.holds(&format!("{FIRST}/name"), &json!("Phone"))?;
    reply.holds(&format!("{FIRST}/status"), &json!("active"))?;
    let recovery = "/providers/m.login.2fa.recovery";
    reply.holds(&format!("{recovery}/total"), &json!(10))?;
    let integers = [
        format!("{FIRST}/created_ts"),
        format!("{recovery}/remaining"),
        format!("{recovery}/generated_ts"),
    ];
    for pointer in integers {
        let held = reply.json.pointer(&pointer).is_some_and(Value::is_u64);
        reply.demand(held, &format!("an integer at {pointer}"))?;
    }
    reply.demand(reply.json["required"].is_boolean(), "a boolean `required`")?;
    Ok(())
}

fn status_tells_the_last_use(target: &Target) -> Check {
    let alice = target.guarded()?;
    let used = |reply: &Reply| reply.json.pointer(&format!("{FIRST}/last_used_ts")).cloned();
    let before = used(&alice.factors()?).and_then(|value| value.as_u64()).unwrap_or_default();
    alice.logged_in(&alice.begin_login()?.totp(alice.code()?)?)?;
    let reply = alice.factors()?;
    let after = used(&reply).and_then(|value| value.as_u64());
    let moved = after.is_some_and(|after| after > before);
    reply.demand(moved, &format!("a last_used_ts later than {before}"))?;
    Ok(())
}

fn status_shows_no_secret(target: &Target) -> Check {
    let alice = target.shared_guarded()?;
    let reply = alice.factors()?;
    let text = reply.json.to_string();
    for code in &alice.recovery_codes {
        reply.demand(!text.contains(code.as_str()), "no recovery code in the status")?;
    }
    reply.demand(!text.contains("secret"), "no secret in the status")?;
    reply.demand(!text.contains("otpauth"), "no otpauth URI in the status")?;
    Ok(())
}

fn rename(target: &Target) -> Check {
    let alice = target.guarded()?;
    let name = json!("Old <phone> & \u{1f4f1}");
    put_name(&alice, &alice.phone()?.id, &name)?.status(200)?.holds("", &json!({}))?;
    alice.factors()?.holds(&format!("{FIRST}/name"), &name)?;
    Ok(())
}

fn rename_bounds(target: &Target) -> Check {
    let alice = target.guarded()?;
    let id = &alice.phone()?.id;
    for name in [json!(""), json!("x".repeat(65)), json!(5)] {
        put_name(&alice, id, &name)?.refused_any(400)?;
    }
    put_name(&alice, id, &json!("ä".repeat(64)))?.status(200)?;
    Ok(())
}

fn rename_of_another_user(target: &Target) -> Check {
    let (alice, mallory) = (target.shared_guarded()?, target.shared_plain()?);
    for id in [alice.phone()?.id.as_str(), "t_unknown"] {
        put_name(mallory, id, &json!("mine"))?.refused(404, "M_NOT_FOUND")?;
    }
    alice.factors()?.holds(&format!("{FIRST}/name"), &json!("Phone"))?;
    Ok(())
}

fn remove_needs_the_second_factor(target: &Target) -> Check {
    let alice = target.shared_guarded()?;
    let ceremony = alice.open(&Operation::remove(&alice.phone()?.id), Proof::Totp)?;
    ceremony.attempt(stage::PASSWORD)?.status(401)?;
    ceremony.send(&json!({"session": ceremony.session}))?.status(401)?;
    alice.factors()?.holds(&format!("{FIRST}/status"), &json!("active"))?;
    Ok(())
}

fn remove_pending(target: &Target) -> Check {
    let alice = target.plain()?;
    let phone = alice.set_up("Phone", Proof::Password)?;
    let reply = alice.ask(&Operation::remove(&phone.id))?;
    reply.status(200)?.holds("", &json!({}))?;
    alice.confirm(&phone.id, &phone.code())?.refused(404, "M_NOT_FOUND")?;
    Ok(())
}

fn remove_one_of_two(target: &Target) -> Check {
    let alice = target.guarded()?;
    let tablet = alice.add_authenticator("Tablet")?;
    let reply = alice.perform(&Operation::remove(&tablet.id), Proof::Recovery)?;
    reply.status(200)?.holds("", &json!({}))?;
    let login = alice.begin_login()?;
    login.totp(tablet.code())?.wrong()?;
    alice.logged_in(&login.totp(alice.code()?)?)?;
    // Ten less one for adding and one for removing.
    alice.factors()?.holds("/providers/m.login.2fa.recovery/remaining", &json!(8))?;
    Ok(())
}

fn remove_last(target: &Target) -> Check {
    let alice = target.guarded()?;
    let remove = Operation::remove(&alice.phone()?.id);
    alice.perform(&remove, Proof::Totp)?.status(200)?.holds("", &json!({}))?;
    alice.factors()?.holds("/providers", &json!({}))?;
    alice.log_in_plainly(&json!({}))?;
    alice.perform(&remove, Proof::Password)?.refused(404, "M_NOT_FOUND")?;
    Ok(())
}

fn remove_of_another_user(target: &Target) -> Check {
    let (alice, mallory) = (target.shared_guarded()?, target.plain()?);
    for id in [alice.phone()?.id.as_str(), "t_unknown"] {
        let remove = Operation::remove(id);
        mallory.perform(&remove, Proof::Password)?.refused(404, "M_NOT_FOUND")?;
    }
    alice.factors()?.holds(&format!("{FIRST}/status"), &json!("active"))?;
    // Nor a pending one, which its owner may remove without proof.
    let owner = target.plain()?;
    let pending = owner.set_up("Phone", Proof::Password)?;
    let remove = Operation::remove(&pending.id);
    mallory.perform(&remove, Proof::Password)?.refused(404, "M_NOT_FOUND")?;
    owner.confirm(&pending.id, &pending.code())?.status(200)?;
    Ok(())
}

fn enrol_again(target: &Target) -> Check {
    let mut alice = target.guarded()?;
    let old = alice.recovery_code()?;
    let remove = Operation::remove(&alice.phone()?.id);
    alice.perform(&remove, Proof::Recovery)?.status(200)?;
    alice.forget_factors();
    alice.enrol()?;
    let login = alice.begin_login()?;
    login.recovery(old)?.wrong()?;
    alice.logged_in(&login.recovery(alice.recovery_code()?)?)?;
    Ok(())
}
