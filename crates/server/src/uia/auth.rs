//! The `auth` dict of a request, read strictly.

use myelin_homeserver::{Password, PasswordEvidence, Refusal};
use myelin_uia::{SessionId, Stage};
use ruma::api::{client::uiaa::MatrixUserIdentifier, error::ErrorKind};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::gate::{Found, Gate, Proved};
use crate::{App, error::Error};

/// What a client says about where it stands.
#[derive(Debug)]
pub(crate) enum Auth {
    /// Nothing: it asks for a challenge.
    Absent,
    /// Only a session: it asks where that stands.
    Session(Named),
    /// It tries a stage.
    Attempt {
        /// In this session; in a new one if there is none.
        session: Option<Named>,
        /// With this.
        evidence: Evidence,
    },
}

/// A session as a client names it, and what was found early.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) id: String,
    found: Option<Found>,
}

impl Named {
    /// The session; or a fresh challenge, as [`Gate::lookup`].
    pub(crate) async fn find(&mut self, gate: &Gate<'_>) -> Result<Found, Error> {
        match self.found.take() {
            Some(found) => Ok(found),
            None => gate.lookup(&self.id).await,
        }
    }
}

/// What a client offers as proof of a stage.
#[derive(Debug)]
pub(crate) enum Evidence {
    Password(Box<PasswordEvidence>),
    Totp(Zeroizing<String>),
    Recovery(Zeroizing<String>),
    /// Everything at once, as one of our pages asks for it; `code` is of an
    /// authenticator or a recovery code, and none where there is no second factor.
    Page {
        password: Box<PasswordEvidence>,
        code: Option<Box<Self>>,
    },
    /// A sign-in on our pages, which has been spent for this.
    SignedIn(Box<Proved>),
    Dummy,
    RegistrationToken(Zeroizing<String>),
    /// A stage that is never offered.
    Unknown,
}

impl Evidence {
    /// The stage that it could prove.
    pub(crate) fn stage(&self) -> Option<Stage> {
        match self {
            Self::Password(_) => Some(Stage::Password),
            Self::Totp(_) => Some(Stage::Totp),
            Self::Recovery(_) => Some(Stage::Recovery),
            Self::Page { .. } | Self::SignedIn(_) => Some(Stage::Sso),
            Self::Dummy => Some(Stage::Dummy),
            Self::RegistrationToken(_) => Some(Stage::RegistrationToken),
            Self::Unknown => None,
        }
    }

    /// Reads the dict of a stage.
    pub(crate) fn read(dict: &Map<String, Value>) -> Result<Self, Refusal> {
        let stage = required(dict, "type")?;
        Ok(match Stage::parse(stage) {
            Some(Stage::Password) => Self::Password(Box::new(password(dict)?)),
            Some(Stage::Totp) => Self::Totp(secret(dict, "token")?),
            Some(Stage::Recovery) => Self::Recovery(secret(dict, "token")?),
            Some(Stage::Dummy) => Self::Dummy,
            Some(Stage::RegistrationToken) => Self::RegistrationToken(secret(dict, "token")?),
            Some(Stage::Token | Stage::Sso | Stage::AppPassword) | None => Self::Unknown,
        })
    }
}

/// Reads `identifier` (or the legacy `user`) and `password`.
fn password(dict: &Map<String, Value>) -> Result<PasswordEvidence, Refusal> {
    let password = Password::new(required(dict, "password")?);
    let identifier = if let Some(identifier) = dict.get("identifier") {
        serde_json::from_value(identifier.clone())
            .map_err(|_| bad_json("`identifier` is not a valid user identifier."))?
    } else {
        MatrixUserIdentifier::new(required(dict, "user")?.to_owned()).into()
    };
    Ok(PasswordEvidence { identifier, password })
}

impl Auth {
    /// Takes `auth` out of a body.
    pub(crate) fn take(body: &mut Map<String, Value>) -> Result<Self, Refusal> {
        let dict = match body.remove("auth") {
            None | Some(Value::Null) => return Ok(Self::Absent),
            Some(Value::Object(dict)) if dict.is_empty() => return Ok(Self::Absent),
            Some(Value::Object(dict)) => dict,
            Some(_) => return Err(bad_json("`auth` must be an object.")),
        };
        let session = string(&dict, "session")?;
        let session = session.map(|id| Named { id: id.to_owned(), found: None });
        // Some clients name the stage whose page they have shown.
        let on_page = string(&dict, "type")? == Some(Stage::Sso.as_str());
        let known = usize::from(session.is_some()) + usize::from(on_page);
        match session {
            Some(session) if known == dict.len() => Ok(Self::Session(session)),
            session => Ok(Self::Attempt { session, evidence: Evidence::read(&dict)? }),
        }
    }

    /// Looks for the session that is named, before it is known who asks: it is
    /// shown to nobody, and is found in the time that this takes.
    pub(crate) async fn look(&mut self, app: &App) -> Result<(), Error> {
        if let Self::Session(named) | Self::Attempt { session: Some(named), .. } = self
            && let Some(id) = SessionId::parse(&named.id)
        {
            named.found = app.store().lookup_session(&id, app.now()).await?;
        }
        Ok(())
    }

    /// Whether a password is offered.
    pub(crate) fn offers_password(&self) -> bool {
        matches!(self, Self::Attempt { evidence: Evidence::Password(_), .. })
    }

    /// The password that is offered.
    pub(crate) fn into_password(self) -> Option<PasswordEvidence> {
        match self {
            Self::Attempt { evidence: Evidence::Password(evidence), .. } => Some(*evidence),
            _ => None,
        }
    }
}

/// A string that may be absent.
pub(crate) fn string<'d>(
    dict: &'d Map<String, Value>,
    key: &str,
) -> Result<Option<&'d str>, Refusal> {
    match dict.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad_json(&format!("`{key}` must be a string."))),
    }
}

fn required<'d>(dict: &'d Map<String, Value>, key: &str) -> Result<&'d str, Refusal> {
    match dict.get(key) {
        None => {
            let message = format!("`{key}` is missing.");
            Err(Refusal::bad_request(&ErrorKind::MissingParam, message))
        }
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(bad_json(&format!("`{key}` must be a string."))),
    }
}

fn secret(dict: &Map<String, Value>, key: &str) -> Result<Zeroizing<String>, Refusal> {
    required(dict, key).map(|text| Zeroizing::new(text.to_owned()))
}

fn bad_json(message: &str) -> Refusal {
    Refusal::bad_request(&ErrorKind::BadJson, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(auth: Value) -> Result<Auth, Refusal> {
        Auth::take(&mut Map::from_iter([("auth".to_owned(), auth)]))
    }

    #[test]
    fn a_session_alone_or_with_the_page_it_was_passed_on_asks_where_it_stands() {
        for auth in [json!({"session": "s"}), json!({"session": "s", "type": "m.login.sso"})] {
            assert!(matches!(take(auth), Ok(Auth::Session(session)) if session.id == "s"));
        }
    }

    #[test]
    fn a_page_alone_proves_nothing() {
        for auth in [json!({"type": "m.login.sso"}), json!({"type": "m.login.sso", "token": "x"})] {
            let taken = take(auth).unwrap();
            assert!(matches!(taken, Auth::Attempt { session: None, evidence: Evidence::Unknown }));
        }
    }
}
