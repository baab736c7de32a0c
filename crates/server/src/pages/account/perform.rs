//! A change that is proven: what it does, and what is shown then.

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderValue, Method, header};
use http_body_util::BodyExt as _;
use myelin_homeserver::{Context, Device};
use myelin_storage::Outcome;
use myelin_two_factor::Name;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    PATH, SignedIn,
    change::{Change, What},
    kept, set_up,
};
use crate::{
    App,
    error::Error,
    mint::mint,
    pages::{Problem, Visit, reply::see_other},
    two_factor::{Owner, app_passwords, enrol, new_set, rename_to, take_away},
    uia::Proved,
};

pub(super) async fn perform(
    visit: &mut Visit,
    signed_in: &SignedIn,
    change: &Change,
    name: Name,
    proved: Proved,
) -> Result<Response, Problem> {
    let (app, context) = (visit.app.clone(), visit.context.clone());
    let owner = Owner { app: &app, context: &context, user: &signed_in.factors.user };
    let epoch = proved.epoch;
    match change.what {
        What::Add => {
            let pending = enrol(&owner, name, proved).await?;
            return Ok(set_up::page(visit, signed_in, Some(&pending), None));
        }
        What::Rename => rename_to(&owner, &change.id, &name).await?,
        What::Remove => {
            take_away(&owner, &change.id, proved).await?;
            signed_in.go_on(visit, epoch.next()).await?;
        }
        What::Codes => {
            let codes = new_set(&owner, proved).await?;
            signed_in.go_on(visit, epoch.next()).await?;
            return Ok(kept::codes(visit, signed_in, &codes, None));
        }
        What::AppPassword => {
            let (_, password) = app_passwords::make(&owner, name.clone(), &proved).await?;
            return Ok(kept::app_password(visit, signed_in, &name, &password));
        }
        What::Revoke => app_passwords::end(&owner, &change.id).await?,
        What::Devices => {
            // First whoever is signed in to this page elsewhere, and what could
            // still lead to a device: none of it may come in between.
            if let Outcome::Stale = app.store().end_sessions(owner.user, Some(epoch)).await? {
                return Err(Problem::Over);
            }
            let proved = Proved { epoch: epoch.next(), ..proved };
            sign_out_everywhere(&app, &context, proved).await?;
            signed_in.go_on(visit, epoch.next()).await?;
        }
    }
    Ok(see_other(visit, &visit.link(PATH)))
}

/// Ends every device of a user, by what every homeserver can do: logs in on one
/// of its own, and has that one log out all.
///
/// [Client-Server API, `POST /logout/all`](https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3logoutall)
async fn sign_out_everywhere(app: &App, context: &Context, proved: Proved) -> Result<(), Problem> {
    let name = Some("Account page".to_owned());
    let device = Device { initial_display_name: name, ..Device::default() };
    let login = mint(app, proved, device, context).await?;
    let token = access_token(login).await?;
    let mut request = Request::new(Body::from("{}"));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static("/_matrix/client/v3/logout/all");
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.as_str()))
        .map_err(|_| unexpected("an access token that no header takes"))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    request
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let answer = app.homeserver().forward(request, context).await;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(unexpected("logging out all devices failed"))
    }
}

async fn access_token(login: Response) -> Result<Zeroizing<String>, Problem> {
    let broken = || unexpected("a login response without a token");
    let body = login.into_body().collect().await.map_err(|_| broken())?.to_bytes();
    let body: Value = serde_json::from_slice(&body).map_err(|_| broken())?;
    let token = body.get("access_token").and_then(Value::as_str).ok_or_else(broken)?;
    Ok(Zeroizing::new(token.to_owned()))
}

fn unexpected(what: &str) -> Problem {
    Problem::Broken(Error::from(myelin_homeserver::Error::Unexpected(what.to_owned())))
}
