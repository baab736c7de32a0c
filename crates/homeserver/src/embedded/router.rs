//! What the embedded homeserver answers without proof.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State as Shared,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use ruma::api::error::ErrorKind;
use serde_json::json;

use super::{account, devices, register, state::State, tokens};
use crate::Refusal;

/// How a handler gets the homeserver.
pub(super) type Home = Shared<Arc<State>>;

/// The prefixes under which it answers, all alike.
const PREFIXES: [&str; 3] =
    ["/_matrix/client/v3", "/_matrix/client/r0", "/_matrix/client/unstable"];

/// The versions of the client-server specification whose account part this is.
const VERSIONS: [&str; 17] = [
    "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10",
    "v1.11", "v1.12", "v1.13", "v1.14", "v1.15", "v1.16",
];

/// The router.
pub(super) fn router(state: Arc<State>) -> Router {
    let endpoints = Router::new()
        .route("/register/available", get(register::available))
        .route("/refresh", post(tokens::refresh))
        .route("/logout", post(devices::log_out))
        .route("/logout/all", post(devices::log_out_everywhere))
        .route("/account/whoami", get(account::whoami))
        .route("/account/3pid", get(account::third_parties))
        .route("/capabilities", get(account::capabilities))
        .route("/devices", get(devices::list))
        .route("/devices/{device_id}", get(devices::show).put(devices::rename));
    PREFIXES
        .iter()
        .fold(Router::new(), |router, prefix| router.nest(prefix, endpoints.clone()))
        .route("/_matrix/client/versions", get(versions))
        .fallback(unrecognized)
        .method_not_allowed_fallback(other_method)
        .with_state(state)
}

async fn versions() -> Response {
    Json(json!({"versions": VERSIONS, "unstable_features": {}})).into_response()
}

async fn unrecognized() -> Refusal {
    Refusal::unrecognized()
}

async fn other_method() -> Refusal {
    let text = "This endpoint has other methods.";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, &ErrorKind::Unrecognized, text)
}
