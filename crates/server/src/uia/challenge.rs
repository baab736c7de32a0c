//! What a client is asked for: the flows of a request, and the 401 that says so.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use myelin_storage::Factors;
use myelin_uia::{Flows, Session, Stage, with_error};
use serde_json::{Map, json};

use super::gate::{Gate, Purpose};
use crate::{App, SignOn, error::Error};

impl Gate<'_> {
    /// The flows that are enough for this request, as they are offered to this
    /// session. Whoever has passed a stage with the last recovery code goes on.
    pub(crate) fn flows(&self, factors: Option<&Factors>, session: &Session) -> Flows {
        match (&self.purpose, factors) {
            (Purpose::Registration(flows), _) => flows.clone(),
            (Purpose::SignOn, _) if self.app.settings().sign_on == SignOn::Enough => {
                // A code where one has just been set up.
                Flows::new([vec![Stage::Token], vec![Stage::Token, Stage::Totp]])
            }
            (purpose, Some(factors)) if factors.protect() => {
                let recovery =
                    factors.recoverable() || session.completed.contains(&Stage::Recovery);
                self.protected(purpose, recovery)
            }
            // Nobody is known yet: which of them it takes is told after the
            // password, and to the one who knows it.
            (Purpose::Login, None) => Flows::new([
                vec![Stage::Password],
                vec![Stage::Password, Stage::Totp],
                vec![Stage::Password, Stage::Recovery],
            ]),
            (Purpose::SignOn, _) => Flows::new([[Stage::Token]]),
            // Who signs on elsewhere has no password here, perhaps.
            (purpose, _) if self.has_page(purpose) && self.app.signs_on() => {
                Flows::new([[Stage::Sso], [Stage::Password]])
            }
            _ => Flows::new([[Stage::Password]]),
        }
    }

    /// Whether a page of ours can stand for all stages.
    fn has_page(&self, purpose: &Purpose) -> bool {
        let on_page = matches!(purpose, Purpose::Login | Purpose::SignOn | Purpose::Page);
        self.app.settings().has_pages && !on_page
    }

    fn protected(&self, purpose: &Purpose, recovery: bool) -> Flows {
        let mut flows = Vec::new();
        // The first one that clients see: most know it, and nothing else.
        if self.has_page(purpose) {
            flows.push(vec![Stage::Sso]);
        }
        let mut second = vec![Stage::Totp];
        second.extend(recovery.then_some(Stage::Recovery));
        flows.extend(second.into_iter().map(|second| match purpose {
            Purpose::Forwarded => vec![second, Stage::Password],
            Purpose::Page => vec![second],
            Purpose::SignOn => vec![Stage::Token, second],
            _ => vec![Stage::Password, second],
        }));
        Flows::new(flows)
    }

    /// The 401 for a session.
    pub(crate) fn ask(
        &self,
        session: &Session,
        factors: Option<&Factors>,
        error: Option<&str>,
    ) -> Error {
        Error::Challenged(Box::new(challenge(
            self.app,
            session,
            &self.flows(factors, session),
            error,
        )))
    }
}

/// A 401 with a challenge.
fn challenge(app: &App, session: &Session, flows: &Flows, error: Option<&str>) -> Response {
    let totp = app.settings().totp;
    let mut info = session.challenge(flows, |stage| match stage {
        // Strings: some clients break on numbers.
        Stage::Totp => Map::from_iter([
            ("digits".to_owned(), json!(totp.digits.get().to_string())),
            ("period".to_owned(), json!(totp.period.as_secs().to_string())),
        ]),
        _ => Map::new(),
    });
    if let Some(text) = error {
        info = with_error(info, text);
    }
    (StatusCode::UNAUTHORIZED, Json(info)).into_response()
}
