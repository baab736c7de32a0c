//! `GET /.well-known/matrix/client`: where clients find the homeserver.
//!
//! It is here, not where the homeserver believes itself to be: a client that
//! went straight to the homeserver's own port would go around the gate.
//!
//! [Client-Server API, Server discovery](https://spec.matrix.org/v1.16/client-server-api/#getwell-knownmatrixclient)

use axum::{
    Json,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use myelin_homeserver::{Context, gateway::point_to_gateway, strict_json::parse_object};
use serde_json::{Map, Value};

use crate::{App, whole::whole};

/// Its path.
pub(crate) const PATH: &str = "/.well-known/matrix/client";

/// The most that a homeserver may say there, in bytes.
const LIMIT: usize = 64 * 1024;

/// What the homeserver says, if it says anything, with our address in it.
pub(crate) async fn well_known(app: &App, context: &Context, request: Request) -> Response {
    let mut answer = upstream(app, context, request).await.unwrap_or_default();
    let base_url = app.settings().public_url.as_str().trim_end_matches('/');
    point_to_gateway(&mut answer, base_url);
    Json(answer).into_response()
}

async fn upstream(app: &App, context: &Context, request: Request) -> Option<Map<String, Value>> {
    let (parts, body) = whole(app, context, request, LIMIT).await.ok()?;
    if parts.status != StatusCode::OK {
        return None;
    }
    parse_object(&body).ok()
}
