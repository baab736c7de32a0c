//! Confirming a pending authenticator.

use serde_json::json;

use crate::{
    case::{Check, Row},
    fixture::{Proof, Target},
};

pub(super) const CASES: &[Row] = &[
    (
        "two-factor.confirm-of-the-first-gives-ten-codes",
        "Confirming the first factor gives ten recovery codes of four groups of four \
         Crockford characters.",
        first_gives_ten_codes,
    ),
    (
        "two-factor.confirm-of-another-gives-none",
        "Confirming a further factor gives `{}`.",
        another_gives_none,
    ),
    (
        "two-factor.confirm-starts-the-protection",
        "From the confirmation on, login asks for the second factor.",
        starts_the_protection,
    ),
    (
        "two-factor.confirm-code-is-spent-for-login",
        "The code of the confirmation is spent for login, too.",
        code_is_spent_for_login,
    ),
    (
        "two-factor.confirm-wrong-code-is-403",
        "A wrong code is 403 M_FORBIDDEN, and the right one is still accepted.",
        wrong_code_is_403,
    ),
    (
        "two-factor.confirm-wrong-five-times-destroys",
        "After five wrong codes the pending authenticator is destroyed.",
        five_wrong_codes_destroy,
    ),
    (
        "two-factor.confirm-unknown-is-404",
        "An unknown authenticator is 404 M_NOT_FOUND.",
        unknown_is_404,
    ),
    (
        "two-factor.confirm-again-is-404",
        "An authenticator that is confirmed already is 404 M_NOT_FOUND.",
        again_is_404,
    ),
    (
        "two-factor.confirm-of-another-user-is-404",
        "Somebody else's pending authenticator is 404 M_NOT_FOUND.",
        of_another_user_is_404,
    ),
    (
        "two-factor.confirm-token-must-be-a-string",
        "A token that is no string is 400 M_BAD_JSON, a missing one M_MISSING_PARAM.",
        token_must_be_a_string,
    ),
];

fn first_gives_ten_codes(target: &Target) -> Check {
    let alice = target.plain()?;
    let phone = alice.set_up("Phone", Proof::Password)?;
    let reply = alice.confirm(&phone.id, &phone.code())?;
    let codes = reply.status(200)?.texts("/recovery_codes")?;
    reply.demand(super::recovery::is_well_formed(&codes), super::recovery::FORM)?;
    Ok(())
}

fn another_gives_none(target: &Target) -> Check {
    let alice = target.guarded()?;
    let tablet = alice.set_up("Tablet", Proof::Totp)?;
    let reply = alice.confirm(&tablet.id, &tablet.code())?;
    reply.status(200)?.holds("", &json!({}))?;
    Ok(())
}

fn starts_the_protection(target: &Target) -> Check {
    let mut alice = target.plain()?;
    alice.log_in_plainly(&json!({}))?;
    alice.enrol()?;
    alice.begin_login()?;
    Ok(())
}

fn code_is_spent_for_login(target: &Target) -> Check {
    let alice = target.guarded()?;
    let phone = alice.phone()?;
    let spent = phone.code_at(phone.last_step());
    alice.begin_login()?.totp(spent)?.wrong()?;
    Ok(())
}

fn wrong_code_is_403(target: &Target) -> Check {
    let alice = target.plain()?;
    let phone = alice.set_up("Phone", Proof::Password)?;
    for code in phone.wrong_codes().take(4) {
        alice.confirm(&phone.id, &code)?.refused(403, "M_FORBIDDEN")?;
    }
    alice.confirm(&phone.id, &phone.code())?.status(200)?;
    Ok(())
}

fn five_wrong_codes_destroy(target: &Target) -> Check {
    let alice = target.plain()?;
    let phone = alice.set_up("Phone", Proof::Password)?;
    for code in phone.wrong_codes().take(5) {
        alice.confirm(&phone.id, &code)?.refused(403, "M_FORBIDDEN")?;
    }
    alice.confirm(&phone.id, &phone.code())?.refused(404, "M_NOT_FOUND")?;
    // It is gone for good, and nothing hinders a new one.
    let phone = alice.set_up("Phone", Proof::Password)?;
    alice.confirm(&phone.id, &phone.code())?.status(200)?;
    Ok(())
}

fn unknown_is_404(target: &Target) -> Check {
    let alice = target.shared_plain()?;
    for id in ["t_unknown", "x", "1"] {
        alice.confirm(id, "123456")?.refused(404, "M_NOT_FOUND")?;
    }
    Ok(())
}

fn again_is_404(target: &Target) -> Check {
    let alice = target.guarded()?;
    let phone = alice.phone()?;
    let spent = phone.code_at(phone.last_step());
    alice.confirm(&phone.id, &spent)?.refused(404, "M_NOT_FOUND")?;
    alice.confirm(&phone.id, &phone.code())?.refused(404, "M_NOT_FOUND")?;
    Ok(())
}

fn of_another_user_is_404(target: &Target) -> Check {
    let (alice, mallory) = (target.plain()?, target.shared_guarded()?);
    let phone = alice.set_up("Phone", Proof::Password)?;
    mallory.confirm(&phone.id, &phone.code())?.refused(404, "M_NOT_FOUND")?;
    for code in phone.wrong_codes().take(5) {
        mallory.confirm(&phone.id, &code)?.refused(404, "M_NOT_FOUND")?;
    }
    alice.confirm(&phone.id, &phone.code())?.status(200)?;
    Ok(())
}

fn token_must_be_a_string(target: &Target) -> Check {
    let alice = target.plain()?;
    let phone = alice.set_up("Phone", Proof::Password)?;
    for token in [json!(123_456), json!(["123456"]), json!({})] {
        let reply = alice.confirm_with(&phone.id, &json!({"token": token}))?;
        reply.refused(400, "M_BAD_JSON")?;
    }
    alice.confirm_with(&phone.id, &json!({}))?.refused(400, "M_MISSING_PARAM")?;
    alice.confirm(&phone.id, &phone.code())?.status(200)?;
    Ok(())
}
