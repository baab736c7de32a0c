//! `/health` and `/ready`, for whoever watches the server.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::json;

use crate::App;

/// Whether the process answers.
pub(crate) fn health() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// Whether it can let anyone in: the database can be written to, every key is
/// at hand, and the homeserver answers.
pub(crate) async fn ready(app: &App) -> Response {
    if app.readiness(is_ready(app)).await {
        return Json(json!({"status": "ready"})).into_response();
    }
    let body = json!({"status": "not ready", "see": "the log"});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

async fn is_ready(app: &App) -> bool {
    let database = app.store().check().await;
    if let Err(error) = &database {
        tracing::error!(error = error as &dyn std::error::Error, "the database is not ready");
    }
    let homeserver = app.homeserver().check().await;
    if let Err(error) = &homeserver {
        tracing::error!(error = error as &dyn std::error::Error, "the homeserver is not ready");
    }
    database.is_ok() && homeserver.is_ok()
}
