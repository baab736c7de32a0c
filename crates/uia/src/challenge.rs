//! The 401 body: what a client is asked for.

use ruma::api::{
    client::uiaa::UiaaInfo,
    error::{ErrorKind, StandardErrorBody},
};
use serde_json::{Map, Value, value::to_raw_value};

use crate::{Flows, Session, Stage};

impl Session {
    /// The body of a `401` for this session.
    ///
    /// `params` says what a client must know to try a stage; a stage without
    /// any has `{}`. `params` and `session` are always present, because
    /// clients break without them.
    #[must_use]
    pub fn challenge(
        &self,
        flows: &Flows,
        params: impl Fn(Stage) -> Map<String, Value>,
    ) -> UiaaInfo {
        let mut info = UiaaInfo::new(flows.into());
        info.completed = self.completed.iter().copied().map(Into::into).collect();
        let params: Map<_, _> = flows
            .stages()
            .map(|stage| (stage.as_str().to_owned(), Value::Object(params(stage))))
            .collect();
        let params = to_raw_value(&params).expect("invariant: a JSON map serialises");
        info.params = Some(params);
        info.session = Some(self.id.as_str().to_owned());
        info
    }
}

/// Adds `errcode: M_FORBIDDEN` and a text to a challenge.
#[must_use]
pub fn with_error(mut challenge: UiaaInfo, text: &str) -> UiaaInfo {
    let body = StandardErrorBody::new(ErrorKind::Forbidden, text.to_owned());
    challenge.auth_error = Some(Box::new(body));
    challenge
}
