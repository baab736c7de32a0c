//! A login at the homeserver for whoever is proven.

use axum::response::Response;
use myelin_homeserver::{Context, Device, LoggedIn, Provisional, Refusal};
use myelin_uia::Authenticated;

use crate::{App, error::Error, texts, uia::Proved};

/// Logs in at the homeserver, unless the epoch of the proof has passed: what
/// voids a session voids a login that is being made, too.
pub(crate) async fn mint(
    app: &App,
    Proved { proof, epoch }: Proved,
    device: Device,
    context: &Context,
) -> Result<Response, Error> {
    let chosen = device.device_id.clone();
    let (login, proof) = match app.homeserver().log_in(proof, device, epoch, context).await? {
        LoggedIn::Answered(response) => return Ok(response),
        LoggedIn::Provisional(login, proof) => (login, proof),
    };
    let trouble = match app.store().lookup_factors(login.user()).await {
        Ok(factors) if factors.epoch == epoch => {
            return release(app, login, &proof, context).await;
        }
        Ok(_) => Refusal::forbidden(texts::CHANGED).into(),
        Err(error) => error.into(),
    };
    if let Some(device) = chosen {
        // The device may be older, and would go with its keys. Nobody has the
        // token, which is forgotten here.
        let user = login.user();
        tracing::warn!(%user, %device, "a login is left that nobody was told of");
    } else {
        app.homeserver().undo(login, context).await?;
    }
    Err(trouble)
}

/// Lets go of a login for which there is a proof.
pub(crate) async fn release(
    app: &App,
    login: Provisional,
    proof: &Authenticated,
    context: &Context,
) -> Result<Response, Error> {
    match login.release(proof) {
        Ok(response) => Ok(response),
        Err(login) => {
            app.homeserver().undo(*login, context).await?;
            Err(Error::Contended)
        }
    }
}
