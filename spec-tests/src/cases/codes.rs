//! What counts as the right TOTP code.

use crate::{
    case::{Check, Row},
    fixture::{Operation, Target},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "stage.totp.right-code-is-accepted",
        "A code of one of the user's active authenticators completes the stage.",
        right_code_is_accepted,
    ),
    (
        "stage.totp.wrong-code-is-401-forbidden",
        "A wrong code is 401 M_FORBIDDEN with the same session, which stays usable.",
        wrong_code_is_401,
    ),
    (
        "stage.totp.replayed-code-is-wrong",
        "A code is accepted once: used again at once, in another login, it is wrong.",
        replayed_code_is_wrong,
    ),
    (
        "stage.totp.replayed-code-on-another-endpoint-is-wrong",
        "A code that was used for login is wrong in every other operation.",
        replayed_code_on_another_endpoint,
    ),
    (
        "stage.totp.replayed-code-written-differently-is-wrong",
        "Spaces and hyphens do not make a used code a new one.",
        replayed_code_written_differently,
    ),
    (
        "stage.totp.replayed-code-is-not-counted",
        "A replayed code looks like a wrong one but is not counted as a failure.",
        replayed_code_is_not_counted,
    ),
    (
        "stage.totp.spaces-and-hyphens-are-ignored",
        "ASCII spaces and hyphens in the token are ignored.",
        spaces_and_hyphens_are_ignored,
    ),
    (
        "stage.totp.malformed-code-is-wrong",
        "A string that is not exactly six ASCII digits is a failed attempt, 401.",
        malformed_code_is_wrong,
    ),
    (
        "stage.totp.malformed-code-is-not-counted",
        "A malformed code is not counted against the user.",
        malformed_code_is_not_counted,
    ),
    (
        "stage.totp.code-of-another-user-is-wrong",
        "Only the user's own authenticators count.",
        code_of_another_user_is_wrong,
    ),
    (
        "stage.totp.any-active-authenticator-is-accepted",
        "Each active authenticator is accepted and remembers its own last step.",
        any_active_authenticator_is_accepted,
    ),
    (
        "stage.totp.recovery-code-is-no-totp-code",
        "A recovery code does not complete the TOTP stage, nor is it spent there.",
        recovery_code_is_no_totp_code,
    ),
    (
        "stage.totp.refusals-read-alike",
        "Wrong, replayed, malformed and out-of-order attempts have the same text.",
        refusals_read_alike,
    ),
];

/// Strings that are no six ASCII digits, whatever is ignored in them.
const MALFORMED: [&str; 12] = [
    "",
    " ",
    "12345",
    "1234567",
    "abcdef",
    "12345a",
    "0x1234",
    "+12345",
    "1234.5",
    "１２３４５６",
    "١٢٣٤٥٦",
    "123\u{a0}456",
];

fn right_code_is_accepted(target: &Target) -> Check {
    let alice = target.guarded()?;
    let reply = alice.begin_login()?.totp(alice.code()?)?;
    alice.logged_in(&reply)?;
    Ok(())
}

fn wrong_code_is_401(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let reply = login.totp(alice.phone()?.wrong_code())?;
    let challenge = reply.wrong()?;
    reply.demand(challenge.session == login.session, "the same session")?;
    reply.demand(challenge.completed == [stage::PASSWORD], "the password still completed")?;
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn replayed_code_is_wrong(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (first, second) = (alice.begin_login()?, alice.begin_login()?);
    let code = alice.code()?;
    alice.logged_in(&first.totp(code.as_str())?)?;
    second.totp(code)?.wrong()?;
    Ok(())
}

fn replayed_code_on_another_endpoint(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (login, other) = (alice.begin_login()?, alice.open_at_totp(&Operation::set_up("x"))?);
    let code = alice.code()?;
    alice.logged_in(&login.totp(code.as_str())?)?;
    other.totp(code)?.wrong()?;
    Ok(())
}

fn replayed_code_written_differently(target: &Target) -> Check {
    let alice = target.guarded()?;
    let (first, second) = (alice.begin_login()?, alice.begin_login()?);
    let code = alice.code()?;
    alice.logged_in(&first.totp(code.as_str())?)?;
    let (left, right) = code.split_at(3);
    for written in [format!("{left} {right}"), format!("{left}-{right}"), format!(" {code} ")] {
        second.totp(written)?.wrong()?;
    }
    Ok(())
}

fn replayed_code_is_not_counted(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let spent = alice.phone()?.code_at(alice.phone()?.last_step());
    for _ in 0..7 {
        login.totp(spent.as_str())?.wrong()?;
    }
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn spaces_and_hyphens_are_ignored(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let code = alice.code()?;
    let reply = login.totp(format!(" {}-{} - {} ", &code[..2], &code[2..3], &code[3..]))?;
    alice.logged_in(&reply)?;
    Ok(())
}

fn malformed_code_is_wrong(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    for token in MALFORMED {
        login.totp(token)?.wrong().map_err(|failure| failure.during(format!("{token:?}")))?;
    }
    // A right code with something around it is not six digits, either.
    let code = alice.phone()?.code_at(crate::clock::step());
    for token in [format!("{code}0"), format!("0{code}"), format!("{code}\n{code}")] {
        login.totp(token)?.wrong()?;
    }
    Ok(())
}

fn malformed_code_is_not_counted(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    for token in &MALFORMED[2..8] {
        login.totp(*token)?.wrong()?;
    }
    for code in alice.phone()?.wrong_codes().take(4) {
        login.totp(code)?.wrong().map_err(|failure| failure.during("a first to fourth guess"))?;
    }
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn code_of_another_user_is_wrong(target: &Target) -> Check {
    let (alice, bob) = (target.guarded()?, target.guarded()?);
    let (of_alice, of_bob) = (alice.begin_login()?, bob.begin_login()?);
    let code = bob.code()?;
    of_alice.totp(code.as_str())?.wrong()?;
    // And trying it there did not spend it here.
    bob.logged_in(&of_bob.totp(code)?)?;
    Ok(())
}

fn any_active_authenticator_is_accepted(target: &Target) -> Check {
    let alice = target.guarded()?;
    let tablet = alice.add_authenticator("Tablet")?;
    let (first, second) = (alice.begin_login()?, alice.begin_login()?);
    alice.logged_in(&first.totp(tablet.code())?)?;
    alice.logged_in(&second.totp(alice.code()?)?)?;
    Ok(())
}

fn recovery_code_is_no_totp_code(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let code = alice.recovery_code()?;
    login.totp(code.as_str())?.wrong()?;
    alice.logged_in(&login.recovery(code)?)?;
    Ok(())
}

fn refusals_read_alike(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let phone = alice.phone()?;
    let expected = login.totp(phone.wrong_code())?;
    expected.wrong()?;
    let mut again = alice.password_auth();
    again["session"] = login.session.clone().into();
    let others = [
        login.totp(phone.code_at(phone.last_step()))?,
        login.totp("12345")?,
        login.recovery("0000-0000-0000-0000")?,
        login.send(&again)?,
    ];
    for reply in others {
        reply.wrong()?;
        let same = reply.json["error"] == expected.json["error"];
        reply.demand(same, &format!("the error text {}", expected.json["error"]))?;
    }
    Ok(())
}
