//! Requests whose stages are the homeserver's own: a registration, and a
//! password reset by email without an access token.
//!
//! They make a new account or need the mailbox, and lead to no token of an
//! account that exists. What could do more than that is filtered out: a
//! password stage without a token tells whether a password is right.

use axum::response::Response;
use myelin_homeserver::{Operation, Refusal, Registration, has_access_token};
use ruma::api::error::ErrorKind;
use serde_json::{Map, Value};

use crate::{App, call::Call, error::Error, texts, uia::string};

/// The stages that a registration may take at the homeserver.
const REGISTRATION_STAGES: [&str; 6] = [
    "m.login.dummy",
    "m.login.email.identity",
    "m.login.msisdn",
    "m.login.recaptcha",
    "m.login.registration_token",
    "m.login.terms",
];

/// The stages that prove a mailbox or a phone.
const RESET_STAGES: [&str; 2] = ["m.login.email.identity", "m.login.msisdn"];

/// Whether the homeserver is to ask for stages of its own.
pub(crate) fn is_for(app: &App, call: &Call, operation: Operation) -> bool {
    if !matches!(app.homeserver().registration(), Registration::Relayed) {
        return false;
    }
    match operation {
        Operation::Register => true,
        // With a token, or what may be one, it is the owner's own operation.
        Operation::ChangePassword => !has_access_token(&call.headers, &call.uri),
        _ => false,
    }
}

/// Hands the request on, with no stage in it but those that are let through.
pub(crate) async fn run(
    app: &App,
    mut call: Call,
    operation: Operation,
) -> Result<Response, Error> {
    let allowed: &[&str] = match operation {
        Operation::Register => &REGISTRATION_STAGES,
        _ => &RESET_STAGES,
    };
    let auth = match call.body.remove("auth") {
        None | Some(Value::Null) => None,
        Some(Value::Object(auth)) => Some(filtered(auth, allowed)?),
        Some(_) => {
            let message = "`auth` must be an object.";
            return Err(Refusal::bad_request(&ErrorKind::BadJson, message).into());
        }
    };
    let request = call.operation(operation, None);
    Ok(app.homeserver().relay(&request, auth, &call.context).await?)
}

fn filtered(auth: Map<String, Value>, allowed: &[&str]) -> Result<Map<String, Value>, Refusal> {
    match string(&auth, "type")? {
        None => Ok(auth),
        Some(stage) if allowed.contains(&stage) => Ok(auth),
        Some(_) => Err(Refusal::forbidden(texts::OTHER_STAGE)),
    }
}
