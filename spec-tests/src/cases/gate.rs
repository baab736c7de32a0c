//! Every gated operation asks for the second factor, under every prefix.

use serde_json::{Value, json};

use super::GATED;
use crate::{
    Case,
    case::Check,
    client::{Reply, Request},
    fixture::{Operation, Target, User},
    stage,
};

/// The version prefixes of most endpoints.
const PREFIXES: [&str; 3] = ["r0", "v3", "unstable"];

/// A row of the table of gated operations.
#[derive(Clone, Copy)]
struct Gated {
    name: &'static str,
    method: &'static str,
    /// Behind the prefix; `{id}` is the user's authenticator.
    path: &'static str,
    body: &'static str,
    /// Whether a server may refuse it outright instead of gating it.
    optional: bool,
}

const fn gated(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'static str,
) -> Gated {
    Gated { name, method, path, body, optional: false }
}

const UNDER_EVERY_PREFIX: [Gated; 9] = [
    gated(
        "account-password",
        "POST",
        "account/password",
        r#"{"new_password":"Stolen-password-9","logout_devices":false}"#,
    ),
    gated("account-deactivate", "POST", "account/deactivate", "{}"),
    gated("device", "DELETE", "devices/SPARE", "{}"),
    gated("delete-devices", "POST", "delete_devices", r#"{"devices":["SPARE"]}"#),
    gated("two-factor-set-up", "POST", "account/two-factor/totp", r#"{"name":"Intruder"}"#),
    gated("two-factor-remove", "DELETE", "account/two-factor/totp/{id}", "{}"),
    gated("two-factor-recovery", "POST", "account/two-factor/recovery", "{}"),
    Gated {
        optional: true,
        ..gated("3pid-add", "POST", "account/3pid/add", r#"{"client_secret":"s","sid":"1"}"#)
    },
    Gated {
        optional: true,
        ..gated(
            "3pid",
            "POST",
            "account/3pid",
            r#"{"three_pid_creds":{"client_secret":"s","sid":"1","id_server":"x.example.org","id_access_token":"t"}}"#,
        )
    },
];

/// Operations with a path of their own, and that path.
const ELSEWHERE: [(Gated, &str); 2] = [
    (gated("get-token", "POST", "login/get_token", "{}"), "v1"),
    (gated("msc3882-token", "POST", "login/token", "{}"), "unstable/org.matrix.msc3882"),
];

/// The cases that the table makes.
pub(super) fn cases() -> Vec<Case> {
    let under_prefixes = PREFIXES
        .iter()
        .flat_map(|prefix| UNDER_EVERY_PREFIX.iter().map(move |gated| (*gated, *prefix)));
    let mut cases = Vec::new();
    for (gated, prefix) in under_prefixes.chain(ELSEWHERE) {
        let Gated { name, method, path, .. } = gated;
        let what = format!("{method} {prefix}/{path}");
        let place = prefix.replace('/', ".");
        let clause = format!("{what} asks a user with a second factor for it.");
        let check = move |target: &Target| asks_for_the_factor(target, gated, prefix);
        cases.push(Case::new(format!("gate.{place}.{name}"), GATED, clause, check));
        if prefix != "r0" && prefix != "unstable" {
            let clause = format!("For {what} neither the password nor a code is enough alone.");
            let check = move |target: &Target| one_factor_is_not_enough(target, gated, prefix);
            cases.push(Case::new(format!("gate.one-factor.{name}"), GATED, clause, check));
        }
    }
    for prefix in PREFIXES {
        let check = move |target: &Target| register(target, prefix);
        let clause = format!("POST {prefix}/register asks for stages and takes no password stage.");
        cases.push(Case::new(format!("gate.{prefix}.register"), GATED, clause, check));
        let check = move |target: &Target| login(target, prefix);
        let clause = format!("POST {prefix}/login asks a user with a second factor for it.");
        cases.push(Case::new(format!("gate.{prefix}.login"), GATED, clause, check));
    }
    cases
}

impl Gated {
    fn operation(self, user: &User, prefix: &str) -> Result<Operation, crate::Failure> {
        let path = self.path.replace("{id}", &user.phone()?.id);
        let body = serde_json::from_str(self.body).unwrap_or_default();
        Ok(Operation::new(self.method, format!("/_matrix/client/{prefix}/{path}"), body))
    }

    /// Whether the server refuses the operation to everyone.
    fn is_refused(self, reply: &Reply) -> bool {
        self.optional && matches!(reply.status, 400 | 403 | 404) && reply.errcode().is_some()
    }
}

fn asks_for_the_factor(target: &Target, gated: Gated, prefix: &str) -> Check {
    let user = target.victim()?;
    let reply = user.ask(&gated.operation(user, prefix)?)?;
    if gated.is_refused(&reply) {
        return Ok(());
    }
    let held = reply.challenge()?.always_asks_for_a_factor();
    reply.demand(held, "a second factor in every native flow")?;
    Ok(())
}

/// Sends one right factor in several ways, never both.
fn one_factor_is_not_enough(target: &Target, gated: Gated, prefix: &str) -> Check {
    let user = target.victim()?;
    let operation = gated.operation(user, prefix)?;
    let reply = user.ask(&operation)?;
    if gated.is_refused(&reply) {
        return Ok(());
    }
    let session = reply.challenge()?.session;
    let send = |auth: Value| user.call(operation.request(Some(&auth)));
    // The code is good, but its stage is out of order or has no session.
    let code = user.phone()?.code_at(crate::clock::step());
    let mut password = user.password_auth();
    send(password.clone())?.status(401)?;
    send(json!({"type": stage::TOTP, "token": code}))?.status(401)?;
    password["session"] = json!(session);
    send(password.clone())?.status(401)?;
    send(password)?.status(401)?;
    send(json!({"session": session}))?.status(401)?;
    let body = operation.request(None).bearer(&user.token).header("X-Http-Method-Override", "GET");
    target.send(&body)?.status(401)?;
    Ok(())
}

fn register(target: &Target, prefix: &str) -> Check {
    let user = target.victim()?;
    let path = format!("/_matrix/client/{prefix}/register");
    let name = format!("spec-{}", crate::random::letters(14));
    let send = |auth: Option<Value>| {
        let mut body = json!({"username": name, "password": "Pw-registered-9"});
        if let Some(auth) = auth {
            body["auth"] = auth;
        }
        target.send(&Request::post(&path, &body))
    };
    let reply = send(None)?;
    let challenge = reply.challenge()?;
    let offered = challenge.flows.concat().iter().any(|name| name == stage::PASSWORD);
    reply.demand(!offered, "no password stage in a registration")?;
    // A password stage here would tell whether a password is right.
    let mut wrong = user.password_auth();
    wrong["password"] = json!("not the password");
    let (right, wrong) = (send(Some(user.password_auth()))?, send(Some(wrong))?);
    right.not_executed()?;
    let alike = |reply: &Reply| (reply.status, reply.json["errcode"].clone(), reply.completed());
    let same = alike(&right) == alike(&wrong);
    right.demand(same, "the same answer to a right and a wrong password")?;
    Ok(())
}

fn login(target: &Target, prefix: &str) -> Check {
    let user = target.victim()?;
    let path = format!("/_matrix/client/{prefix}/login");
    let reply = target.send(&Request::post(&path, &user.login_body()))?;
    let challenge = reply.refused(401, "M_FORBIDDEN")?.challenge()?;
    reply.demand(challenge.completed == [stage::PASSWORD], "m.login.password completed")?;
    Ok(())
}
