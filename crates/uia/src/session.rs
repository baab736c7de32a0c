//! The session: the state machine of one operation's authentication.
//!
//! ```text
//!            admit(stage)          complete()
//!   Session ─────────────▶ Admitted ─────────▶ Progress::More(Session)
//!      │                                   └─▶ Progress::Done(Authenticated)
//!      └─▶ Refusal: the session, and whoever uses it rightly, is not touched
//! ```
//!
//! A stage that is passed away from the operation, on a fallback page, leaves
//! the session with all stages passed and the operation not performed
//! ([`Session::admit_elsewhere`]); the request for it then spends the session
//! ([`Session::admit_execution`]).
//!
//! A transition consumes the session and returns the next. What proves a stage
//! (a password, a code) and where sessions are kept is decided elsewhere.

use std::{fmt, ops::Deref, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use myelin_ambient::{Entropy, Timestamp};
use ruma::{OwnedUserId, UserId};
use sha2::{Digest, Sha256};

use crate::{Binding, Bound, Flows, Stage};

/// How long a session lives unless configured otherwise.
pub const DEFAULT_LIFETIME: Duration = Duration::from_mins(10);

/// The name of a session on the wire: 192 random bits, URL-safe.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    const BYTES: usize = 24;

    /// A new name. Clients cannot choose one.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(BASE64URL_NOPAD.encode(&entropy.bytes::<{ Self::BYTES }>()))
    }

    /// What a client sent, if it can be the name of a session at all.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        (bytes.len() == Self::BYTES).then(|| Self(text.to_owned()))
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the name: what a store keeps, so that a copy of the store
    /// opens no session.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("SessionId(…)")
    }
}

/// One operation on its way through the stages of a flow. Whoever has it can
/// read what it keeps, and changes it by passing a stage alone.
///
/// This does not compile:
///
/// ```compile_fail,E0596
/// fn forged(mut session: myelin_uia::Session) {
///     session.completed.push(myelin_uia::Stage::Totp);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session(Kept);

/// What is kept of a session between two requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub id: SessionId,
    /// Whose operation it is; `None` while nobody is known (registration).
    pub user: Option<OwnedUserId>,
    /// The operation it is bound to.
    pub binding: Bound,
    /// The stages that were passed, in order.
    pub completed: Vec<Stage>,
    /// From this moment on the session is void.
    pub expires: Timestamp,
    /// What the operation must remember from its first request, as JSON; never
    /// a secret.
    pub memo: Option<String>,
}

/// Why a stage may not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The session is over. Offer a new one.
    #[error("the session has expired")]
    Expired,
    /// The request is not the one the session was opened for, or the user is
    /// another. Answer 403 and leave the session as it is.
    #[error("the session belongs to another request")]
    OtherRequest,
    /// The stage cannot come now, or is not offered. Answer 401, change
    /// nothing, count nothing.
    #[error("the stage cannot come now")]
    OutOfOrder,
}

/// A session in which one stage may be tried now. Only [`Session::admit`]
/// makes it.
#[derive(Clone, Debug)]
pub struct Admitted {
    session: Session,
    stage: Stage,
    finishes: bool,
}

/// A session in which a whole flow is passed, asked for by the request that it
/// is bound to. Only [`Session::admit_execution`] makes it.
#[derive(Clone, Debug)]
pub struct Executable(Session);

/// What a completed stage led to.
#[derive(Debug)]
pub enum Progress {
    /// There are more stages to come.
    More(Session),
    /// The flow is complete and the session is spent.
    Done(Authenticated),
}

/// Proof that a whole flow was passed for one operation.
///
/// Only this engine can make one, and it cannot be copied: an operation that
/// takes it as an argument cannot be reached without it, nor run twice on it.
///
/// Neither of these compiles:
///
/// ```compile_fail,E0451
/// fn forged(kept: myelin_uia::Kept) -> myelin_uia::Authenticated {
///     let myelin_uia::Kept { id, user, binding, completed, memo, .. } = kept;
///     myelin_uia::Authenticated { session: id, user, binding, completed, memo }
/// }
/// ```
///
/// ```compile_fail,E0382
/// fn twice(proof: myelin_uia::Authenticated, perform: fn(myelin_uia::Authenticated)) {
///     perform(proof);
///     perform(proof);
/// }
/// ```
#[derive(Debug)]
pub struct Authenticated {
    session: SessionId,
    user: Option<OwnedUserId>,
    binding: Bound,
    completed: Vec<Stage>,
    memo: Option<String>,
}

impl Session {
    /// Opens a session in which no stage is passed yet.
    #[must_use]
    pub fn open(
        entropy: &dyn Entropy,
        user: Option<OwnedUserId>,
        binding: Binding,
        now: Timestamp,
        lifetime: Duration,
    ) -> Self {
        let id = SessionId::generate(entropy);
        let binding = binding.keyed(&id);
        let expires = now + lifetime;
        Self(Kept { id, user, binding, completed: Vec::new(), expires, memo: None })
    }

    /// A session as it was kept.
    ///
    /// # Security
    ///
    /// Whoever calls this vouches for the stages in it: a store that gives back
    /// what was kept with it, and nobody else.
    #[must_use]
    pub fn restore(kept: Kept) -> Self {
        Self(kept)
    }

    /// What is to be kept of it.
    #[must_use]
    pub fn into_kept(self) -> Kept {
        self.0
    }

    /// The same session, which remembers this of its first request.
    #[must_use]
    pub fn with_memo(self, memo: Option<String>) -> Self {
        Self(Kept { memo, ..self.0 })
    }

    /// Whether the session answers to a request with this binding now.
    ///
    /// # Errors
    ///
    /// [`Refusal::Expired`] or [`Refusal::OtherRequest`].
    pub fn check(&self, binding: &Binding, now: Timestamp) -> Result<(), Refusal> {
        if now >= self.expires {
            return Err(Refusal::Expired);
        }
        // The user is part of the binding: a session opened with one user's
        // token is another request's session for everybody else.
        if binding.keyed(&self.id) != self.binding {
            return Err(Refusal::OtherRequest);
        }
        Ok(())
    }

    /// Admits `stage` if it may be tried now.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; nothing has changed then.
    pub fn admit(
        self,
        binding: &Binding,
        flows: &Flows,
        stage: Stage,
        now: Timestamp,
    ) -> Result<Admitted, Refusal> {
        self.check(binding, now)?;
        // A completed stage cannot be retried: it is no longer the next one.
        if !flows.admit(&self.completed, stage) {
            return Err(Refusal::OutOfOrder);
        }
        let mut after = self.completed.clone();
        after.push(stage);
        let finishes = flows.finished_by(&after);
        Ok(Admitted { session: self, stage, finishes })
    }

    /// Admits `stage` where the operation is not at hand: on a fallback page,
    /// which knows the session's name and nothing of the request. Passing the
    /// last stage there performs nothing; the session waits for its request.
    ///
    /// [Client-Server API, Fallback](https://spec.matrix.org/v1.16/client-server-api/#fallback)
    ///
    /// # Errors
    ///
    /// [`Refusal::Expired`] or [`Refusal::OutOfOrder`].
    pub fn admit_elsewhere(
        self,
        flows: &Flows,
        stage: Stage,
        now: Timestamp,
    ) -> Result<Admitted, Refusal> {
        if now >= self.expires {
            return Err(Refusal::Expired);
        }
        if !flows.admit(&self.completed, stage) {
            return Err(Refusal::OutOfOrder);
        }
        Ok(Admitted { session: self, stage, finishes: false })
    }

    /// Admits the operation of a session in which a whole flow is passed.
    ///
    /// # Errors
    ///
    /// [`Refusal::OutOfOrder`] while stages are missing; else as
    /// [`Self::check`].
    pub fn admit_execution(
        self,
        binding: &Binding,
        flows: &Flows,
        now: Timestamp,
    ) -> Result<Executable, Refusal> {
        self.check(binding, now)?;
        if flows.finished_by(&self.completed) {
            Ok(Executable(self))
        } else {
            Err(Refusal::OutOfOrder)
        }
    }

    fn authenticated(self) -> Authenticated {
        let Kept { id: session, user, binding, completed, expires: _, memo } = self.0;
        Authenticated { session, user, binding, completed, memo }
    }
}

impl Deref for Session {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.0
    }
}

impl Executable {
    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0
    }

    /// Spends the session. To be called where a store has ended it: of several
    /// callers, a store must let only one through.
    #[must_use]
    pub fn execute(self) -> Authenticated {
        self.0.authenticated()
    }
}

impl Admitted {
    /// The session as it stands before the stage.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The stage that may be tried.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether the flow is complete once this stage is.
    #[must_use]
    pub fn finishes(&self) -> bool {
        self.finishes
    }

    /// Takes the step. To be called where the stage has been passed and, if
    /// sessions are kept in a store, where the store has committed it: a store
    /// must let only one of several callers through.
    #[must_use]
    pub fn complete(self) -> Progress {
        let Self { mut session, stage, finishes } = self;
        session.0.completed.push(stage);
        if !finishes {
            return Progress::More(session);
        }
        Progress::Done(session.authenticated())
    }
}

impl Authenticated {
    /// Who has been authenticated; `None` for a registration.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_deref()
    }

    /// Whether the proof is for this operation and no other.
    #[must_use]
    pub fn is_for(&self, binding: &Binding) -> bool {
        binding.keyed(&self.session) == self.binding
    }

    /// The stages that were passed, in order.
    #[must_use]
    pub fn completed(&self) -> &[Stage] {
        &self.completed
    }

    /// What the operation remembered from its first request.
    #[must_use]
    pub fn memo(&self) -> Option<&str> {
        self.memo.as_deref()
    }
}
