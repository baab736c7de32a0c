//! `myelin routes`

use myelin_server::routes::{PREFIXES, REFUSED, REFUSED_CLIENT_API, ROUTES, STRAIGHT};
use serde_json::Value;

use crate::support::Home;

#[test]
fn the_table_has_a_line_for_every_route() {
    let out = Home::new().out(&["routes"]);
    for route in &ROUTES {
        let gated = if route.action.is_gated() { "yes" } else { "no" };
        let found = out.lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().take(3).collect();
            words == [route.method.as_str(), route.endpoint, gated]
        });
        assert!(found, "{} {} in {out}", route.method, route.endpoint);
    }
}

#[test]
fn what_is_refused_is_said_and_what_opens_it() {
    let out = Home::new().out(&["routes"]);
    for line in [
        ["/_synapse/client/myelin", "-"],
        ["/_synapse/admin", "homeserver.pass=admin"],
        ["/_synapse/client/oidc", "homeserver.sso"],
    ] {
        assert!(out.lines().any(|said| said.split_whitespace().eq(line)), "{line:?} in {out}");
    }
    assert!(out.contains("/_matrix/client/*/login/sso"), "{out}");
}

#[test]
fn json_holds_the_same() {
    let printed: Value =
        serde_json::from_str(&Home::new().out(&["routes", "--format", "json"])).unwrap();
    assert_eq!(printed["prefixes"], serde_json::json!(PREFIXES));
    let routes = printed["routes"].as_array().unwrap();
    assert_eq!(routes.len(), ROUTES.len());
    for (printed, route) in routes.iter().zip(&ROUTES) {
        assert_eq!(printed["method"], route.method.as_str());
        assert_eq!(printed["endpoint"], route.endpoint);
        assert_eq!(printed["gated"], route.action.is_gated());
    }
    let refused = printed["refused"].as_array().unwrap();
    assert_eq!(refused.len(), REFUSED.len() + REFUSED_CLIENT_API.len());
}

#[test]
fn a_proxy_is_told_of_every_busy_path_and_of_both_servers() {
    for format in ["nginx", "caddy", "traefik", "haproxy"] {
        let servers = ["--gateway", "[::1]:81", "--homeserver", "synapse:82"];
        let out = Home::new().out(&[&["routes", "--format", format][..], &servers].concat());
        for expected in ["[::1]:81", "synapse:82"] {
            assert_eq!(out.matches(expected).count(), 1, "{format}: {expected} in {out}");
        }
        for straight in &STRAIGHT {
            let path = straight.path.replace('.', "\\.");
            assert!(out.contains(&path), "{format}: {path} in {out}");
        }
    }
}

#[test]
fn an_address_cannot_write_a_configuration() {
    for address in ["127.0.0.1", "x:y", "a;b:80", "a b:80", "a\nb:80", ":80", "x:99999"] {
        let ran = Home::new().run(&["routes", "--format", "nginx", "--gateway", address]);
        assert_eq!(ran.code, 2, "{address:?}");
    }
}
