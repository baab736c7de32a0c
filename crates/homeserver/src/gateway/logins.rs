//! Logins at the homeserver, and what it answers to them.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use ruma::{OwnedUserId, api::client::uiaa::UserIdentifier};
use serde_json::{Map, Value, json};

use super::{Answer, Ask, Gateway};
use crate::{AccessToken, Context, Device, Error, Password, Refusal};

pub(super) const LOGIN: &str = "/_matrix/client/v3/login";
const LOGOUT: &str = "/_matrix/client/v3/logout";

/// How often a logout is tried, and the pause between.
const LOGOUT_TRIES: u32 = 3;
const LOGOUT_PAUSE: Duration = Duration::from_millis(200);

/// What the homeserver made of a login.
pub(super) enum Login {
    /// A device and a token exist.
    Done { user: OwnedUserId, token: AccessToken, answer: Answer },
    /// Wrong password, or unknown user.
    Wrong,
    /// Refused whatever the password.
    Refused(Refusal),
}

/// The body of a login with a password.
pub(super) fn with_password(
    identifier: &UserIdentifier,
    password: &Password,
) -> Result<Map<String, Value>, Error> {
    let identifier = serde_json::to_value(identifier)
        .map_err(|_| Error::Unexpected("an identifier that is no JSON".to_owned()))?;
    Ok(Map::from_iter([
        ("type".to_owned(), json!("m.login.password")),
        ("identifier".to_owned(), identifier),
        ("password".to_owned(), json!(password.expose())),
    ]))
}

/// The body of a login with a token.
pub(super) fn with_token(token: &str) -> Map<String, Value> {
    Map::from_iter([
        ("type".to_owned(), json!("m.login.token")),
        ("token".to_owned(), json!(token)),
    ])
}

/// Adds the device that is asked for.
pub(super) fn on_device(mut body: Map<String, Value>, device: &Device) -> Map<String, Value> {
    let Device { device_id, initial_display_name, refresh_token } = device;
    if let Some(id) = device_id {
        body.insert("device_id".to_owned(), json!(id));
    }
    if let Some(name) = initial_display_name {
        body.insert("initial_device_display_name".to_owned(), json!(name));
    }
    // Some clients stop at a refresh token that they did not ask for.
    if *refresh_token {
        body.insert("refresh_token".to_owned(), json!(true));
    }
    body
}

impl Gateway {
    /// Tries a login.
    pub(super) async fn try_login(
        &self,
        body: &Map<String, Value>,
        agent: Option<String>,
        context: &Context,
    ) -> Result<Login, Error> {
        let ask = Ask::post(LOGIN, body);
        let ask = match agent {
            Some(agent) => ask.with_agent(agent),
            None => ask,
        };
        let answer = self.send(ask, Some(context)).await?;
        if answer.status() == StatusCode::OK {
            return self.logged_in(answer, context).await;
        }
        let refusal = answer.refusal()?;
        let is_wrong = refusal.status == StatusCode::FORBIDDEN && refusal.errcode == "M_FORBIDDEN";
        Ok(if is_wrong { Login::Wrong } else { Login::Refused(refusal) })
    }

    /// A login of which the answer is not wholly understood must not stay.
    async fn logged_in(&self, answer: Answer, context: &Context) -> Result<Login, Error> {
        let body = answer.object()?;
        let Some(token) = body.get("access_token").and_then(Value::as_str) else {
            return Err(Error::Unexpected("a login without an access token".to_owned()));
        };
        let token = AccessToken::new(token);
        match self.own_user(body.get("user_id")) {
            Ok(user) => Ok(Login::Done { user, token, answer }),
            Err(error) => {
                self.log_out(&token, context).await?;
                Err(error)
            }
        }
    }

    /// The login response for a client.
    pub(super) fn login_response(&self, answer: Answer) -> Result<Response, Error> {
        answer.into_response(&self.options.base_url)
    }

    /// Ends a login.
    pub(super) async fn log_out(
        &self,
        token: &AccessToken,
        context: &Context,
    ) -> Result<(), Error> {
        let body = Map::new();
        let mut left = LOGOUT_TRIES;
        loop {
            left -= 1;
            let answer = self.send(Ask::post(LOGOUT, &body).with_token(token), Some(context)).await;
            match answer.and_then(|answer| logged_out(&answer)) {
                Ok(()) => return Ok(()),
                Err(error) if left == 0 => {
                    let cause = &error as &dyn std::error::Error;
                    tracing::error!(error = cause, "a device that nobody uses could not be ended");
                    return Err(error);
                }
                Err(_) => tokio::time::sleep(LOGOUT_PAUSE).await,
            }
        }
    }
}

fn logged_out(answer: &Answer) -> Result<(), Error> {
    match answer.status() {
        // Gone already is gone.
        StatusCode::OK | StatusCode::UNAUTHORIZED => Ok(()),
        status => Err(Error::Unexpected(format!("a logout is answered {}", status.as_u16()))),
    }
}
