//! Who is signed in to the account page.

use std::time::Duration;

use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;
use myelin_storage::{Action, Epoch, Event, Factors, Outcome, TokenDigest, WebSession};
use sha2::{Digest, Sha256};

use super::super::{Problem, Visit, cookies::Cookie, reply::see_other};

/// Unused for so long, it ends.
const IDLE: Duration = Duration::from_mins(30);
/// It ends then, however much it is used.
const LIFETIME: Duration = Duration::from_hours(2);

/// Somebody who is signed in, and what protects the account now.
#[derive(Clone, Debug)]
pub(super) struct SignedIn {
    pub(super) session: WebSession,
    pub(super) factors: Factors,
}

impl SignedIn {
    /// Who is signed in in this browser.
    pub(super) async fn find(visit: &Visit) -> Result<Option<Self>, Problem> {
        let Some(id) = id(visit) else { return Ok(None) };
        let found = visit.app.store().lookup_web_session(&id, IDLE, visit.app.now()).await?;
        Ok(found.map(|(session, factors)| Self { session, factors }))
    }

    /// Goes on, after a change that has ended all sessions, in a new one. It is
    /// opened only if the epoch is the one that this change has led to: who
    /// else has ended sessions meanwhile has ended this one too.
    pub(super) async fn go_on(&self, visit: &mut Visit, epoch: Epoch) -> Result<(), Problem> {
        open(visit, &self.session, epoch, None).await.map(drop)
    }
}

/// What is kept of the session's name.
pub(super) fn id(visit: &Visit) -> Option<TokenDigest> {
    visit.jar.value(Cookie::Account).map(digest)
}

fn digest(name: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(name).into())
}

/// Signs somebody in who has just passed the sign-in page.
pub(in super::super) async fn enter(
    visit: &mut Visit,
    factors: &Factors,
) -> Result<Response, Problem> {
    let now = visit.app.now();
    let user = factors.user.clone();
    let session = WebSession { user, created: now, last_seen: now, expires: now + LIFETIME };
    let event = Event {
        at: now,
        user: factors.user.clone(),
        action: Action::SignedIn,
        origin: visit.context.origin(),
        detail: None,
    };
    if open(visit, &session, factors.epoch, Some(event)).await? {
        Ok(see_other(visit, &visit.link(super::PATH)))
    } else {
        Err(Problem::Over)
    }
}

/// Opens a session under a new name; `false` if the epoch has passed.
async fn open(
    visit: &mut Visit,
    session: &WebSession,
    epoch: Epoch,
    event: Option<Event>,
) -> Result<bool, Problem> {
    let name = BASE64URL_NOPAD.encode(&visit.app.entropy().bytes::<24>());
    let session = WebSession { last_seen: visit.app.now(), ..session.clone() };
    let id = digest(&name);
    let opened = visit.app.store().open_web_session(&id, &session, epoch, event).await?;
    let open = matches!(opened, Outcome::Committed(()));
    visit.jar.set(Cookie::Account, open.then_some(name));
    Ok(open)
}
