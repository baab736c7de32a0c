//! `GET /.well-known/matrix/client`: where clients find the homeserver.
//!
//! It is here, not where the homeserver believes itself to be: a client that
//! went straight to the homeserver's own port would go around the gate.
//!
//! [Client-Server API, Server discovery](https://spec.matrix.org/v1.16/client-server-api/#getwell-knownmatrixclient)

use axum::{
    Json,
    body::to_bytes,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use myelin_homeserver::{Context, strict_json::parse_object};
use serde_json::{Map, Value, json};

use crate::App;

/// Its path.
pub(crate) const PATH: &str = "/.well-known/matrix/client";

/// The most that a homeserver may say there, in bytes.
const LIMIT: usize = 64 * 1024;

/// What the homeserver says, if it says anything, with our address in it.
pub(crate) async fn well_known(app: &App, context: &Context, request: Request) -> Response {
    let mut answer = upstream(app, context, request).await.unwrap_or_default();
    let base_url = app.settings().public_url.as_str().trim_end_matches('/');
    answer.insert("m.homeserver".to_owned(), json!({"base_url": base_url}));
    // An OAuth issuer would be another way to a token.
    answer.retain(|key, _| key != "m.authentication" && key != "org.matrix.msc2965.authentication");
    Json(answer).into_response()
}

async fn upstream(app: &App, context: &Context, request: Request) -> Option<Map<String, Value>> {
    let response = app.homeserver().forward(request, context).await;
    if response.status() != StatusCode::OK {
        return None;
    }
    let bytes = to_bytes(response.into_body(), LIMIT).await.ok()?;
    parse_object(&bytes).ok()
}
