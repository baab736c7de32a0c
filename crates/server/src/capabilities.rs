//! `GET /capabilities`: the homeserver's own, and `m.two_factor`.

use axum::{
    Json,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use myelin_homeserver::{Context, Refusal};
use myelin_uia::Stage;
use ruma::api::error::ErrorKind;
use serde_json::{Value, json};

use crate::{App, whole::whole};

/// The most that a homeserver may say about itself, in bytes.
const LIMIT: usize = 1024 * 1024;

/// Adds `m.two_factor` to what the homeserver answers.
pub(crate) async fn capabilities(app: &App, context: &Context, request: Request) -> Response {
    let Ok((mut parts, bytes)) = whole(app, context, request, LIMIT).await else {
        return unreadable();
    };
    if parts.status != StatusCode::OK {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(&bytes) else {
        return unreadable();
    };
    let ours = json!({
        "enabled": true,
        "providers": [Stage::Totp.as_str(), Stage::Recovery.as_str()],
    });
    let all = answer.entry("capabilities").or_insert_with(|| json!({}));
    let Value::Object(all) = all else { return unreadable() };
    all.insert("m.two_factor".to_owned(), ours);
    parts.headers.remove(http::header::CONTENT_LENGTH);
    (parts, Json(answer)).into_response()
}

fn unreadable() -> Response {
    let message = "The homeserver did not answer as one.";
    Refusal::new(StatusCode::BAD_GATEWAY, &ErrorKind::Unknown, message).into_response()
}
