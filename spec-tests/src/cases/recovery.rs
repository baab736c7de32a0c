//! Recovery codes: use, spelling, regeneration.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    Failure,
    case::{Check, Row},
    fixture::{Operation, Proof, Target, User},
    stage,
};

pub(super) const CASES: &[Row] = &[
    ("recovery.code-works-once", "A recovery code works once.", code_works_once),
    (
        "recovery.unknown-code-is-wrong",
        "An unknown recovery code is 401 M_FORBIDDEN.",
        unknown_code_is_wrong,
    ),
    (
        "recovery.code-of-another-user-is-wrong",
        "A recovery code of another user is wrong, and stays usable for its owner.",
        code_of_another_user,
    ),
    (
        "recovery.case-spaces-and-hyphens-are-ignored",
        "Case, spaces and hyphens are ignored.",
        spelling_is_ignored,
    ),
    ("recovery.o-i-l-are-0-1-1", "`O` reads as `0`, `I` and `L` as `1`.", confusable_letters),
    (
        "recovery.used-code-written-differently-is-wrong",
        "Another spelling of a used code is not a new one.",
        used_code_written_differently,
    ),
    (
        "recovery.used-code-is-not-counted",
        "A used recovery code looks like a wrong one but is not counted as a failure.",
        used_code_is_not_counted,
    ),
    (
        "recovery.remaining-counts-down",
        "`remaining` counts down with each use.",
        remaining_counts_down,
    ),
    (
        "recovery.offered-only-while-codes-remain",
        "With all codes spent, `remaining` is 0 and the stage is not offered.",
        offered_only_while_codes_remain,
    ),
    (
        "recovery.regenerate-gives-ten-new-codes",
        "Regenerating gives ten new codes of the same form.",
        regenerate_gives_ten,
    ),
    (
        "recovery.regenerate-invalidates-all-old-codes",
        "All old codes are invalid from the regeneration on, the new ones work.",
        regenerate_invalidates,
    ),
    (
        "recovery.regenerate-by-a-recovery-code",
        "A recovery code is proof enough to regenerate.",
        regenerate_by_recovery,
    ),
    (
        "recovery.regenerate-needs-the-second-factor",
        "The password alone regenerates nothing.",
        regenerate_needs_the_second_factor,
    ),
    (
        "recovery.regenerate-without-a-factor-is-bad-state",
        "Without an active factor regenerating is 400 M_BAD_STATE.",
        regenerate_without_a_factor,
    ),
    (
        "recovery.get-regenerates-nothing",
        "GET never writes: no code changes by it.",
        get_regenerates_nothing,
    ),
];

/// What a set of recovery codes looks like.
pub(super) const FORM: &str =
    "ten different codes XXXX-XXXX-XXXX-XXXX of Crockford's base32 in upper case";

/// Crockford's alphabet has no I, L, O and U.
const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const REMAINING: &str = "/providers/m.login.2fa.recovery/remaining";

/// Whether a set of codes has that form.
pub(super) fn is_well_formed(codes: &[String]) -> bool {
    let group = |group: &str| group.len() == 4 && group.chars().all(|c| ALPHABET.contains(c));
    let code = |code: &String| code.split('-').count() == 4 && code.split('-').all(group);
    let unique: BTreeSet<&String> = codes.iter().collect();
    codes.len() == 10 && unique.len() == 10 && codes.iter().all(code)
}

fn code_works_once(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (first, second) = (alice.begin_login()?, alice.begin_login()?);
    let code = alice.recovery_code()?;
    alice.logged_in(&first.recovery(code.as_str())?)?;
    second.recovery(code.as_str())?.wrong()?;
    let ceremony = alice.open(&Operation::set_up("Tablet"), Proof::Recovery)?;
    ceremony.reach(stage::RECOVERY)?;
    ceremony.send(&ceremony.auth(stage::RECOVERY, code))?.wrong()?;
    Ok(())
}

fn unknown_code_is_wrong(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    login.recovery("0000-0000-0000-0000")?.wrong()?;
    Ok(())
}

fn code_of_another_user(target: &Target) -> Check {
    let (alice, bob) = (target.guarded()?, target.guarded()?);
    let code = bob.recovery_code()?;
    alice.begin_login()?.recovery(code.as_str())?.wrong()?;
    bob.logged_in(&bob.begin_login()?.recovery(code)?)?;
    Ok(())
}

fn spelling_is_ignored(target: &Target) -> Check {
    let alice = target.guarded()?;
    let spellings = [
        |code: &str| code.to_lowercase(),
        |code: &str| code.replace('-', ""),
        |code: &str| format!(" {} ", code.replace('-', " ").to_lowercase()),
    ];
    for spelling in spellings {
        let login = alice.begin_login()?;
        alice.logged_in(&login.recovery(spelling(&alice.recovery_code()?))?)?;
    }
    Ok(())
}

/// The codes that hold a digit, with the digit as a letter, where there is one.
fn respelled(user: &User, digit: char, letter: &str) -> Option<String> {
    let code = user.recovery_codes.iter().find(|code| code.contains(digit))?;
    Some(code.replace(digit, letter))
}

fn confusable_letters(target: &Target) -> Check {
    let alice = target.guarded()?;
    let zero = respelled(&alice, '0', "O");
    if let Some(code) = &zero {
        alice.logged_in(&alice.begin_login()?.recovery(code.as_str())?)?;
    }
    // Another code than the one that is spent now.
    let spent = zero.map(|code| code.replace('O', "0"));
    let ones: Vec<&String> = alice
        .recovery_codes
        .iter()
        .filter(|code| code.contains('1') && spent.as_ref() != Some(code))
        .collect();
    for (code, letter) in ones.into_iter().zip(["I", "l", "L", "i"]) {
        alice.logged_in(&alice.begin_login()?.recovery(code.replace('1', letter))?)?;
    }
    Ok(())
}

fn used_code_written_differently(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (first, second) = (alice.begin_login()?, alice.begin_login()?);
    let code = alice.recovery_code()?;
    alice.logged_in(&first.recovery(code.as_str())?)?;
    for written in [code.to_lowercase(), code.replace('-', " ")] {
        second.recovery(written)?.wrong()?;
    }
    Ok(())
}

fn used_code_is_not_counted(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (first, second) = (alice.begin_login()?, alice.begin_login()?);
    let code = alice.recovery_code()?;
    alice.logged_in(&first.recovery(code.as_str())?)?;
    for _ in 0..6 {
        second.recovery(code.as_str())?.wrong()?;
    }
    alice.logged_in(&second.recovery(alice.recovery_code()?)?)?;
    Ok(())
}

fn remaining_counts_down(target: &Target) -> Check {
    let alice = target.guarded()?;
    alice.factors()?.holds(REMAINING, &json!(10))?;
    alice.logged_in(&alice.begin_login()?.recovery(alice.recovery_code()?)?)?;
    alice.factors()?.holds(REMAINING, &json!(9))?;
    alice.begin_login()?.recovery("0000-0000-0000-0000")?.wrong()?;
    alice.factors()?.holds(REMAINING, &json!(9))?;
    Ok(())
}

fn offered_only_while_codes_remain(target: &Target) -> Check {
    let alice = target.guarded()?;
    for _ in 0..10 {
        let login = alice.begin_login()?;
        alice.logged_in(&login.recovery(alice.recovery_code()?)?)?;
    }
    alice.factors()?.holds(REMAINING, &json!(0))?;
    let offered = |flows: &[Vec<String>]| flows.concat().iter().any(|s| s == stage::RECOVERY);
    let reply = alice.ask(&Operation::set_up("Tablet"))?;
    reply.demand(!offered(&reply.challenge()?.flows), "no recovery stage offered")?;
    let (login, challenge) = alice.begin_login_with(&json!({}))?;
    reply.demand(!offered(&challenge.flows), "no recovery stage offered at login")?;
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

/// Regenerates, and returns the new codes.
fn regenerate(user: &User, proof: Proof) -> Result<Vec<String>, Failure> {
    let reply = user.perform(&Operation::regenerate(), proof)?;
    let codes = reply.status(200)?.texts("/recovery_codes")?;
    reply.demand(is_well_formed(&codes), FORM)?;
    let new = codes.iter().all(|code| !user.recovery_codes.contains(code));
    reply.demand(new, "none of the old codes")?;
    Ok(codes)
}

fn regenerate_gives_ten(target: &Target) -> Check {
    let alice = target.guarded()?;
    regenerate(&alice, Proof::Totp)?;
    alice.factors()?.holds(REMAINING, &json!(10))?;
    Ok(())
}

fn regenerate_invalidates(target: &Target) -> Check {
    let alice = target.guarded()?;
    let new = regenerate(&alice, Proof::Totp)?;
    // Four old ones: a fifth failure would begin a wait.
    for old in alice.recovery_codes.iter().take(4) {
        alice.begin_login()?.recovery(old.as_str())?.wrong()?;
    }
    alice.logged_in(&alice.begin_login()?.recovery(new[0].as_str())?)?;
    Ok(())
}

fn regenerate_by_recovery(target: &Target) -> Check {
    let alice = target.guarded()?;
    let new = regenerate(&alice, Proof::Recovery)?;
    alice.factors()?.holds(REMAINING, &json!(10))?;
    let login = alice.begin_login()?;
    login.recovery(alice.recovery_code()?)?.wrong()?;
    alice.logged_in(&login.recovery(new[9].as_str())?)?;
    Ok(())
}

fn regenerate_needs_the_second_factor(target: &Target) -> Check {
    let alice = target.guarded()?;
    let ceremony = alice.open(&Operation::regenerate(), Proof::Totp)?;
    ceremony.attempt(stage::PASSWORD)?.status(401)?;
    ceremony.send(&json!({"session": ceremony.session}))?.status(401)?;
    alice.logged_in(&alice.begin_login()?.recovery(alice.recovery_code()?)?)?;
    Ok(())
}

fn regenerate_without_a_factor(target: &Target) -> Check {
    let alice = target.plain()?;
    let regenerate = Operation::regenerate();
    alice.perform(&regenerate, Proof::Password)?.refused(400, "M_BAD_STATE")?;
    // A pending one is not active.
    alice.set_up("Phone", Proof::Password)?;
    alice.perform(&regenerate, Proof::Password)?.refused(400, "M_BAD_STATE")?;
    Ok(())
}

fn get_regenerates_nothing(target: &Target) -> Check {
    let alice = target.shared_guarded()?;
    let before = alice.factors()?.json;
    let reply = alice.get("/account/two-factor/recovery")?;
    let held = reply.status >= 400 && reply.json.get("recovery_codes").is_none();
    reply.demand(held, "a refusal without codes")?;
    let after = alice.factors()?;
    let generated = "/providers/m.login.2fa.recovery/generated_ts";
    let stamp = before.pointer(generated).cloned().unwrap_or_default();
    after.holds(generated, &stamp)?;
    Ok(())
}
