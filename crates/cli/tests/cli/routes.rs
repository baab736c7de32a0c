//! `myelin routes`

use myelin_server::routes::{PREFIXES, ROUTES};
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
}
