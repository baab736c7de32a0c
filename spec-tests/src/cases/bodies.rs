//! Bodies that two parsers could read differently, or that no parser should.

use serde_json::json;

use crate::{
    Failure,
    case::{Check, Row},
    client::{Reply, Request},
    fixture::{Operation, Proof, Target},
    stage,
};

pub(super) const CASES: &[Row] = &[
    (
        "body.duplicate-keys-at-login-are-400",
        "A duplicate key at any depth of a login is 400.",
        duplicate_keys_at_login,
    ),
    (
        "body.duplicate-auth-is-400",
        "A duplicate `auth`, or a duplicate key in it, is 400.",
        duplicate_auth,
    ),
    (
        "body.duplicate-keys-in-an-operation-are-400",
        "A duplicate key in the body of an operation is 400.",
        duplicate_keys_in_an_operation,
    ),
    (
        "body.escaped-duplicate-keys-are-400",
        "Keys that are the same once unescaped are duplicates.",
        escaped_duplicate_keys,
    ),
    ("body.not-json-is-400", "A body that is not JSON is 400.", not_json),
    ("body.not-an-object-is-400", "A body that is no JSON object is 400.", not_an_object),
    ("body.wrong-types-are-400", "A known key of a wrong type is 400.", wrong_types),
    (
        "body.deep-nesting-is-refused",
        "A deeply nested body is refused, and the server lives on.",
        deep_nesting,
    ),
    (
        "body.megabytes-are-refused",
        "A token of many megabytes is refused, and the server lives on.",
        megabytes,
    ),
];

fn login_with(target: &Target, body: impl Into<Vec<u8>>) -> Result<Reply, Failure> {
    target.send(&Request::new("POST", "/login").bytes(body))
}

fn duplicate_keys_at_login(target: &Target) -> Check {
    let user = target.shared_plain()?;
    let (name, password) = (&user.localpart, &user.password);
    let identifier = format!(r#"{{"type":"m.id.user","user":"{name}"}}"#);
    let twice = format!(r#"{{"type":"m.id.user","user":"x","user":"{name}"}}"#);
    let kind = stage::PASSWORD;
    let bodies = [
        format!(
            r#"{{"type":"{kind}","identifier":{identifier},"password":"x","password":"{password}"}}"#
        ),
        format!(
            r#"{{"type":"m.login.dummy","type":"{kind}","identifier":{identifier},"password":"{password}"}}"#
        ),
        format!(r#"{{"type":"{kind}","identifier":{twice},"password":"{password}"}}"#),
        format!(
            r#"{{"type":"{kind}","identifier":{identifier},"password":"{password}","x":1,"x":1}}"#
        ),
    ];
    for body in bodies {
        login_with(target, body)?.refused_any(400)?;
    }
    Ok(())
}

fn duplicate_auth(target: &Target) -> Check {
    let alice = target.guarded()?;
    let login = alice.begin_login()?;
    let (session, code) = (&login.session, alice.code()?);
    let right = format!(r#"{{"type":"{}","session":"{session}","token":"{code}"}}"#, stage::TOTP);
    let bodies = [
        format!(r#"{{"auth":{{}},"auth":{right}}}"#),
        format!(r#"{{"auth":{right},"auth":{right}}}"#),
        format!(
            r#"{{"auth":{{"type":"{}","session":"{session}","token":"000000","token":"{code}"}}}}"#,
            stage::TOTP
        ),
    ];
    for body in bodies {
        login_with(target, body)?.refused_any(400)?;
    }
    alice.logged_in(&login.totp(code)?)?;
    Ok(())
}

fn duplicate_keys_in_an_operation(target: &Target) -> Check {
    let user = target.shared_plain()?;
    let send = |method: &str, endpoint: &str, body: &str| {
        user.call(Request::new(method, endpoint).bytes(body))?.refused_any(400).map(drop)
    };
    send("POST", "/delete_devices", r#"{"devices":["A"],"devices":["B"]}"#)?;
    send("POST", "/account/two-factor/totp", r#"{"name":"A","name":"B"}"#)?;
    send("DELETE", "/devices/NONE", r#"{"auth":{},"auth":{}}"#)
}

fn escaped_duplicate_keys(target: &Target) -> Check {
    let user = target.shared_plain()?;
    let body = format!(
        r#"{{"type":"{}","identifier":{{"type":"m.id.user","user":"{}"}},"password":"x","pass\u0077ord":"{}"}}"#,
        stage::PASSWORD,
        user.localpart,
        user.password
    );
    login_with(target, body)?.refused_any(400)?;
    Ok(())
}

fn not_json(target: &Target) -> Check {
    let user = target.shared_plain()?;
    for body in [&b"{"[..], b"{}{}", b"type=m.login.password", b"{'a':1}", b"{\"a\":\"\xff\"}"] {
        login_with(target, body)?.refused_any(400)?;
        let set_up = Request::new("POST", "/account/two-factor/totp").bytes(body);
        user.call(set_up)?.refused_any(400)?;
    }
    Ok(())
}

fn not_an_object(target: &Target) -> Check {
    let user = target.shared_plain()?;
    for body in ["[]", "null", "5", "\"x\"", "[{}]"] {
        login_with(target, body)?.refused_any(400)?;
        let set_up = Request::new("POST", "/account/two-factor/totp").bytes(body);
        user.call(set_up)?.refused_any(400)?;
    }
    Ok(())
}

fn wrong_types(target: &Target) -> Check {
    let user = target.shared_plain()?;
    let wrong = [
        json!({"password": 5}),
        json!({"password": [user.password]}),
        json!({"identifier": user.localpart}),
        json!({"identifier": {"type": "m.id.user", "user": [user.localpart]}}),
        json!({"device_id": 5}),
        json!({"refresh_token": "true"}),
        json!({"type": 5}),
    ];
    for further in wrong {
        user.login_with(&further)?.refused_any(400)?;
    }
    user.call(Operation::set_up("x").request(Some(&json!(5))))?.refused(400, "M_BAD_JSON")?;
    let name = Operation::new("POST", "/account/two-factor/totp", json!({"name": 5}));
    user.perform(&name, Proof::Password)?.refused_any(400)?;
    Ok(())
}

fn alive(target: &Target) -> Check {
    let reply = target.send(&Request::get("/_matrix/client/versions"))?;
    reply.status(200).map_err(|failure| failure.during("after the attack"))?;
    Ok(())
}

fn deep_nesting(target: &Target) -> Check {
    let depth = 100_000;
    let body = format!("{{\"auth\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let request = Request::new("POST", "/login").bytes(body);
    if let Some(reply) = target.client.send_raw(&request)? {
        let held = (400..500).contains(&reply.status);
        reply.demand(held, "a refusal, 4xx")?;
    }
    alive(target)
}

fn megabytes(target: &Target) -> Check {
    let auth = json!({"type": stage::TOTP, "session": "x", "token": "1".repeat(16 << 20)});
    let request = Request::post("/login", &json!({"auth": auth}));
    if let Some(reply) = target.client.send_raw(&request)? {
        let held = (400..500).contains(&reply.status);
        reply.demand(held, "a refusal, 4xx")?;
    }
    alive(target)
}
