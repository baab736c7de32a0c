//! The first step: user name and password.

use axum::response::Response;
use myelin_homeserver::{Password, PasswordEvidence};
use myelin_storage::Action;
use myelin_uia::Stage;
use ruma::api::client::uiaa::{MatrixUserIdentifier, UserIdentifier};
use serde_json::json;

use super::{
    onwards,
    state::{self, SignIn},
    templates,
};
use crate::{
    login::verified,
    pages::{Problem, Visit, reply::see_other, target::Target, trouble::Trouble},
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
            return Ok(templates::password(visit, &target, &user, Some(trouble)));
        }
    };
    let session = state::pass(visit, &factors, &target, &[Stage::Password])?;
    let sign_in = SignIn { session, factors, target };
    let protected = sign_in.factors.protect();
    let event = protected.then(|| {
        let user = sign_in.factors.user.clone();
        state::gate(visit).event(user, Action::PasswordPassed, visit.app.now())
    });
    sign_in.keep(visit, sign_in.factors.epoch, event).await?;
    if sign_in.step(visit) == state::Step::Ready {
        return onwards(visit, sign_in).await;
    }
    Ok(see_other(visit, &visit.link(super::PATH)))
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
