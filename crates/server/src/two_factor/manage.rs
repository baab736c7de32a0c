//! Renaming and removing authenticators, regenerating recovery codes.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use myelin_homeserver::Refusal;
use myelin_storage::{Action, Change, Event, Factors};
use myelin_two_factor::Status;
use ruma::api::error::ErrorKind;
use serde_json::json;

use super::{Grounds, Owner, id, name, named, new_codes, shown};
use crate::{App, call::Call, error::Error, texts, uia::Auth};

/// `PUT /account/two-factor/totp/{id}`
pub(crate) async fn rename(app: &App, call: Call) -> Result<Response, Error> {
    let identity = call.identity(app).await?;
    if !call.body.contains_key("name") {
        let message = "`name` is missing.";
        return Err(Refusal::bad_request(&ErrorKind::MissingParam, message).into());
    }
    let name = name(&call.body)?;
    let factors = app.store().lookup_factors(&identity.user).await?;
    let id = &named(id(&call), &factors)?.id;
    let event = Event {
        at: app.now(),
        user: identity.user.clone(),
        action: Action::AuthenticatorRenamed,
        origin: call.context.origin(),
        detail: Some(id.to_string()),
    };
    if !app.store().rename(&identity.user, id, &name, event).await? {
        return Err(Refusal::not_found(texts::NO_SUCH_AUTHENTICATOR).into());
    }
    Ok(Json(json!({})).into_response())
}

/// `DELETE /account/two-factor/totp/{id}`: a pending one goes without proof,
/// for it protects nothing.
pub(crate) async fn remove(app: &App, mut call: Call) -> Result<Response, Error> {
    let identity = call.identity(app).await?;
    let auth = Auth::take(&mut call.body)?;
    let factors = app.store().lookup_factors(&identity.user).await?;
    let pending = named(id(&call), &factors)?.status == Status::Pending;
    let grounds = if pending {
        Grounds::Token
    } else {
        check_not_last(app, &factors)?;
        Grounds::Proof(call.gate(app, &identity).authorise(&auth).await?.proof)
    };
    let owner = Owner::of(app, &call, &identity);
    owner
        .change(&grounds, |factors| {
            let enrolled = named(id(&call), factors)?;
            let id = enrolled.id.clone();
            let detail = Some(id.to_string());
            if enrolled.status == Status::Pending {
                return Ok((Change::Drop { id }, Action::EnrolmentDropped, detail, ()));
            }
            check_not_last(app, factors)?;
            Ok((Change::Remove { id }, Action::AuthenticatorRemoved, detail, ()))
        })
        .await?;
    Ok(Json(json!({})).into_response())
}

/// Where the policy requires a second factor, the last one stays.
fn check_not_last(app: &App, factors: &Factors) -> Result<(), Refusal> {
    let kept = factors.authenticators.iter().filter(|a| a.status != Status::Pending).count();
    if kept > 1 || !app.settings().policy.requires(&factors.user) {
        return Ok(());
    }
    Err(Refusal::forbidden(texts::LAST_FACTOR))
}

/// `POST /account/two-factor/recovery`: ten new codes; the old ones end.
pub(crate) async fn regenerate(app: &App, mut call: Call) -> Result<Response, Error> {
    let identity = call.identity(app).await?;
    let auth = Auth::take(&mut call.body)?;
    if !app.store().lookup_factors(&identity.user).await?.protect() {
        return Err(no_factor().into());
    }
    let proof = Grounds::Proof(call.gate(app, &identity).authorise(&auth).await?.proof);
    let (codes, texts) = new_codes(app).await;
    let owner = Owner::of(app, &call, &identity);
    owner
        .change(&proof, |factors| {
            if !factors.protect() {
                return Err(no_factor().into());
            }
            let change = Change::Regenerate { codes: codes.clone() };
            Ok((change, Action::RecoveryRegenerated, None, ()))
        })
        .await?;
    Ok(Json(shown(&texts)).into_response())
}

fn no_factor() -> Refusal {
    Refusal::bad_request(&ErrorKind::BadState, texts::NO_FACTOR)
}
