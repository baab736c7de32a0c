//! One authenticator: an app that holds a secret, and its life.
//!
//! ```text
//!            enrol
//!              |
//!              v        right code
//!          +---------+ ------------> +--------+  too many failures  +----------+
//!    +---- | pending |               | active | ------------------> | disabled |
//!    |     +---------+ <--+          +--------+                     +----------+
//!    |       |  wrong code |              |                              |
//!    |       +-------------+              +----------> removed <---------+
//!    |
//!    +--> destroyed: fifth wrong code, or ten minutes gone, or begun again
//! ```
//!
//! A pending authenticator protects nothing and unlocks nothing. An active one
//! never becomes pending again, and a disabled one never becomes active again:
//! it is removed and a new one is set up. Removing is deleting the row, so it
//! is no state here.
//!
//! Transitions consume the authenticator and return the next. How many a user
//! may have, and that beginning again replaces the pending one, are rules over
//! all of a user's authenticators; the store keeps them.

mod id;
mod name;

use std::fmt;

use myelin_ambient::{Entropy, Timestamp};

pub use id::AuthenticatorId;
pub use name::{Name, NameError};

use crate::{
    limits::{MAX_CONFIRM_FAILURES, PENDING_LIFETIME},
    totp::{Step, TotpParameters, TotpSecret, TotpToken, Verdict, verify},
};

/// Where an authenticator is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Set up, not yet confirmed by a code.
    Pending,
    /// In use.
    Active,
    /// Out of use after too many failures.
    Disabled,
}

impl Status {
    /// The text on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// Reads [`as_str`](Self::as_str); `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Active, Self::Disabled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// An authenticator with its secret.
pub struct Authenticator {
    /// Its name to the server.
    pub id: AuthenticatorId,
    /// Its name to the user.
    pub name: Name,
    /// Where it is in its life.
    pub status: Status,
    /// When its set-up began.
    pub created: Timestamp,
    /// When a code of it was last accepted.
    pub last_used: Option<Timestamp>,
    /// The last accepted step. Only later ones are accepted.
    pub last_step: Option<Step>,
    /// What the app and the server share.
    pub secret: TotpSecret,
    /// Wrong codes while pending.
    pub confirm_failures: u8,
}

/// What became of a pending authenticator when a code came to confirm it.
#[derive(Debug)]
pub enum Confirmation {
    /// It is active. The code's step is its first `last_step`: the code is
    /// spent.
    Confirmed(Authenticator),
    /// Wrong code. Still pending, one failure more.
    Wrong(Authenticator),
    /// Wrong code once too often. It is gone.
    Destroyed,
    /// It was too old. It is gone.
    Expired,
    /// It was not pending; nothing changed.
    NotPending(Authenticator),
}

impl Authenticator {
    /// Begins set-up: a pending authenticator with a new secret.
    #[must_use]
    pub fn enrol(name: Name, now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self {
            id: AuthenticatorId::generate(entropy),
            name,
            status: Status::Pending,
            created: now,
            last_used: None,
            last_step: None,
            secret: TotpSecret::generate(entropy),
            confirm_failures: 0,
        }
    }

    /// When set-up must be finished.
    #[must_use]
    pub fn confirm_by(&self) -> Timestamp {
        self.created + PENDING_LIFETIME
    }

    /// Finishes set-up if `token` proves that the app has the secret.
    ///
    /// The outcome must be stored before it is reported: a wrong code that is
    /// forgotten is a free guess.
    #[must_use]
    pub fn confirm(
        self,
        token: &TotpToken,
        parameters: &TotpParameters,
        now: Timestamp,
    ) -> Confirmation {
        if self.status != Status::Pending {
            return Confirmation::NotPending(self);
        }
        if self.is_out_of_time(now) {
            return Confirmation::Expired;
        }
        match verify(&self.secret, token, parameters, now, self.last_step) {
            Verdict::Accepted(step) => Confirmation::Confirmed(Self {
                status: Status::Active,
                last_used: Some(now),
                // RFC 6238 §5.2: a code is accepted once, this one included.
                last_step: Some(step),
                ..self
            }),
            Verdict::Wrong | Verdict::Replayed => self.confirm_failed(),
        }
    }

    fn confirm_failed(self) -> Confirmation {
        let confirm_failures = self.confirm_failures.saturating_add(1);
        if confirm_failures >= MAX_CONFIRM_FAILURES {
            return Confirmation::Destroyed;
        }
        Confirmation::Wrong(Self { confirm_failures, ..self })
    }

    /// Whether a pending authenticator is too old at `now`.
    fn is_out_of_time(&self, now: Timestamp) -> bool {
        // A clock set back must not keep it alive. A clock a little behind
        // another machine's must not kill it.
        now >= self.confirm_by() || self.created > now + PENDING_LIFETIME
    }

    /// What [`crate::totp::verify_any`] compares with; `None` unless active.
    #[must_use]
    pub fn candidate(&self) -> Option<(&AuthenticatorId, &TotpSecret, Option<Step>)> {
        (self.status == Status::Active).then_some((&self.id, &self.secret, self.last_step))
    }

    /// Writes down that the code of `step` was accepted at `now`. An earlier
    /// step than the last one changes nothing: `last_step` never goes back.
    #[must_use]
    pub fn spend(self, step: Step, now: Timestamp) -> Self {
        if self.last_step.is_some_and(|last| step <= last) {
            return self;
        }
        Self { last_step: Some(step), last_used: Some(now), ..self }
    }

    /// Takes an active authenticator out of use after too many failures. Any
    /// other stays as it is.
    #[must_use]
    pub fn disable(self) -> Self {
        match self.status {
            Status::Active => Self { status: Status::Disabled, ..self },
            Status::Pending | Status::Disabled => self,
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, status, created, last_used, last_step, secret, confirm_failures } =
            self;
        f.debug_struct("Authenticator")
            .field("id", id)
            .field("name", name)
            .field("status", status)
            .field("created", created)
            .field("last_used", last_used)
            .field("last_step", last_step)
            .field("secret", secret)
            .field("confirm_failures", confirm_failures)
            .finish()
    }
}
