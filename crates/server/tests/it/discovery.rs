//! What clients find, and what they never reach.

use serde_json::json;

use crate::kit::{TestApp, on_every_database};

on_every_database![the_well_known_names_the_configured_address, ways_around_the_gate_do_not_exist,];

async fn the_well_known_names_the_configured_address(app: TestApp) {
    let app = app
        .planned(|plan| {
            plan.settings.public_url = "https://matrix.example.org".parse().expect("a URL");
        })
        .await;
    let path = "/.well-known/matrix/client";
    let anon = app.anonymous();
    let request = anon.request("GET", path).header("host", "evil.example");
    let reply = anon.send(request, "").await.is(200);
    let expected = json!({"m.homeserver": {"base_url": "https://matrix.example.org"}});
    assert_eq!(reply.json(), expected);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
}

async fn ways_around_the_gate_do_not_exist(app: TestApp) {
    let anon = app.anonymous();
    for path in [
        "/_synapse/admin/v1/register",
        "/_matrix/client/v1/auth_metadata",
        "/_matrix/client/v4/login",
        "/_matrix/static/client/login/spec.js",
    ] {
        anon.post(path, &json!({})).await.refuses(404, "M_UNRECOGNIZED");
    }
}
