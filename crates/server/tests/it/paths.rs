//! No spelling of a path leads around the gate.

use myelin_server::routes::{Action, PREFIXES, ROUTES, Route};
use serde_json::json;

use crate::kit::{TestApp, on_every_database};

on_every_database![
    every_prefix_has_the_gate,
    other_forms_of_a_gated_path_are_refused,
    other_methods_of_a_gated_path_do_nothing,
    a_method_cannot_be_overridden,
    the_table_holds_every_gated_endpoint,
];

/// The path of a route, with something in the place of its parameters.
fn path(route: &Route, id: &str) -> String {
    route.endpoint.replace("{deviceId}", "NOSUCH").replace("{id}", id)
}

/// The routes that ask a user who has a token for proof.
fn gated() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| {
        let by_token = route.endpoint != "login" && route.endpoint != "register";
        // The embedded homeserver refuses these before any proof.
        route.action.is_gated() && by_token && !route.endpoint.contains("3pid")
    })
}

/// A body that is right for every operation.
fn body() -> serde_json::Value {
    json!({"devices": ["NOSUCH"], "new_password": "another long password", "name": "x",
           "master_key": null})
}

async fn every_prefix_has_the_gate(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let id = alice.factor().authenticator.as_str();
    for prefix in PREFIXES {
        for route in gated().filter(|route| !route.endpoint.contains("device_signing")) {
            let path = format!("{prefix}{}", path(route, id));
            let reply = alice.client.call(route.method.as_str(), &path, &body()).await;
            let flows = reply.challenges(&[]).json()["flows"].clone();
            assert_eq!(flows[0]["stages"][1], "m.login.2fa.totp", "{path}");
        }
        let login = format!("{prefix}login");
        let reply = anon.post(&login, &alice.password_stage()).await.is(401);
        assert!(reply.json().get("access_token").is_none());
        let register = format!("{prefix}register");
        anon.post(&register, &json!({"username": "x"})).await.challenges(&[]);
    }
}

/// Other ways to write a path that some server might read as this one.
fn disguises(prefix: &str, endpoint: &str) -> Vec<String> {
    let (first, rest) = endpoint.split_at(1);
    let encoded = format!("%{:02x}{rest}", first.as_bytes()[0]);
    let twice = encoded.replace('%', "%25");
    let bare = prefix.trim_end_matches('/');
    vec![
        format!("{prefix}{endpoint}/"),
        format!("{prefix}/{endpoint}"),
        format!("/{prefix}{endpoint}"),
        format!("{bare}%2f{endpoint}"),
        format!("{bare}%2F{endpoint}"),
        format!("{bare}%252f{endpoint}"),
        format!("{prefix}{encoded}"),
        format!("{prefix}{twice}"),
        format!("{prefix}./{endpoint}"),
        format!("{prefix}x/../{endpoint}"),
        format!("{prefix}x/%2e%2e/{endpoint}"),
        format!("{prefix}%2e/{endpoint}"),
        format!("{prefix}{endpoint};x=y"),
        format!("{bare};x/{endpoint}"),
        format!("{prefix}{endpoint}%20"),
        format!("{prefix}{endpoint}%00"),
        format!("{prefix}{endpoint}%09"),
        format!("{prefix}{}", endpoint.to_uppercase()),
        format!("{}{endpoint}", prefix.to_uppercase()),
        format!("{bare}\\{endpoint}"),
        format!("{prefix}{endpoint}/."),
    ]
}

async fn other_forms_of_a_gated_path_are_refused(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let id = alice.factor().authenticator.as_str();
    let mut tried = 0;
    for prefix in PREFIXES {
        for route in ROUTES.iter().filter(|route| route.action.is_gated()) {
            for path in disguises(prefix, &path(route, id)) {
                // What is no URI at all never reaches a server.
                if path.parse::<http::Uri>().is_err() {
                    continue;
                }
                tried += 1;
                let mut body = body();
                body["type"] = "m.login.password".into();
                for client in [&alice.client, &anon] {
                    let reply = client.call(route.method.as_str(), &path, &body).await;
                    // In the place of a parameter it is another parameter,
                    // and asked for proof like any.
                    let parameter = route.endpoint.ends_with('}') && reply.status == 401;
                    let found = (reply.status.as_u16(), reply.json()["errcode"].clone());
                    let refused = found == (404, "M_UNRECOGNIZED".into());
                    let unknown = found == (404, "M_NOT_FOUND".into());
                    let named = route.endpoint.ends_with('}') && unknown;
                    assert!(refused || parameter || named, "{} {path}: {reply:?}", route.method);
                }
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
    assert_eq!(alice.factors().await.authenticators.len(), 1);
}

async fn other_methods_of_a_gated_path_do_nothing(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let id = alice.factor().authenticator.as_str();
    let known = |path: &str, method: &str| {
        ROUTES.iter().any(|route| self::path(route, id) == path && route.method == *method)
    };
    let before = alice.actions().await;
    for route in gated() {
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW", "post"] {
            let path = path(route, id);
            if known(&path, method) {
                continue;
            }
            // Renaming a device is the homeserver's, and changes no factor.
            if method == "PUT" && path.starts_with("devices/") {
                continue;
            }
            let reply = alice.client.call(method, &path, &body()).await;
            assert!(matches!(reply.status.as_u16(), 404 | 405), "{method} {path}: {reply:?}");
        }
    }
    assert_eq!(alice.actions().await, before);
}

async fn a_method_cannot_be_overridden(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let id = alice.factor().authenticator.as_str().to_owned();
    let headers = ["x-http-method-override", "x-http-method", "x-method-override", "_method"];
    for header in headers {
        for query in ["", "?_method=DELETE", "?method=DELETE"] {
            for path in
                [format!("account/two-factor/totp/{id}"), format!("devices/{}", alice.device)]
            {
                let path = format!("{path}{query}");
                let request = alice.client.request("GET", &path).header(header, "DELETE");
                let reply = alice.client.send(request, "").await;
                assert!(matches!(reply.status.as_u16(), 200 | 404 | 405), "{path}: {reply:?}");
            }
        }
        let request = alice.client.request("GET", "account/two-factor").header(header, "POST");
        alice.client.send(request, "").await.is(200);
    }
    alice.client.get("account/whoami").await.is(200);
    assert_eq!(alice.factors().await.authenticators.len(), 1);
}

async fn the_table_holds_every_gated_endpoint(_app: TestApp) {
    for (method, endpoint) in [
        ("POST", "login"),
        ("POST", "register"),
        ("POST", "account/password"),
        ("POST", "account/deactivate"),
        ("POST", "account/3pid/add"),
        ("POST", "account/3pid"),
        ("DELETE", "devices/{deviceId}"),
        ("POST", "delete_devices"),
        ("POST", "keys/device_signing/upload"),
        ("POST", "login/get_token"),
        ("POST", "org.matrix.msc3882/login/token"),
        ("POST", "account/two-factor/totp"),
        ("DELETE", "account/two-factor/totp/{id}"),
        ("POST", "account/two-factor/recovery"),
    ] {
        let found = ROUTES.iter().find(|r| r.method == *method && r.endpoint == endpoint);
        assert!(found.is_some_and(|route| route.action.is_gated()), "{method} {endpoint}");
    }
    let open = ROUTES.iter().map(|route| route.action).filter(|action| !action.is_gated());
    let open: Vec<_> = open.filter(|action| !matches!(action, Action::Page(_))).collect();
    let expected =
        [Action::LoginTypes, Action::Status, Action::Confirm, Action::Rename, Action::Capabilities];
    assert_eq!(open, expected);
}
