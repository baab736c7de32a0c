//! Login tokens (`m.login.token`) of our own, so that a login with one is one
//! that the gate has let through.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use myelin_homeserver::Refusal;
use myelin_storage::{Epoch, Event, Outcome, TokenDigest};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{App, error::Error, texts};

/// Issues a token for the user of the event, after a proof in this epoch of
/// the user's factors.
pub(crate) async fn issue(
    app: &App,
    lifetime: Duration,
    epoch: Epoch,
    event: Event,
) -> Result<Zeroizing<String>, Error> {
    let random = BASE64URL_NOPAD.encode(&app.entropy().bytes::<24>());
    let token = Zeroizing::new(format!("myl_{random}"));
    let digest = TokenDigest(Sha256::digest(&*token).into());
    let user = event.user.clone();
    let expires = app.now() + lifetime;
    match app.store().create_login_token(&digest, &user, epoch, expires, event).await? {
        Outcome::Committed(()) => Ok(token),
        Outcome::Stale => Err(Refusal::forbidden(texts::CHANGED).into()),
    }
}
