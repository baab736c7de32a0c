//! Logging in with an app password: for a program that can send nothing else.
//!
//! It is enough alone, at `/login` only. It owns which password is looked up;
//! one that is nobody's goes the way of every other password, and so looks like
//! a wrong one.

use myelin_homeserver::{Context, PasswordEvidence, Refusal};
use myelin_storage::{Action, Epoch, Event, TokenDigest};
use myelin_two_factor::AppPassword;
use ruma::OwnedUserId;
use sha2::{Digest, Sha256};

use crate::{App, error::Error, login::likely_user, texts};

/// Whom the password logs in, and the epoch of that user's factors; none
/// where it is no app password of the user who is named.
pub(crate) async fn redeem(
    app: &App,
    context: &Context,
    evidence: &PasswordEvidence,
) -> Result<Option<(OwnedUserId, Epoch)>, Error> {
    let password = AppPassword::parse(evidence.password.expose());
    let user = likely_user(&evidence.identifier, app.homeserver().server_name());
    let (Some(password), Some(user), Ok(())) = (password, user, check_allowed(app)) else {
        return Ok(None);
    };
    let event = Event {
        at: app.now(),
        user: user.clone(),
        action: Action::AppPasswordUsed,
        origin: context.origin(),
        detail: None,
    };
    let digest = digest(&password);
    let Some(epoch) = app.store().redeem_app_password(&user, &digest, event).await? else {
        return Ok(None);
    };
    // Made before the policy came: then it is worth no more than the password.
    let factors = app.store().lookup_factors(&user).await?;
    app.settings().check_policy(&user, factors.protect())?;
    Ok(Some((user, epoch)))
}

/// What is kept of an app password.
pub(crate) fn digest(password: &AppPassword) -> TokenDigest {
    TokenDigest(Sha256::digest(password.expose()).into())
}

/// Whether there are app passwords here.
pub(crate) fn check_allowed(app: &App) -> Result<(), Refusal> {
    if !app.settings().app_passwords {
        return Err(Refusal::forbidden(texts::NO_APP_PASSWORDS));
    }
    if !app.homeserver().mints() {
        return Err(Refusal::forbidden(texts::CANNOT_MINT));
    }
    Ok(())
}
