//! The first step: user name and password.

use axum::response::Response;
use myelin_homeserver::{Password, PasswordEvidence};
use myelin_uia::Stage;
use ruma::api::client::uiaa::{MatrixUserIdentifier, UserIdentifier};
use serde_json::json;

use super::{begin, templates};
use crate::{
    login::verified,
    pages::{Problem, Visit, target::Target, trouble::Trouble},
};

pub(super) async fn submit(visit: &mut Visit) -> Result<Response, Problem> {
    let fields = visit.form()?;
    let target = Target::parse(fields.text("redirect_url"), &visit.app.settings().pages);
    let target = target.ok_or(Problem::BadTarget)?;
    let user = fields.text("user").trim().to_owned();
    let evidence = PasswordEvidence {
        identifier: identifier(&user),
        password: Password::new(fields.text("password")),
    };
    let (_, factors) = match verified(&visit.app, &visit.context, &evidence).await {
        Ok(verified) => verified,
        Err(error) => {
            let trouble = Trouble::with_password(visit, error)?;
            return Ok(templates::password(visit, &target, &user, Some(trouble)).await);
        }
    };
    begin(visit, factors, target, Stage::Password).await
}

/// A local part, a whole user ID, or an email address.
fn identifier(text: &str) -> UserIdentifier {
    if text.contains('@') && !text.starts_with('@') {
        let email = json!({"type": "m.id.thirdparty", "medium": "email", "address": text});
        if let Ok(identifier) = serde_json::from_value(email) {
            return identifier;
        }
    }
    MatrixUserIdentifier::new(text.to_owned()).into()
}
