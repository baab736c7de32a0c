//! Many requests at the same moment.

use serde_json::json;

use crate::{
    Failure,
    case::{Check, Row},
    client::Reply,
    fixture::{Ceremony, Login, Operation, Proof, Target, User, race},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "race.one-code-fifty-times-on-one-session",
        "Of fifty parallel uses of one code on one session exactly one succeeds.",
        one_code_on_one_session,
    ),
    (
        "race.one-code-fifty-times-on-ten-sessions",
        "Of fifty parallel uses of one code on ten sessions exactly one succeeds.",
        one_code_on_ten_sessions,
    ),
    (
        "race.one-code-on-two-endpoints",
        "Of parallel uses of one code at login and in an operation exactly one succeeds.",
        one_code_on_two_endpoints,
    ),
    (
        "race.losers-are-not-counted",
        "The losers of a race for one code are not counted.",
        losers_are_not_counted,
    ),
    (
        "race.one-recovery-code",
        "Of parallel uses of one recovery code on several sessions exactly one succeeds.",
        one_recovery_code,
    ),
    (
        "race.session-executes-once",
        "Of parallel last stages of one session exactly one executes the operation.",
        session_executes_once,
    ),
    (
        "race.confirm-succeeds-once",
        "Of parallel confirmations of one authenticator exactly one succeeds.",
        confirm_succeeds_once,
    ),
];

const USES: usize = 50;

/// Demands that exactly one was accepted and every other got a 401.
fn one_winner(replies: &[Reply]) -> Check {
    let (won, lost): (Vec<&Reply>, Vec<&Reply>) =
        replies.iter().partition(|reply| reply.accepted().is_ok());
    for reply in &lost {
        reply.status(401).map_err(|failure| failure.during("a loser of the race"))?;
    }
    let expected = "exactly one success";
    match won.as_slice() {
        [_] => Ok(()),
        [.., other] => Err(other.unlike(format!("{expected}, not {}", won.len()))),
        [] => match lost.first() {
            Some(reply) => Err(reply.unlike(format!("{expected}, not none"))),
            None => Err(Failure::new(expected, "no reply at all", "-")),
        },
    }
}

fn sessions(user: &User, count: usize) -> Result<Vec<Login<'_>>, Failure> {
    (0..count).map(|_| user.begin_login()).collect()
}

fn one_code_on_one_session(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let code = alice.code()?;
    one_winner(&target.alone(|| race(USES, |_| login.totp(code.as_str())))?)
}

fn one_code_on_ten_sessions(target: &Target) -> Check {
    let alice = target.guarded()?;
    let logins = sessions(&alice, 10)?;
    let code = alice.code()?;
    let send = |index: usize| logins[index % logins.len()].totp(code.as_str());
    one_winner(&target.alone(|| race(USES, send))?)
}

fn one_code_on_two_endpoints(target: &Target) -> Check {
    let alice = target.guarded()?;
    let logins = sessions(&alice, 3)?;
    let open = |index: usize| alice.open_at_totp(&Operation::set_up(&format!("Tablet {index}")));
    let ceremonies: Vec<Ceremony<'_>> = (0..3).map(open).collect::<Result<_, _>>()?;
    let code = alice.code()?;
    let send = |index: usize| match index % 6 {
        login @ 0..3 => logins[login].totp(code.as_str()),
        other => ceremonies[other - 3].totp(code.as_str()),
    };
    one_winner(&target.alone(|| race(30, send))?)
}

fn losers_are_not_counted(target: &Target) -> Check {
    let alice = target.guarded()?;
    // Several sessions: one that is finished would not evaluate its losers.
    let logins = sessions(&alice, 7)?;
    let code = alice.code()?;
    let send = |index: usize| logins[index].totp(code.as_str());
    one_winner(&target.alone(|| race(logins.len(), send))?)?;
    let again = alice.begin_login()?;
    alice.logged_in(&again.totp(alice.code()?)?)?;
    Ok(())
}

fn one_recovery_code(target: &Target) -> Check {
    let alice = target.guarded()?;
    let logins = sessions(&alice, 4)?;
    let code = alice.recovery_code()?;
    let send = |index: usize| logins[index % logins.len()].recovery(code.as_str());
    one_winner(&target.alone(|| race(12, send))?)?;
    alice.factors()?.holds("/providers/m.login.2fa.recovery/remaining", &json!(9))?;
    Ok(())
}

fn session_executes_once(target: &Target) -> Check {
    let alice = target.plain()?;
    let ceremony = alice.open(&Operation::set_up("Phone"), Proof::Password)?;
    one_winner(&target.alone(|| race(10, |_| ceremony.attempt(stage::PASSWORD)))?)
}

fn confirm_succeeds_once(target: &Target) -> Check {
    let alice = target.plain()?;
    let phone = alice.set_up("Phone", Proof::Password)?;
    let code = phone.code();
    let replies = target.alone(|| race(10, |_| alice.confirm(&phone.id, &code)))?;
    let won = replies.iter().filter(|reply| reply.status == 200).count();
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        let refused = reply.status == 403 || reply.status == 404;
        reply.demand(refused && reply.errcode().is_some(), "a loser to get 403 or 404")?;
    }
    replies[0].demand(won == 1, &format!("exactly one success, not {won}"))?;
    Ok(())
}
