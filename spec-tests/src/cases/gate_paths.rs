//! No form of a path gets around the gate.

use serde_json::json;

use super::GATED;
use crate::{
    Case, Failure,
    case::Check,
    client::Request,
    fixture::{Target, User},
};

/// Turns an endpoint such as `devices/SPARE` into a request target.
type Form = fn(&str) -> String;

const FORMS: [(&str, Form); 20] = [
    ("double-slash", |path| format!("/_matrix/client/v3//{path}")),
    ("leading-double-slash", |path| format!("//_matrix/client/v3/{path}")),
    ("inner-double-slash", |path| format!("/_matrix//client/v3/{path}")),
    ("trailing-slash", |path| format!("/_matrix/client/v3/{path}/")),
    ("encoded-slash", |path| format!("/_matrix/client/v3%2f{path}")),
    ("encoded-inner-slash", |path| format!("/_matrix/client/v3/{}", path.replace('/', "%2F"))),
    ("encoded-letter", |path| format!("/_matrix/client/v3/{}", encode_first(path))),
    ("encoded-prefix", |path| format!("/_matrix/client/%76%33/{path}")),
    ("upper-case", |path| format!("/_MATRIX/CLIENT/V3/{}", path.to_uppercase())),
    ("upper-case-endpoint", |path| format!("/_matrix/client/v3/{}", path.to_uppercase())),
    ("dot-segment", |path| format!("/_matrix/client/v3/./{path}")),
    ("parent-segment", |path| format!("/_matrix/client/v3/x/../{path}")),
    ("parent-of-prefix", |path| format!("/_matrix/client/versions/../v3/{path}")),
    ("semicolon", |path| format!("/_matrix/client/v3;x=y/{path}")),
    ("semicolon-at-the-end", |path| format!("/_matrix/client/v3/{path};x")),
    ("encoded-nul", |path| format!("/_matrix/client/v3/{path}%00")),
    ("encoded-question-mark", |path| format!("/_matrix/client/v3/{path}%3f")),
    ("query", |path| format!("/_matrix/client/v3/{path}?x=/_matrix/client/versions")),
    ("absolute-form", |path| format!("http://localhost/_matrix/client/v3/{path}")),
    ("without-prefix", |path| format!("/_matrix/client/{path}")),
];

/// Prefixes that no endpoint, or another one, has.
const PREFIXES: [&str; 6] = ["api/v1", "v1", "v2", "v4", "R0", "unstable/org.matrix.msc3882"];

/// Headers that some servers take for the method or the path.
const OVERRIDES: [(&str, &str); 4] = [
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Method-Override", "DELETE"),
    ("X-Original-URL", "/_matrix/client/v3/devices/SPARE"),
    ("X-Rewrite-URL", "/_matrix/client/v3/devices/SPARE"),
];

const ENDPOINTS: [(&str, &str, &str); 5] = [
    ("DELETE", "devices/SPARE", "{}"),
    ("POST", "delete_devices", r#"{"devices":["SPARE"]}"#),
    ("POST", "login/get_token", "{}"),
    ("POST", "account/two-factor/recovery", "{}"),
    ("POST", "account/two-factor/totp", "{}"),
];

/// The cases: one for each form.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, form) in FORMS {
        let clause = format!("A gated path written with {name} executes nothing unproven.");
        let check = move |target: &Target| attack(target, form);
        cases.push(Case::new(format!("gate.path-form.{name}"), GATED, clause, check));
    }
    for prefix in PREFIXES {
        let name = prefix.to_lowercase().replace('/', ".");
        let clause = format!("A gated path under {prefix} executes nothing unproven.");
        let check = move |target: &Target| {
            attack(target, |path| format!("/_matrix/client/{prefix}/{path}"))
        };
        let case = Case::new(format!("gate.path-prefix.{name}"), GATED, clause, check);
        cases.push(case);
    }
    let clause = "No header makes a request a gated one past the gate.";
    cases.push(Case::new("gate.method-override", GATED, clause, method_override));
    let clause = "A method in another case executes nothing unproven.";
    cases.push(Case::new("gate.method-in-lower-case", GATED, clause, method_in_lower_case));
    cases
}

/// `devices` becomes `%64evices`.
fn encode_first(path: &str) -> String {
    let (first, rest) = path.split_at(1);
    format!("%{:02x}{rest}", first.as_bytes()[0])
}

/// Sends a request as it is written, and demands that it is refused.
fn refused(target: &Target, user: &User, request: Request) -> Check {
    if let Some(reply) = target.client.send_raw(&request.bearer(&user.token))? {
        // 501 is what a server says to a method that it does not know.
        let held = (400..500).contains(&reply.status) || reply.status == 501;
        reply.demand(held, "a refusal or a challenge, 4xx or 501")?;
        for key in ["login_token", "recovery_codes", "secret"] {
            reply.demand(reply.json.get(key).is_none(), &format!("no {key}"))?;
        }
    }
    Ok(())
}

/// Demands that nothing has changed for the user.
fn unharmed(user: &User, generated: &serde_json::Value) -> Check {
    let devices = user.devices()?;
    let spare = devices.iter().any(|id| id == "SPARE");
    let factors = user.factors()?;
    factors.demand(spare, &format!("the device SPARE still there, not {devices:?}"))?;
    factors.holds(GENERATED, generated)?;
    Ok(())
}

const GENERATED: &str = "/providers/m.login.2fa.recovery/generated_ts";

fn generated(user: &User) -> Result<serde_json::Value, Failure> {
    Ok(user.factors()?.json.pointer(GENERATED).cloned().unwrap_or_default())
}

fn attack(target: &Target, form: impl Fn(&str) -> String) -> Check {
    let user = target.victim()?;
    let before = generated(user)?;
    for (method, path, body) in ENDPOINTS {
        let path = form(path);
        refused(target, user, Request::exactly(method, &path).bytes(body))?;
    }
    unharmed(user, &before)
}

fn method_override(target: &Target) -> Check {
    let user = target.victim()?;
    let before = generated(user)?;
    for (header, value) in OVERRIDES {
        let request = Request::post("/devices/SPARE", &json!({})).header(header, value);
        let _ = target.client.send_raw(&request.bearer(&user.token))?;
        // A harmless request that asks to be taken for the gated one.
        let request = Request::get("/devices/SPARE").header(header, value);
        let _ = target.client.send_raw(&request.bearer(&user.token))?;
    }
    unharmed(user, &before)
}

fn method_in_lower_case(target: &Target) -> Check {
    let user = target.victim()?;
    let before = generated(user)?;
    for method in ["delete", "Delete"] {
        refused(target, user, Request::new(method, "/devices/SPARE").bytes("{}"))?;
    }
    refused(target, user, Request::new("post", "/delete_devices").bytes(ENDPOINTS[1].2))?;
    unharmed(user, &before)
}
