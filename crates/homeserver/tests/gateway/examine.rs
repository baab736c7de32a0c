//! What an administrator is told: what is wrong, and what to do about it.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use myelin_ambient::{FrozenClock, Timestamp};
use myelin_homeserver::gateway::{Finding, GatewayOptions, Secret, Synapse, discovery};
use serde_json::{Value, json};

use crate::script::{Asked, NOW, SECRET, Scripted};

const BASE_URL: &str = "https://matrix.example.org";
const MISSING_FIELD: &str = r#"{"errcode":"M_UNKNOWN","error":"Missing parameters for login type m.login.password: ['org.myelin.assertion']"}"#;
const WRONG_PASSWORD: &str = r#"{"errcode":"M_FORBIDDEN","error":"Invalid username or password"}"#;
const MINE: &str = env!("CARGO_PKG_VERSION");

/// A Synapse as it should be.
fn synapse(asked: &Asked) -> (u16, String) {
    let body = match asked.line.as_str() {
        "GET /_matrix/client/versions" => json!({"versions": ["v1.1"]}),
        "GET /_matrix/key/v2/server" => json!({"server_name": "example.org"}),
        "GET /.well-known/matrix/client" => json!({"m.homeserver": {"base_url": BASE_URL}}),
        "GET login" => json!({"flows": [{"type": "org.myelin.assertion"}]}),
        "POST login" => return (400, MISSING_FIELD.to_owned()),
        "GET /_synapse/client/myelin/version" if is_of_now(asked) => module(MINE),
        _ => return (404, r#"{"errcode":"M_UNRECOGNIZED"}"#.to_owned()),
    };
    (200, body.to_string())
}

fn module(version: &str) -> Value {
    let features = ["mint", "probe", "uia"];
    json!({"version": version, "features": features, "require_gateway": true})
}

/// Whether an assertion was made when this homeserver's clock showed its time.
fn is_of_now(asked: &Asked) -> bool {
    let token = asked.token.as_deref().unwrap_or_default();
    let payload = token.split('.').next().unwrap_or_default();
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&payload).unwrap_or_default();
    claims["iat"].as_u64().is_some_and(|made| made.abs_diff(NOW.as_millis()) <= 2000)
}

/// What is found by a gateway whose clock shows this.
async fn found_at(
    now: Timestamp,
    script: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static,
) -> Vec<Finding> {
    let server = Scripted::homeserver(script).await;
    let options = GatewayOptions { clock: Arc::new(FrozenClock::at(now)), ..server.options() };
    Synapse::new(options, Secret::from_bytes(SECRET).unwrap()).examine().await
}

/// What is found where one request is answered otherwise.
async fn found(line: &'static str, status: u16, body: Value) -> Vec<Finding> {
    let script = move |asked: &Asked| {
        if asked.line == line { (status, body.to_string()) } else { synapse(asked) }
    };
    found_at(NOW, script).await
}

/// What is wrong, as one text.
fn wrong(findings: &[Finding]) -> String {
    let bad = findings.iter().filter_map(|finding| match finding {
        Finding::Bad(text) => Some(text.as_str()),
        Finding::Good(_) | Finding::Unknown(_) => None,
    });
    bad.collect::<Vec<_>>().join("\n")
}

fn notes(findings: &[Finding]) -> String {
    format!("{findings:?}")
}

#[tokio::test]
async fn nothing_is_wrong_where_all_is_as_it_should_be() {
    let findings = found_at(NOW, synapse).await;
    assert!(findings.iter().all(|finding| matches!(finding, Finding::Good(_))), "{findings:?}");
    assert_eq!(findings.len(), 6, "{findings:?}");
}

#[tokio::test]
async fn a_missing_module_is_told_from_another_secret() {
    let bare = |asked: &Asked| match asked.line.as_str() {
        "GET login" => (200, r#"{"flows":[{"type":"m.login.password"}]}"#.to_owned()),
        "POST login" => (403, WRONG_PASSWORD.to_owned()),
        "GET /_synapse/client/myelin/version" => (404, "{}".to_owned()),
        _ => synapse(asked),
    };
    let missing = wrong(&found_at(NOW, bare).await);
    assert!(missing.contains("the module is not in Synapse. Install it"), "{missing}");
    assert!(missing.contains("a login that goes around Myelin is NOT refused"), "{missing}");
    assert!(!missing.contains("secret"), "{missing}");

    let deaf = found("GET /_synapse/client/myelin/version", 404, json!({})).await;
    let deaf = wrong(&deaf);
    assert!(deaf.contains("the secret is another"), "{deaf}");
    assert!(!deaf.contains("not in Synapse") && !deaf.contains("clocks"), "{deaf}");
}

#[tokio::test]
async fn clocks_that_differ_are_named_with_both_times() {
    for (now, here) in [
        (NOW + Duration::from_mins(5), "here it is Wed, 18 Nov 2026 11:11:40 GMT"),
        (NOW - Duration::from_mins(5), "here it is Wed, 18 Nov 2026 11:01:40 GMT"),
    ] {
        let wrong = wrong(&found_at(now, synapse).await);
        assert!(wrong.contains("the secret is right, but the clocks differ"), "{wrong}");
        assert!(wrong.contains(here), "{wrong}");
        assert!(wrong.contains("at the homeserver Wed, 18 Nov 2026 11:06:40 GMT"), "{wrong}");
        assert!(!wrong.contains("another"), "{wrong}");
    }
}

#[tokio::test]
async fn clocks_that_differ_and_another_secret_are_both_told() {
    let script = |asked: &Asked| match asked.line.as_str() {
        "GET /_synapse/client/myelin/version" => (404, "{}".to_owned()),
        _ => synapse(asked),
    };
    let wrong = wrong(&found_at(NOW + Duration::from_mins(5), script).await);
    assert!(wrong.contains("the secret is another"), "{wrong}");
    assert!(wrong.contains("the clocks differ by 299 seconds"), "{wrong}");
}

#[tokio::test]
async fn a_module_of_another_version_is_told() {
    let at = "GET /_synapse/client/myelin/version";
    let findings = found(at, 200, module("9.9.9")).await;
    assert_eq!(wrong(&findings), "", "{findings:?}");
    let text = notes(&findings);
    assert!(text.contains("the module is version 9.9.9; this Myelin comes with"), "{text}");

    let mut poor = module("0.0.1");
    poor["features"] = json!(["mint", "probe"]);
    let poor = wrong(&found(at, 200, poor).await);
    assert!(poor.contains("version 0.0.1, and cannot do what this Myelin needs"), "{poor}");

    let mut open = module(MINE);
    open["require_gateway"] = json!(false);
    let open = wrong(&found(at, 200, open).await);
    assert!(open.contains("require_gateway off: set it to true"), "{open}");
}

#[tokio::test]
async fn only_the_modules_own_refusal_says_that_the_direct_way_is_closed() {
    let unknown = json!({"errcode": "M_UNKNOWN", "error": "Unknown login type m.login.password"});
    for (status, body) in [
        (400, unknown),
        (400, json!({"errcode": "M_NOT_JSON", "error": "Content not JSON."})),
        (429, json!({"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests"})),
        (400, json!([])),
    ] {
        let findings = found("POST login", status, body).await;
        let text = notes(&findings);
        assert!(text.contains("cannot be told: Synapse answers"), "{text}");
        assert!(!text.contains("around Myelin is refused\""), "{text}");
    }
    let body: Value = serde_json::from_str(WRONG_PASSWORD).unwrap();
    let wrong = wrong(&found("POST login", 403, body).await);
    assert!(wrong.contains("NOT refused: Synapse has looked at its password"), "{wrong}");
}

#[tokio::test]
async fn another_address_of_the_homeserver_is_a_note() {
    let own = json!({"m.homeserver": {"base_url": "http://10.0.0.1:8008/"}});
    let findings = found("GET /.well-known/matrix/client", 200, own).await;
    assert_eq!(wrong(&findings), "");
    let text = notes(&findings);
    assert!(text.contains("http://10.0.0.1:8008/") && text.contains("public_baseurl"), "{text}");
}

/// What clients find under the server's name.
async fn discovered(status: u16, body: &'static str) -> Finding {
    let server = Scripted::always(status, body).await;
    discovery(server.url(), BASE_URL).await
}

#[tokio::test]
async fn what_clients_find_under_the_servers_name_is_compared_with_public_url() {
    let good = discovered(200, r#"{"m.homeserver":{"base_url":"https://matrix.example.org/"}}"#);
    assert!(matches!(good.await, Finding::Good(_)));
    let other = discovered(200, r#"{"m.homeserver":{"base_url":"https://synapse.example.org"}}"#);
    let Finding::Bad(text) = other.await else { panic!("another address is wrong") };
    assert!(text.contains("names https://synapse.example.org, but public_url is"), "{text}");
    for (status, body) in [(200, "<html>"), (200, "{}"), (500, "")] {
        let found = discovered(status, body).await;
        assert!(matches!(found, Finding::Bad(_)), "{status} {body}: {found:?}");
    }
    for status in [404, 301] {
        let found = discovered(status, "").await;
        assert!(matches!(found, Finding::Unknown(_)), "{status}: {found:?}");
    }
    let found = discovery("http://127.0.0.1:1".parse().unwrap(), BASE_URL).await;
    let Finding::Unknown(text) = found else { panic!("{found:?}") };
    assert!(text.contains("cannot be asked for from here"), "{text}");
}
