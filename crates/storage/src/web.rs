//! The port of the pages: who is signed in, and what was allowed there.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use myelin_ambient::Timestamp;
use ruma::{OwnedUserId, UserId};

use crate::{Epoch, Error, Event, Factors, Outcome, TokenDigest};

/// Sessions of the pages that a user may have at a time.
pub const WEB_SESSIONS: u32 = 16;

/// Grants that a user may have at a time.
pub const GRANTS: u32 = 8;

/// How often the use of a session of the pages is written down.
pub(crate) const SEEN_EVERY: Duration = Duration::from_mins(1);

/// Someone who is signed in to the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSession {
    /// Who.
    pub user: OwnedUserId,
    /// Since when.
    pub created: Timestamp,
    /// When it was last used, give or take a minute.
    pub last_seen: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
}

/// Sessions of the pages, and grants. Each verb is one transaction. All of a
/// user's end with [`crate::Store::end_sessions`], and with every change that
/// ends the user's other sessions.
///
/// # Errors
///
/// As [`crate::Store`].
#[async_trait]
pub trait WebStore: Debug + Send + Sync {
    /// Keeps a new session of the pages. A user has at most [`WEB_SESSIONS`]; the
    /// one that was not used for longest makes room.
    ///
    /// `epoch` is that of the user's factors on which it was decided;
    /// [`Outcome::Stale`] where it has passed.
    async fn open_web_session(
        &self,
        id: &TokenDigest,
        session: &WebSession,
        epoch: Epoch,
        event: Option<Event>,
    ) -> Result<Outcome<()>, Error>;

    /// The session with this name, unless it has expired or was not used for
    /// `idle`, and the factors of its user. This is a use of it.
    async fn lookup_web_session(
        &self,
        id: &TokenDigest,
        idle: Duration,
        now: Timestamp,
    ) -> Result<Option<(WebSession, Factors)>, Error>;

    /// Ends a session of the pages, if there is one with this name.
    async fn end_web_session(&self, id: &TokenDigest) -> Result<(), Error>;

    /// Keeps a grant: what `digest` stands for may be done once without further
    /// proof. One that is there lasts until the new end. A user has at most
    /// [`GRANTS`]; the one that runs out first makes room. `epoch` as in
    /// [`Self::open_web_session`].
    async fn put_grant(
        &self,
        digest: &TokenDigest,
        user: &UserId,
        epoch: Epoch,
        expires: Timestamp,
        event: Event,
    ) -> Result<Outcome<()>, Error>;

    /// Spends a grant of this user; none if there is none, or no more. The epoch
    /// is that of the user's factors: whatever ends the grant begins another.
    async fn redeem_grant(
        &self,
        digest: &TokenDigest,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Option<Epoch>, Error>;
}
