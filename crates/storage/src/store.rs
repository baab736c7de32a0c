//! The port: what must be atomic.

use std::fmt::Debug;

use async_trait::async_trait;
use myelin_ambient::Timestamp;
use myelin_two_factor::{AuthenticatorId, Name, RecoveryHash, TotpSecret};
use myelin_uia::{Admitted, Authenticated, Executable, Progress, Session, SessionId};
use ruma::{OwnedUserId, UserId};

use crate::{
    AppPasswords, Change, Enrolled, Epoch, Error, Event, Factors, Origin, RecordedEvent,
    SealedSecret, Spend, TokenDigest, WebStore,
};

/// Login tokens that a user may have at a time.
pub const LOGIN_TOKENS: u32 = 32;

/// What a verb that builds on an earlier read led to.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It is committed.
    Committed(T),
    /// Something has changed since the read, and nothing was written: read and
    /// decide again.
    Stale,
}

/// Sessions, second factors, and the audit log. Each verb is one transaction.
///
/// # Errors
///
/// Every verb fails with [`Error::Unavailable`] when the database does; then
/// nothing was acknowledged, and where the connection broke during the commit,
/// it may have been written all the same. Those that read secrets fail with [`Error::Key`].
#[async_trait]
pub trait Store: WebStore + AppPasswords + Debug + Send + Sync {
    /// Keeps a new session.
    ///
    /// Sessions are bounded, and nobody is refused: the oldest session of the
    /// same user from the same address makes room, and where the user's
    /// sessions over all addresses are too many, one from the address that has
    /// the most. So whoever floods from a few addresses pushes out only
    /// sessions of the flood.
    /// `event` is written with it.
    async fn open_session(
        &self,
        session: &Session,
        origin: &Origin,
        now: Timestamp,
        event: Option<Event>,
    ) -> Result<(), Error>;

    /// Keeps a session in which stages are passed, as [`Self::open_session`] does,
    /// where the user's factors are still in the epoch in which they were;
    /// [`Outcome::Stale`] otherwise: what was passed is void.
    async fn keep_session(
        &self,
        session: &Session,
        origin: &Origin,
        as_of: Epoch,
        now: Timestamp,
        event: Option<Event>,
    ) -> Result<Outcome<()>, Error>;

    /// The session with this name unless it has expired, and the factors of
    /// its user where it has one. One round trip.
    async fn lookup_session(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<(Session, Option<Factors>)>, Error>;

    /// Up to `limit` users whose ID contains `search`, in order of ID, after
    /// `after`: everybody whose factors or password were ever changed here, and
    /// everybody who has an account here.
    async fn users(
        &self,
        search: &str,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<OwnedUserId>, Error>;

    /// A user's factors.
    async fn lookup_factors(&self, user: &UserId) -> Result<Factors, Error>;

    /// Commits that a stage was passed: spends what it uses up, advances the
    /// session (or ends it, where the stage finishes the flow), and writes
    /// `event`. `factors` are those that the decision was made on: their epoch is
    /// compared wherever they are given, and where something is spent, their
    /// version, which is raised.
    ///
    /// [`Outcome::Stale`] where one of them has passed, or the session has moved
    /// on, expired, or gone.
    async fn pass_stage(
        &self,
        admitted: Admitted,
        factors: Option<&Factors>,
        spend: Spend,
        now: Timestamp,
        event: Option<Event>,
    ) -> Result<Outcome<Progress>, Error>;

    /// Ends a session in which a whole flow is passed: its operation may be
    /// performed, once. `factors` are those of the session's user.
    ///
    /// [`Outcome::Stale`] where their epoch has passed, or the session has expired
    /// or gone.
    async fn execute_session(
        &self,
        executable: Executable,
        factors: Option<&Factors>,
        now: Timestamp,
    ) -> Result<Outcome<Authenticated>, Error>;

    /// Commits a change to the factors as they were read, with its `event`.
    async fn change(
        &self,
        factors: &Factors,
        change: Change,
        event: Event,
    ) -> Result<Outcome<()>, Error>;

    /// Renames an authenticator of this user; `false` if the user has none
    /// with this id.
    async fn rename(
        &self,
        user: &UserId,
        id: &AuthenticatorId,
        name: &Name,
        event: Event,
    ) -> Result<bool, Error>;

    /// Removes every factor, code, counter and app password of the user, ends
    /// the user's sessions; `false` if there was nothing.
    async fn reset(&self, user: &UserId, event: Event) -> Result<bool, Error>;

    /// Keeps a login token (`m.login.token`). A user has at most
    /// [`LOGIN_TOKENS`]; the one that runs out first makes room.
    ///
    /// `epoch` is that of the factors on which it was decided;
    /// [`Outcome::Stale`] where it has passed.
    async fn create_login_token(
        &self,
        token: &TokenDigest,
        user: &UserId,
        epoch: Epoch,
        expires: Timestamp,
        event: Event,
    ) -> Result<Outcome<()>, Error>;

    /// Spends a login token: whom it names, once, while it lasts. The epoch is
    /// that of the user's factors: whatever ends the token raises it, so a login
    /// on that epoch is one before the end.
    async fn redeem_login_token(
        &self,
        token: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<(OwnedUserId, Epoch)>, Error>;

    /// Ends all sessions, login tokens, grants and set-ups of the user, and makes
    /// every decision stale that is being made about the user. App passwords stay.
    /// With an epoch, only where it has not passed.
    async fn end_sessions(&self, user: &UserId, as_of: Option<Epoch>)
    -> Result<Outcome<()>, Error>;

    /// Ends all that [`Self::end_sessions`] does, and all app passwords: to be
    /// called when a password has changed that is kept elsewhere.
    async fn end_all(&self, user: &UserId, event: Event) -> Result<(), Error>;

    /// Appends to the audit log.
    async fn record(&self, event: Event) -> Result<(), Error>;

    /// The newest `limit` entries about the user, newest first.
    async fn events(&self, user: &UserId, limit: u32) -> Result<Vec<RecordedEvent>, Error>;

    /// Deletes expired sessions, pending authenticators, tokens, and grants;
    /// says how many rows went.
    async fn sweep(&self, now: Timestamp) -> Result<u64, Error>;

    /// Decrypts an authenticator's secret. To be called only to verify a code.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] and [`Error::Keyring`].
    fn unseal(&self, user: &UserId, authenticator: &Enrolled) -> Result<TotpSecret, Error>;

    /// Decrypts the hash of a recovery code.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] and [`Error::Keyring`].
    fn unseal_hash(
        &self,
        user: &UserId,
        index: u32,
        hash: &SealedSecret,
    ) -> Result<RecoveryHash, Error>;

    /// Answers if the database can be written to and every key that it needs
    /// is at hand.
    async fn check(&self) -> Result<(), Error>;

    /// Re-encrypts up to `limit` secrets that are not sealed with the current
    /// key; says how many are left. May be stopped at any point and run again.
    async fn reseal(&self, limit: u32) -> Result<u64, Error>;
}
