//! Which steps a server accepts.

use crate::{
    case::{Check, Row},
    clock,
    fixture::{Proof, Target},
};

pub(super) const CASES: &[Row] = &[
    (
        "stage.totp.step-before-is-accepted",
        "A code of the step before the current one is accepted.",
        step_before_is_accepted,
    ),
    (
        "stage.totp.step-after-is-accepted",
        "A code of the step after the current one is accepted.",
        step_after_is_accepted,
    ),
    (
        "stage.totp.two-steps-away-is-wrong",
        "A code two steps before or after the current one is wrong.",
        two_steps_away_is_wrong,
    ),
    (
        "stage.totp.earlier-step-than-the-last-is-wrong",
        "Only a later step than the last accepted one is accepted.",
        earlier_step_is_wrong,
    ),
];

pub(super) const SLOW: &[Row] = &[
    (
        "stage.totp.replayed-code-is-wrong-in-the-next-step",
        "A used code is wrong in the next step, too, where its step is still in the window.",
        replay_in_the_next_step,
    ),
    (
        "stage.totp.unused-code-of-the-step-before-logs-in",
        "An unused code is accepted after its step has passed, one step long.",
        unused_code_of_the_step_before,
    ),
];

/// The only code that can be tried a step late without waiting is the first
/// one: that of the confirmation.
fn step_before_is_accepted(target: &Target) -> Check {
    let alice = target.plain()?;
    let phone = alice.set_up("Phone", Proof::Password)?;
    let code = phone.spend(clock::settled_step() - 1);
    alice.confirm(&phone.id, &code)?.status(200)?;
    Ok(())
}

fn step_after_is_accepted(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let code = alice.phone()?.spend(clock::step() + 1);
    alice.logged_in(&login.totp(code)?)?;
    Ok(())
}

fn two_steps_away_is_wrong(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let phone = alice.phone()?;
    let now = clock::settled_step();
    for step in [now - 2, now + 2] {
        login.totp(phone.code_at(step))?.wrong()?;
    }
    Ok(())
}

fn earlier_step_is_wrong(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (first, second) = (alice.begin_login()?, alice.begin_login()?);
    let phone = alice.phone()?;
    // Skips a step, so that the one left out was never used.
    let later = phone.last_step() + 2;
    while clock::step() + 1 < later {
        clock::wait_for_next_step();
    }
    alice.logged_in(&first.totp(phone.spend(later))?)?;
    second.totp(phone.code_at(later - 1))?.wrong()?;
    Ok(())
}

fn replay_in_the_next_step(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (first, second) = (alice.begin_login()?, alice.begin_login()?);
    let phone = alice.phone()?;
    let code = alice.code()?;
    let used = phone.last_step();
    alice.logged_in(&first.totp(code.as_str())?)?;
    while clock::step() <= used {
        clock::wait_for_next_step();
    }
    second.totp(code)?.wrong()?;
    alice.logged_in(&second.totp(alice.code()?)?)?;
    Ok(())
}

fn unused_code_of_the_step_before(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let phone = alice.phone()?;
    let step = phone.last_step() + 1;
    while clock::step() <= step {
        clock::wait_for_next_step();
    }
    alice.logged_in(&login.totp(phone.spend(step))?)?;
    Ok(())
}
