//! `/account/two-factor/app-passwords`: passwords for programs.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use myelin_homeserver::Refusal;
use myelin_storage::{APP_PASSWORDS, Action, Event, ListedAppPassword, NewAppPassword, Outcome};
use myelin_two_factor::{AppPassword, AppPasswordId, Name};
use ruma::{UserId, api::error::ErrorKind};
use serde_json::{Value, json};

use super::{Owner, id, name};
use crate::{
    App,
    app_password::{check_allowed, digest},
    call::Call,
    error::Error,
    texts,
    uia::Proved,
};

/// `GET /account/two-factor/app-passwords`: never a password.
pub(crate) async fn list(app: &App, call: Call) -> Result<Response, Error> {
    let identity = call.identity(app).await?;
    let listed = app.store().app_passwords(&identity.user).await?;
    let listed: Vec<_> = listed.iter().map(shown).collect();
    Ok(Json(json!({"app_passwords": listed})).into_response())
}

fn shown(password: &ListedAppPassword) -> Value {
    let ListedAppPassword { id, name, created, last_used } = password;
    let mut entry = json!({
        "id": id.as_str(),
        "name": name.as_str(),
        "created_ts": created.as_millis(),
    });
    if let Some(used) = last_used {
        entry["last_used_ts"] = used.as_millis().into();
    }
    entry
}

/// `POST /account/two-factor/app-passwords`: a new one, shown here and never
/// again.
pub(crate) async fn create(app: &App, mut call: Call) -> Result<Response, Error> {
    let (identity, mut auth) = call.caller(app).await?;
    if !call.body.contains_key("name") {
        return Err(Refusal::bad_request(&ErrorKind::MissingParam, "`name` is missing.").into());
    }
    let name = name(&call.body)?;
    // Before any proof: what could not be made costs nobody a code.
    check_room(app, &identity.user).await?;
    let proved = call.gate(app, &identity).authorise(&mut auth).await?.proved;
    let owner = Owner::of(app, &call, &identity);
    let (id, password) = make(&owner, name.clone(), &proved).await?;
    let body = json!({"id": id.as_str(), "name": name.as_str(), "password": password.expose()});
    Ok(Json(body).into_response())
}

/// Whether the user may have one more.
pub(crate) async fn check_room(app: &App, user: &UserId) -> Result<(), Error> {
    check_allowed(app)?;
    let room = app.store().app_passwords(user).await?.len() < APP_PASSWORDS as usize;
    if room { Ok(()) } else { Err(too_many().into()) }
}

/// Makes an app password, after proof.
pub(crate) async fn make(
    owner: &Owner<'_>,
    name: Name,
    proved: &Proved,
) -> Result<(AppPasswordId, AppPassword), Error> {
    let Owner { app, user, context: _ } = *owner;
    check_allowed(app)?;
    let password = AppPassword::generate(app.entropy());
    let id = AppPasswordId::generate(app.entropy());
    let new = NewAppPassword { id, name, digest: digest(&password) };
    if proved.proof.user() != Some(user) {
        return Err(Refusal::forbidden(texts::OTHER_REQUEST).into());
    }
    let event = event(owner, Action::AppPasswordCreated, &new.id);
    match app.store().create_app_password(user, &new, proved.epoch, event).await? {
        Outcome::Committed(true) => Ok((new.id, password)),
        Outcome::Committed(false) => Err(too_many().into()),
        Outcome::Stale => Err(Refusal::forbidden(texts::CHANGED).into()),
    }
}

/// `DELETE /account/two-factor/app-passwords/{id}`: without proof, for it opens
/// nothing.
pub(crate) async fn revoke(app: &App, call: Call) -> Result<Response, Error> {
    let identity = call.identity(app).await?;
    end(&Owner::of(app, &call, &identity), id(&call)).await?;
    Ok(Json(json!({})).into_response())
}

/// Ends an app password of this user.
pub(crate) async fn end(owner: &Owner<'_>, id: &str) -> Result<(), Error> {
    let unknown = || Refusal::not_found(texts::NO_SUCH_APP_PASSWORD);
    let id = AppPasswordId::parse(id).ok_or_else(unknown)?;
    let event = event(owner, Action::AppPasswordRevoked, &id);
    if owner.app.store().revoke_app_password(owner.user, &id, event).await? {
        Ok(())
    } else {
        Err(unknown().into())
    }
}

fn event(owner: &Owner<'_>, action: Action, id: &AppPasswordId) -> Event {
    let (at, user, origin) = (owner.app.now(), owner.user.to_owned(), owner.context.origin());
    Event { at, user, action, origin, detail: Some(id.to_string()) }
}

fn too_many() -> Refusal {
    let kind = ErrorKind::LimitExceeded(ruma::api::error::LimitExceededErrorData::new());
    Refusal::new(StatusCode::BAD_REQUEST, &kind, texts::TOO_MANY_APP_PASSWORDS)
}
