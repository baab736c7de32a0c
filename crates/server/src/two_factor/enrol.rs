//! Setting up an authenticator: begin, confirm.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use myelin_homeserver::Refusal;
use myelin_storage::{Action, Change, Enrolled, Factors, NewRecoveryCodes};
use myelin_two_factor::{
    Authenticator, Confirmation, Name, Status, Step, TotpSecret, TotpToken,
    limits::{MAX_ACTIVE_AUTHENTICATORS, MAX_CONFIRM_FAILURES, PENDING_LIFETIME},
    totp,
};
use ruma::{UserId, api::error::ErrorKind};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Grounds, Owner, id, name, named, new_codes, shown};
use crate::{
    App,
    call::Call,
    error::Error,
    texts,
    uia::{Proved, string},
};

/// `POST /account/two-factor/totp`: a pending authenticator, which protects
/// nothing until it is confirmed. Its secret is shown here and never again.
pub(crate) async fn begin(app: &App, mut call: Call) -> Result<Response, Error> {
    let (identity, mut auth) = call.caller(app).await?;
    let name = name(&call.body)?;
    check_room(&app.store().lookup_factors(&identity.user).await?)?;
    let proved = call.gate(app, &identity).authorise(&mut auth).await?.proved;
    let pending = enrol(&Owner::of(app, &call, &identity), name, proved).await?;
    Ok(shown_once(app, &identity.user, &pending))
}

/// Begins to set up an authenticator, after proof.
pub(crate) async fn enrol(
    owner: &Owner<'_>,
    name: Name,
    proved: Proved,
) -> Result<Authenticator, Error> {
    let pending = Authenticator::enrol(name, owner.app.now(), owner.app.entropy());
    let begin = |factors: &Factors| {
        check_room(factors)?;
        let secret = TotpSecret::from_bytes(*pending.secret.expose());
        let begin = Change::Begin { id: pending.id.clone(), name: pending.name.clone(), secret };
        Ok((begin, Action::EnrolmentBegun, Some(pending.id.to_string()), ()))
    };
    owner.change(&Grounds::Proof(proved), begin).await?;
    Ok(pending)
}

/// The URI that an authenticator app reads.
pub(crate) fn uri(app: &App, user: &UserId, pending: &Authenticator) -> Zeroizing<String> {
    let settings = app.settings();
    // A Matrix ID holds a colon, which the label of the URI may not.
    let account = format!("{}@{}", user.localpart(), user.server_name());
    totp::uri(&pending.secret, &settings.issuer, &account, &settings.totp)
}

fn shown_once(app: &App, user: &UserId, pending: &Authenticator) -> Response {
    let settings = app.settings();
    let uri = uri(app, user, pending);
    let lifetime = u64::try_from(PENDING_LIFETIME.as_millis()).unwrap_or(u64::MAX);
    Json(json!({
        "id": pending.id.as_str(),
        "secret": pending.secret.to_base32().as_str(),
        "uri": uri.as_str(),
        "algorithm": "SHA1",
        "digits": settings.totp.digits.get(),
        "period": settings.totp.period.as_secs(),
        "expires_in_ms": lifetime,
    }))
    .into_response()
}

/// Whether the user may have one more.
pub(crate) fn check_room(factors: &Factors) -> Result<(), Refusal> {
    if factors.active().count() < MAX_ACTIVE_AUTHENTICATORS {
        return Ok(());
    }
    let kind = ErrorKind::LimitExceeded(ruma::api::error::LimitExceededErrorData::new());
    Err(Refusal::new(StatusCode::BAD_REQUEST, &kind, texts::TOO_MANY_AUTHENTICATORS))
}

/// `POST /account/two-factor/totp/{id}/confirm`
pub(crate) async fn confirm(app: &App, call: Call) -> Result<Response, Error> {
    let identity = call.identity(app).await?;
    let Some(token) = string(&call.body, "token")? else {
        let message = "`token` is missing.";
        return Err(Refusal::bad_request(&ErrorKind::MissingParam, message).into());
    };
    match try_confirm(&Owner::of(app, &call, &identity), id(&call), token).await? {
        Confirmed::Wrong => Err(Refusal::forbidden(texts::WRONG_CODE).into()),
        Confirmed::Active(Some(texts)) => Ok(Json(shown(&texts)).into_response()),
        Confirmed::Active(None) => Ok(Json(json!({})).into_response()),
    }
}

/// What trying to confirm an authenticator led to.
#[derive(Debug)]
pub(crate) enum Confirmed {
    /// The code is wrong; with too many of them the authenticator is gone.
    Wrong,
    /// It is active. The recovery codes where it is the first factor.
    Active(Option<Vec<Zeroizing<String>>>),
}

/// Tries to confirm a pending authenticator.
pub(crate) async fn try_confirm(
    owner: &Owner<'_>,
    id: &str,
    token: &str,
) -> Result<Confirmed, Error> {
    let app = owner.app;
    let factors = app.store().lookup_factors(owner.user).await?;
    let first = factors.codes.is_none();
    let enrolled = named(id, &factors)?;
    if enrolled.status != Status::Pending {
        return Err(Refusal::not_found(texts::NO_SUCH_AUTHENTICATOR).into());
    }
    // Malformed: no guess, so it does not count.
    let Some(token) = TotpToken::parse(token, app.settings().totp.digits) else {
        return Ok(Confirmed::Wrong);
    };
    let is_right = confirms(app, &factors, enrolled, &token)?;
    // Hashing takes long: before the decision, which holds only for a moment,
    // and not for whoever only guesses.
    let codes = if first && is_right { Some(new_codes(app).await) } else { None };
    let (new, texts) = codes.unzip();
    let decide = |factors: &Factors| decide(app, id, factors, &token, new.clone());
    let confirmed = owner.change(&Grounds::Token, decide).await?;
    Ok(if confirmed { Confirmed::Active(texts) } else { Confirmed::Wrong })
}

/// What a code does to a pending authenticator, and whether it confirms it.
fn decide(
    app: &App,
    id: &str,
    factors: &Factors,
    token: &TotpToken,
    codes: Option<NewRecoveryCodes>,
) -> Result<(Change, Action, Option<String>, bool), Error> {
    let enrolled = named(id, factors)?;
    let id = enrolled.id.clone();
    let detail = Some(id.to_string());
    if enrolled.status != Status::Pending {
        return Err(Refusal::not_found(texts::NO_SUCH_AUTHENTICATOR).into());
    }
    match unsealed(app, factors, enrolled)?.confirm(token, &app.settings().totp, app.now()) {
        Confirmation::Confirmed(active) => {
            // It has become the first factor, or the code right, meanwhile.
            if codes.is_some() != factors.codes.is_none() {
                return Err(Error::Contended);
            }
            check_room(factors)?;
            let step = active.last_step.unwrap_or(Step(0));
            let throttle = factors.totp.clone().succeed(app.now());
            let change = Change::Confirm { id, step, throttle, codes };
            Ok((change, Action::AuthenticatorAdded, detail, true))
        }
        Confirmation::Wrong(pending) => {
            let failures = pending.confirm_failures;
            let change = Change::CountConfirmFailure { id, failures };
            Ok((change, Action::TotpFailed, detail, false))
        }
        Confirmation::Destroyed => {
            tracing::info!(failures = MAX_CONFIRM_FAILURES, "enrolment dropped");
            Ok((Change::Drop { id }, Action::EnrolmentDropped, detail, false))
        }
        Confirmation::Expired | Confirmation::NotPending(_) => {
            Err(Refusal::not_found(texts::NO_SUCH_AUTHENTICATOR).into())
        }
    }
}

/// Whether this code would confirm it now.
fn confirms(
    app: &App,
    factors: &Factors,
    enrolled: &Enrolled,
    token: &TotpToken,
) -> Result<bool, Error> {
    let pending = unsealed(app, factors, enrolled)?;
    let outcome = pending.confirm(token, &app.settings().totp, app.now());
    Ok(matches!(outcome, Confirmation::Confirmed(_)))
}

fn unsealed(app: &App, factors: &Factors, enrolled: &Enrolled) -> Result<Authenticator, Error> {
    Ok(Authenticator {
        id: enrolled.id.clone(),
        name: enrolled.name.clone(),
        status: enrolled.status,
        created: enrolled.created,
        last_used: enrolled.last_used,
        last_step: enrolled.last_step,
        secret: app.store().unseal(&factors.user, enrolled)?,
        confirm_failures: enrolled.confirm_failures,
    })
}
