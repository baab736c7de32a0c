//! The homeserver's operations that need proof.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use myelin_homeserver::{
    Operation, OperationRequest, Performed, Reauthentication, Refusal, Registration, Silent,
};
use myelin_storage::Action as Done;
use myelin_uia::Stage;
use serde_json::json;

use crate::{
    App,
    call::Call,
    elsewhere,
    error::Error,
    login_token, relay,
    routes::{Action, ROUTES, Route},
    texts,
    to_the_end::{Turns, to_the_end},
    uia::{Auth, Gate, Passed, Proved, Purpose},
};

/// An operation of the homeserver: what needs no proof, gate, then perform.
pub(crate) async fn run(
    app: &App,
    mut call: Call,
    operation: Operation,
    turns: Option<Turns>,
) -> Result<Response, Error> {
    if relay::is_for(app, &call, operation) {
        return relay::run(app, call, operation).await;
    }
    let (identity, auth, purpose) = if operation == Operation::Register {
        (None, Auth::take(&mut call.body)?, registration(app)?)
    } else {
        let (identity, auth) = call.caller(app).await?;
        (Some(identity), auth, purpose(app, operation))
    };
    let request = call.operation(operation, identity);
    let homeserver = app.homeserver();
    homeserver.precheck(&request).await??;
    if let Silent::Done(response) = homeserver.try_silently(&request, &call.context).await? {
        return Ok(response);
    }
    let app = app.clone();
    to_the_end(turns, async move { prove(&app, &call, purpose, request, auth).await }).await
}

/// Performs the operation with proof. Whoever asks for it has a token that is
/// good, where it takes one: nobody else leaves anything under way.
async fn prove(
    app: &App,
    call: &Call,
    purpose: Purpose,
    mut request: OperationRequest,
    mut auth: Auth,
) -> Result<Response, Error> {
    let (homeserver, operation) = (app.homeserver(), request.operation);
    let gate = match &request.identity {
        Some(identity) => Gate { purpose, ..call.gate(app, identity) },
        None => Gate {
            app,
            context: &call.context,
            purpose,
            user: None,
            binding: call.binding(None),
            endpoint: call.route.endpoint,
            devices: Vec::new(),
        },
    };
    let forwards = matches!(gate.purpose, Purpose::Forwarded) && auth.offers_password();
    if forwards {
        app.take_password(&call.context)?;
    }
    let Passed { proved: Proved { proof, epoch }, before } = gate.authorise(&mut auth).await?;
    let is_second = |stage: &Stage| matches!(stage, Stage::Totp | Stage::Recovery | Stage::Sso);
    let is_proven = !forwards || proof.completed().iter().any(is_second);
    if forwards {
        request.password = auth.into_password();
    } else {
        elsewhere::performs(&gate, operation, epoch).await?;
    }
    match homeserver.perform(proof, epoch, request, &call.context).await {
        Ok(Performed::Answered(response)) => {
            if forwards && response.status().is_success() {
                app.give_password_back(&call.context);
            }
            elsewhere::performed(&gate, operation, Some(response.status()), is_proven).await;
            Ok(response)
        }
        Ok(Performed::WrongPassword) => {
            Err(gate.reopen(before, epoch, texts::WRONG_PASSWORD).await?)
        }
        Err(unasked @ myelin_homeserver::Error::Unasked(_)) => Err(unasked.into()),
        Err(error) => {
            elsewhere::performed(&gate, operation, None, is_proven).await;
            Err(error.into())
        }
    }
}

fn purpose(app: &App, operation: Operation) -> Purpose {
    match (app.homeserver().reauthentication(), operation) {
        // No homeserver asks for the password there.
        (Reauthentication::OnProof, _) | (_, Operation::AddThirdPartyDeprecated) => {
            Purpose::Operation
        }
        (Reauthentication::WithPassword, _) => Purpose::Forwarded,
    }
}

/// What the flows of an endpoint are for; none if it has no gate.
pub(crate) fn purpose_at(app: &App, endpoint: &str) -> Option<Purpose> {
    let is_at = |route: &&Route| route.endpoint == endpoint && route.action.is_gated();
    Some(match ROUTES.iter().find(is_at)?.action {
        Action::Login => Purpose::Login,
        Action::Protected(operation) => purpose(app, operation),
        Action::LoginToken => Purpose::Operation,
        _ => Purpose::Own,
    })
}

fn registration(app: &App) -> Result<Purpose, Refusal> {
    match app.homeserver().registration() {
        Registration::Open(flows) => Ok(Purpose::Registration(flows)),
        _ => Err(Refusal::forbidden(texts::REGISTRATION_CLOSED)),
    }
}

/// `POST /login/get_token`: issues a login token of our own, so that a login
/// with it is one that the gate has let through.
pub(crate) async fn login_token(app: &App, mut call: Call) -> Result<Response, Error> {
    let (identity, mut auth) = call.caller(app).await?;
    let factors = app.store().lookup_factors(&identity.user).await?;
    app.settings().check_policy(&identity.user, factors.protect())?;
    // A login comes next.
    let gate = Gate { purpose: Purpose::Operation, ..call.gate(app, &identity) };
    let Proved { proof, epoch } = gate.authorise(&mut auth).await?.proved;
    // The proof is for this user's request: the binding says so.
    let Some(user) = proof.user().map(ToOwned::to_owned) else {
        return Err(Refusal::forbidden(texts::OTHER_REQUEST).into());
    };
    let lifetime = app.settings().login_token_lifetime;
    let event = gate.event(user, Done::LoginTokenIssued, app.now());
    let token = login_token::issue(app, lifetime, epoch, event).await?;
    let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
    Ok(Json(json!({"login_token": *token, "expires_in_ms": lifetime})).into_response())
}
