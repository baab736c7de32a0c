//! Renaming and removing authenticators, regenerating recovery codes.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use myelin_homeserver::Refusal;
use myelin_storage::{Action, Change, Event, Factors};
use myelin_two_factor::{Name, Status};
use ruma::api::error::ErrorKind;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Grounds, Owner, id, name, named, new_codes, shown};
use crate::{App, call::Call, error::Error, texts, uia::Proved};

/// `PUT /account/two-factor/totp/{id}`
pub(crate) async fn rename(app: &App, call: Call) -> Result<Response, Error> {
    let identity = call.identity(app).await?;
    if !call.body.contains_key("name") {
        let message = "`name` is missing.";
        return Err(Refusal::bad_request(&ErrorKind::MissingParam, message).into());
    }
    let name = name(&call.body)?;
    rename_to(&Owner::of(app, &call, &identity), id(&call), &name).await?;
    Ok(Json(json!({})).into_response())
}

/// Gives an authenticator another name.
pub(crate) async fn rename_to(owner: &Owner<'_>, id: &str, name: &Name) -> Result<(), Error> {
    let store = owner.app.store();
    let factors = store.lookup_factors(owner.user).await?;
    let id = &named(id, &factors)?.id;
    let event = Event {
        at: owner.app.now(),
        user: owner.user.to_owned(),
        action: Action::AuthenticatorRenamed,
        origin: owner.context.origin(),
        detail: Some(id.to_string()),
    };
    if store.rename(owner.user, id, name, event).await? {
        Ok(())
    } else {
        Err(Refusal::not_found(texts::NO_SUCH_AUTHENTICATOR).into())
    }
}

/// `DELETE /account/two-factor/totp/{id}`: a pending one goes without proof,
/// for it protects nothing.
pub(crate) async fn remove(app: &App, mut call: Call) -> Result<Response, Error> {
    let (identity, mut auth) = call.caller(app).await?;
    let factors = app.store().lookup_factors(&identity.user).await?;
    let pending = named(id(&call), &factors)?.status == Status::Pending;
    let grounds = if pending {
        Grounds::Token
    } else {
        check_not_last(app, &factors)?;
        Grounds::Proof(call.gate(app, &identity).authorise(&mut auth).await?.proved)
    };
    end(&Owner::of(app, &call, &identity), id(&call), &grounds).await?;
    Ok(Json(json!({})).into_response())
}

/// Takes an authenticator away, after proof.
pub(crate) async fn take_away(owner: &Owner<'_>, id: &str, proved: Proved) -> Result<(), Error> {
    end(owner, id, &Grounds::Proof(proved)).await
}

async fn end(owner: &Owner<'_>, id: &str, grounds: &Grounds) -> Result<(), Error> {
    let decide = |factors: &Factors| {
        let enrolled = named(id, factors)?;
        let id = enrolled.id.clone();
        let detail = Some(id.to_string());
        if enrolled.status == Status::Pending {
            return Ok((Change::Drop { id }, Action::EnrolmentDropped, detail, ()));
        }
        check_not_last(owner.app, factors)?;
        Ok((Change::Remove { id }, Action::AuthenticatorRemoved, detail, ()))
    };
    owner.change(grounds, decide).await
}

/// Where the policy requires a second factor, the last one stays.
pub(crate) fn check_not_last(app: &App, factors: &Factors) -> Result<(), Refusal> {
    let kept = factors.authenticators.iter().filter(|a| a.status != Status::Pending).count();
    if kept > 1 || !app.settings().policy.requires(&factors.user) {
        return Ok(());
    }
    Err(Refusal::forbidden(texts::LAST_FACTOR))
}

/// `POST /account/two-factor/recovery`: ten new codes; the old ones end.
pub(crate) async fn regenerate(app: &App, mut call: Call) -> Result<Response, Error> {
    let (identity, mut auth) = call.caller(app).await?;
    check_active(&app.store().lookup_factors(&identity.user).await?)?;
    let proved = call.gate(app, &identity).authorise(&mut auth).await?.proved;
    let texts = new_set(&Owner::of(app, &call, &identity), proved).await?;
    Ok(Json(shown(&texts)).into_response())
}

/// Replaces the recovery codes, after proof.
pub(crate) async fn new_set(
    owner: &Owner<'_>,
    proved: Proved,
) -> Result<Vec<Zeroizing<String>>, Error> {
    let (codes, texts) = new_codes(owner.app).await;
    let decide = |factors: &Factors| {
        check_active(factors)?;
        let change = Change::Regenerate { codes: codes.clone() };
        Ok((change, Action::RecoveryRegenerated, None, ()))
    };
    owner.change(&Grounds::Proof(proved), decide).await?;
    Ok(texts)
}

/// New codes for nothing but disabled authenticators would keep an account shut
/// that its owner means to mend.
fn check_active(factors: &Factors) -> Result<(), Refusal> {
    if factors.active().next().is_some() {
        return Ok(());
    }
    Err(Refusal::bad_request(&ErrorKind::BadState, texts::NO_FACTOR))
}
