//! Any web client may ask, from wherever it was loaded.
//!
//! [Client-Server API, Web Browser Clients](https://spec.matrix.org/v1.16/client-server-api/#web-browser-clients)

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};

const PREFLIGHT: [(HeaderName, HeaderValue); 3] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET,POST,PUT,PATCH,DELETE,OPTIONS"),
    ),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "x-requested-with,content-type,authorization,date,if-match,if-none-match",
        ),
    ),
];

/// The answer to a browser that asks whether it may ask.
pub(crate) fn preflight() -> Response {
    (PREFLIGHT, Body::empty()).into_response()
}

/// Lets a page read an answer. What a homeserver behind it has said already
/// stays as it is: a browser takes no second value.
pub(crate) fn allow(headers: &mut HeaderMap) {
    let any = HeaderValue::from_static("*");
    headers.entry(header::ACCESS_CONTROL_ALLOW_ORIGIN).or_insert(any);
    // This one is a list.
    headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, header::RETRY_AFTER.into());
}
