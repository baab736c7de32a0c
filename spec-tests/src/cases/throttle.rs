//! The wait after five failures in a row.

use crate::{
    case::{Check, Row},
    client::Reply,
    fixture::{Login, Target, User, race},
};

pub(super) const CASES: &[Row] = &[
    (
        "throttle.first-four-failures-are-401",
        "Failures 1 to 4 in a row are 401, and the right code after them is accepted.",
        first_four_failures_are_401,
    ),
    (
        "throttle.fifth-failure-starts-a-wait",
        "After the 5th failure in a row an attempt is 429 M_LIMIT_EXCEEDED with \
         retry_after_ms and Retry-After.",
        fifth_failure_starts_a_wait,
    ),
    (
        "throttle.right-code-waits-too",
        "During a wait the right code gets the same answer as a wrong one.",
        right_code_waits_too,
    ),
    (
        "throttle.malformed-and-replayed-codes-wait-too",
        "During a wait an attempt is 429 whatever the code.",
        any_code_waits,
    ),
    (
        "throttle.attempts-do-not-lengthen-the-wait",
        "An attempt during a wait does not lengthen it.",
        attempts_do_not_lengthen_the_wait,
    ),
    (
        "throttle.success-ends-the-row",
        "Failures count in a row: a success ends it.",
        success_ends_the_row,
    ),
    (
        "throttle.parallel-guesses-do-not-beat-the-counter",
        "Of many parallel guesses no more than five are evaluated.",
        parallel_guesses,
    ),
];

/// Makes five failures in a row, after which a wait has begun.
///
/// Whether the fifth itself is already answered with the wait is open.
pub(super) fn start_wait(user: &User, login: &Login<'_>) -> Check {
    for (index, code) in user.phone()?.wrong_codes().take(5).enumerate() {
        failure(index, &login.totp(code)?)?;
    }
    Ok(())
}

/// The answer to failure number `index`, counted from 0.
pub(super) fn failure(index: usize, reply: &Reply) -> Check {
    let result = if index == 4 && reply.status == 429 {
        reply.waits().map(drop)
    } else {
        reply.wrong().map(drop)
    };
    result.map_err(|failure| failure.during(format!("failure {} in a row", index + 1)))
}

fn first_four_failures_are_401(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    for (index, code) in alice.phone()?.wrong_codes().take(4).enumerate() {
        failure(index, &login.totp(code)?)?;
    }
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn fifth_failure_starts_a_wait(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    start_wait(&alice, &login)?;
    for code in alice.phone()?.wrong_codes().skip(5).take(2) {
        login.totp(code)?.waits()?;
    }
    Ok(())
}

fn right_code_waits_too(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    start_wait(&alice, &login)?;
    let wrong = login.totp(alice.phone()?.wrong_code())?;
    let right = login.totp(alice.code()?)?;
    wrong.waits()?;
    right.waits()?;
    let same = wrong.json["error"] == right.json["error"];
    right.demand(same, &format!("the error text {}", wrong.json["error"]))?;
    Ok(())
}

fn any_code_waits(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let phone = alice.phone()?;
    start_wait(&alice, &login)?;
    login.totp(phone.code_at(phone.last_step()))?.waits()?;
    login.totp("12345")?.waits()?;
    Ok(())
}

fn attempts_do_not_lengthen_the_wait(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    start_wait(&alice, &login)?;
    let first = login.totp(alice.phone()?.wrong_code())?.waits()?;
    for code in alice.phone()?.wrong_codes().skip(5).take(10) {
        let reply = login.totp(code)?;
        let wait = reply.waits()?;
        reply.demand(wait <= first, &format!("a wait of no more than {first} ms"))?;
    }
    Ok(())
}

fn success_ends_the_row(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (first, second) = (alice.begin_login()?, alice.begin_login()?);
    let mut wrong = alice.phone()?.wrong_codes();
    for (index, code) in wrong.by_ref().take(4).enumerate() {
        failure(index, &first.totp(code)?)?;
    }
    alice.logged_in(&first.totp(alice.code()?)?)?;
    for (index, code) in wrong.take(3).enumerate() {
        failure(index, &second.totp(code)?)?;
    }
    alice.logged_in(&second.totp(alice.code()?)?)?;
    Ok(())
}

fn parallel_guesses(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let guesses: Vec<String> = alice.phone()?.wrong_codes().take(30).collect();
    let send = |index: usize| login.totp(guesses[index].as_str());
    let replies = target.alone(|| race(guesses.len(), send))?;
    let evaluated = replies.iter().filter(|reply| reply.status != 429).count();
    replies[0].demand(evaluated <= 5, &format!("at most 5 evaluated, not {evaluated}"))?;
    login.totp(alice.code()?)?.waits()?;
    Ok(())
}
