//! How a request is read: strictly, then through ruma's types.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use http::{Method, Uri, request::Parts};
use ruma::{
    OwnedDeviceId, OwnedUserId,
    api::{
        IncomingRequest, IncomingRequestExt,
        error::{DeserializationError, ErrorKind, FromHttpRequestError},
    },
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{failure::Failure, state::State};
use crate::{Error, OperationRequest, Refusal, access_token, strict_json};

/// Reads the request for an operation as one of ruma's.
pub(super) fn parse<R: IncomingRequest>(request: &OperationRequest) -> Result<R, Refusal> {
    let path: Vec<_> = request.path_parameters.iter().map(String::as_str).collect();
    read(request.head.uri.query(), &request.body, &path)
}

fn read<R: IncomingRequest>(
    query: Option<&str>,
    body: &Map<String, Value>,
    path: &[&str],
) -> Result<R, Refusal> {
    let uri = query.map_or_else(|| "/".to_owned(), |query| format!("/?{query}"));
    let uri: Uri = uri
        .parse()
        .map_err(|_| Refusal::bad_request(&ErrorKind::InvalidParam, "The query is not valid."))?;
    let bytes = Zeroizing::new(serde_json::to_vec(body).expect("invariant: a JSON map serialises"));
    let mut request = http::Request::new(bytes.as_slice());
    *request.method_mut() = R::METHOD;
    *request.uri_mut() = uri;
    R::try_from_http_request(request, path).map_err(|error| refusal(&error))
}

/// What a client is told of a body that does not fit. The parser's message
/// could repeat the body, secrets included, so it is not.
fn refusal(error: &FromHttpRequestError) -> Refusal {
    let FromHttpRequestError::Deserialization(error) = error else {
        return Refusal::unrecognized();
    };
    // The parser has no other sign of a missing field than its message.
    let text = error.to_string();
    if let Some(field) = text.strip_prefix("missing field ") {
        let field = field.split(" at line").next().unwrap_or_default();
        let text = format!("The field {field} is missing.");
        return Refusal::bad_request(&ErrorKind::MissingParam, text);
    }
    match error {
        DeserializationError::Query(_) => {
            Refusal::bad_request(&ErrorKind::InvalidParam, "A parameter is not valid.")
        }
        _ => Refusal::bad_request(&ErrorKind::BadJson, "A field of the body has another form."),
    }
}

/// Extracts one of ruma's requests.
#[derive(Debug)]
pub(super) struct Matrix<R>(pub(super) R);

impl<R: IncomingRequest + Send> FromRequest<Arc<State>> for Matrix<R> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let path = RawPathParams::from_request_parts(&mut parts, state).await;
        let path = path.map_err(|_| Refusal::not_found("The path is not valid UTF-8."))?;
        let path: Vec<_> = path.iter().map(|(_, value)| value).collect();
        // A GET has no body, whatever was sent.
        let body = if R::METHOD == Method::GET {
            Map::new()
        } else {
            strict_json::parse_object(&state.body.read(body).await?)?
        };
        Ok(Self(read(parts.uri.query(), &body, &path)?))
    }
}

/// A body that says nothing: none at all, or a JSON object.
#[derive(Debug)]
pub(super) struct Nothing;

impl FromRequest<Arc<State>> for Nothing {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Failure> {
        let body = state.body.read(request.into_body()).await?;
        if !body.is_empty() {
            strict_json::parse_object(&body)?;
        }
        Ok(Self)
    }
}

/// Extracts whose access token the request carries.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) user: OwnedUserId,
    pub(super) device_id: OwnedDeviceId,
}

impl FromRequestParts<Arc<State>> for Owner {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Failure> {
        let token = access_token(&parts.headers, &parts.uri)?;
        let identity = state.resolve(&token).await?;
        let device_id = identity
            .device_id
            .ok_or_else(|| Error::Unexpected("a token without a device".to_owned()))?;
        Ok(Self { user: identity.user, device_id })
    }
}
