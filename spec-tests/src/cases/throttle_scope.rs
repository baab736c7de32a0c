//! Whose failures count where.

use serde_json::json;

use super::throttle::{failure, start_wait};
use crate::{
    Failure,
    case::{Check, Row},
    client::{Reply, Request},
    fixture::{Login, Operation, Target},
};

pub(super) const CASES: &[Row] = &[
    (
        "throttle.counts-across-sessions",
        "Failures count per user, not per session.",
        counts_across_sessions,
    ),
    (
        "throttle.counts-across-endpoints",
        "Failures at login and in operations count together.",
        counts_across_endpoints,
    ),
    (
        "throttle.counts-across-identifiers",
        "Every form of an identifier counts as the same user.",
        counts_across_identifiers,
    ),
    (
        "throttle.counts-across-authenticators",
        "A second authenticator gives no further guesses.",
        counts_across_authenticators,
    ),
    ("throttle.wait-is-for-one-user", "One user's wait is nobody else's.", wait_is_for_one_user),
    (
        "throttle.wait-leaves-existing-sessions",
        "During a wait the user's access tokens keep working.",
        wait_leaves_existing_sessions,
    ),
    (
        "throttle.name-alone-counts-nothing",
        "Who knows only the user's name cannot make failures count.",
        name_alone_counts_nothing,
    ),
    (
        "throttle.wrong-passwords-count-nothing",
        "Wrong passwords do not count as failures of the second factor.",
        wrong_passwords_count_nothing,
    ),
    (
        "recovery.works-while-totp-is-waiting",
        "Recovery codes work while TOTP waits.",
        recovery_works_while_totp_waits,
    ),
    (
        "recovery.has-its-own-counter",
        "Failures of recovery codes and of TOTP codes do not add up.",
        recovery_has_its_own_counter,
    ),
    (
        "recovery.fifth-failure-starts-a-wait",
        "Recovery codes have the same wait after five failures in a row.",
        recovery_waits_too,
    ),
    (
        "recovery.malformed-code-is-not-counted",
        "A token that is not 16 Crockford characters is malformed and not counted.",
        malformed_recovery_is_not_counted,
    ),
];

fn counts_across_sessions(target: &Target) -> Check {
    let alice = target.guarded()?;
    let logins = [alice.begin_login()?, alice.begin_login()?, alice.begin_login()?];
    for (index, code) in alice.phone()?.wrong_codes().take(5).enumerate() {
        failure(index, &logins[index % 2].totp(code)?)?;
    }
    for login in &logins {
        login.totp(alice.phone()?.wrong_code())?.waits()?;
    }
    Ok(())
}

fn counts_across_endpoints(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let first = alice.open_at_totp(&Operation::set_up("Tablet"))?;
    let second = alice.open_at_totp(&Operation::delete_devices(&["NONE"]))?;
    let send = |index: usize, code: String| -> Result<Reply, Failure> {
        match index % 3 {
            0 => login.totp(code),
            1 => first.totp(code),
            _ => second.totp(code),
        }
    };
    for (index, code) in alice.phone()?.wrong_codes().take(5).enumerate() {
        failure(index, &send(index, code)?)?;
    }
    for index in 0..3 {
        send(index, alice.phone()?.wrong_code())?.waits()?;
    }
    Ok(())
}

fn counts_across_identifiers(target: &Target) -> Check {
    let alice = target.guarded()?;
    let forms = [alice.localpart.clone(), alice.localpart.to_uppercase(), alice.id.clone()];
    let mut logins = Vec::new();
    for form in forms {
        let identifier = json!({"identifier": {"type": "m.id.user", "user": form}});
        let (login, _) = alice.begin_login_with(&identifier)?;
        logins.push(login);
    }
    for (index, code) in alice.phone()?.wrong_codes().take(5).enumerate() {
        failure(index, &logins[index % 3].totp(code)?)?;
    }
    for login in &logins {
        login.totp(alice.phone()?.wrong_code())?.waits()?;
    }
    Ok(())
}

fn counts_across_authenticators(target: &Target) -> Check {
    let alice = target.guarded()?;
    let tablet = alice.add_authenticator("Tablet")?;
    let login = alice.begin_login()?;
    start_wait(&alice, &login)?;
    login.totp(tablet.code())?.waits()?;
    Ok(())
}

fn wait_is_for_one_user(target: &Target) -> Check {
    let (alice, bob) = (target.guarded()?, target.guarded()?);
    start_wait(&alice, &alice.begin_login()?)?;
    bob.logged_in(&bob.begin_login()?.totp(bob.code()?)?)?;
    Ok(())
}

fn wait_leaves_existing_sessions(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    start_wait(&alice, &login)?;
    login.totp(alice.phone()?.wrong_code())?.waits()?;
    alice.get("/account/whoami")?.status(200)?;
    Ok(())
}

fn name_alone_counts_nothing(target: &Target) -> Check {
    let alice = target.guarded()?;
    for code in alice.phone()?.wrong_codes().take(6) {
        let auth = json!({
            "type": crate::stage::TOTP, "token": code,
            "identifier": {"type": "m.id.user", "user": alice.localpart},
        });
        target.send(&Request::post("/login", &json!({"auth": auth})))?.not_executed()?;
    }
    alice.logged_in(&alice.begin_login()?.totp(alice.code()?)?)?;
    Ok(())
}

fn wrong_passwords_count_nothing(target: &Target) -> Check {
    let alice = target.guarded()?;
    for _ in 0..6 {
        let reply = alice.login_with(&json!({"password": "not the password"}))?;
        reply.refused(403, "M_FORBIDDEN")?;
    }
    alice.logged_in(&alice.begin_login()?.totp(alice.code()?)?)?;
    Ok(())
}

fn recovery_works_while_totp_waits(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    start_wait(&alice, &login)?;
    login.totp(alice.phone()?.wrong_code())?.waits()?;
    alice.logged_in(&login.recovery(alice.recovery_code()?)?)?;
    Ok(())
}

/// A well-formed recovery code that was never given out.
fn unknown_recovery_code(index: usize) -> String {
    format!("0000-0000-0000-000{index}")
}

fn recovery_has_its_own_counter(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let wrong = alice.phone()?.wrong_codes().take(4);
    for (index, code) in wrong.enumerate() {
        failure(index, &login.totp(code)?)?;
        failure(index, &login.recovery(unknown_recovery_code(index))?)?;
    }
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn recovery_waits_too(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login: Login<'_> = alice.begin_login()?;
    for index in 0..5 {
        failure(index, &login.recovery(unknown_recovery_code(index))?)?;
    }
    login.recovery(unknown_recovery_code(5))?.waits()?;
    login.recovery(alice.recovery_code()?)?.waits()?;
    // And the other way round: TOTP works while recovery waits.
    alice.logged_in(&login.totp(alice.code()?)?)?;
    Ok(())
}

fn malformed_recovery_is_not_counted(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let tokens = [
        "",
        "0000",
        "0000-0000-0000-00000",
        "UUUU-UUUU-UUUU-UUUU",
        "0000_0000_0000_0000",
        "123456",
    ];
    for token in tokens {
        login.recovery(token)?.wrong().map_err(|failure| failure.during(format!("{token:?}")))?;
    }
    alice.logged_in(&login.recovery(alice.recovery_code()?)?)?;
    Ok(())
}
