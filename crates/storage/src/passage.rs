//! What a store compares and writes when a stage is passed.

use myelin_ambient::Timestamp;
use myelin_two_factor::{AuthenticatorId, Step, Throttle};
use myelin_uia::{Admitted, Executable, Session};
use ruma::OwnedUserId;

use crate::{
    Epoch, Error, Factors, Spend, Version,
    values::{join_stages, millis},
};

/// A user's factors as they were read, and the counters as they shall be.
pub(crate) struct Claim {
    pub(crate) user: OwnedUserId,
    pub(crate) version: Version,
    pub(crate) totp: Throttle,
    pub(crate) recovery: Throttle,
}

impl Claim {
    /// Changes no counter yet.
    pub(crate) fn of(factors: &Factors) -> Self {
        let Factors { user, version, epoch: _, totp, recovery, authenticators: _, codes: _ } =
            factors;
        Self {
            user: user.clone(),
            version: *version,
            totp: totp.clone(),
            recovery: recovery.clone(),
        }
    }
}

/// What is used up.
pub(crate) enum Spent {
    Totp { authenticator: AuthenticatorId, step: Step },
    Recovery { index: u32 },
}

/// What passing a stage depends on.
pub(crate) enum Cost {
    /// Nothing is used up; the user's epoch, where there is a user, must be the
    /// one that was read.
    Nothing(Option<(OwnedUserId, Epoch)>),
    /// A code is used up, and the version raised.
    Code(Claim, Spent),
}

impl Cost {
    fn new(factors: Option<&Factors>, spend: Spend) -> Result<Self, Error> {
        let read = || factors.ok_or(Error::Decision { what: "the user's factors are missing" });
        Ok(match spend {
            Spend::Nothing => {
                Self::Nothing(factors.map(|factors| (factors.user.clone(), factors.epoch)))
            }
            Spend::Totp { authenticator, step, throttle } => Self::Code(
                Claim { totp: throttle, ..Claim::of(read()?) },
                Spent::Totp { authenticator, step },
            ),
            Spend::Recovery { index, throttle } => Self::Code(
                Claim { recovery: throttle, ..Claim::of(read()?) },
                Spent::Recovery { index },
            ),
        })
    }
}

/// A session's step from one stage to the next.
pub(crate) struct Passage {
    /// The digest of the session's name.
    pub(crate) session: [u8; 32],
    /// Whose session; empty while nobody is known.
    pub(crate) user: String,
    /// The stages that must be completed before.
    pub(crate) before: String,
    /// The stages that are completed after.
    pub(crate) after: String,
    /// Whether the session ends with it.
    pub(crate) finishes: bool,
    /// In milliseconds.
    pub(crate) now: i64,
    /// What it depends on.
    pub(crate) cost: Cost,
}

impl Passage {
    /// # Errors
    ///
    /// [`Error::Decision`] where the factors are not those of the session's
    /// user, or something is spent and they are missing.
    pub(crate) fn new(
        admitted: &Admitted,
        factors: Option<&Factors>,
        spend: Spend,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let session = admitted.session();
        let after = [session.completed.as_slice(), &[admitted.stage()]].concat();
        let step = Self::of(session, factors, spend, now)?;
        Ok(Self { after: join_stages(&after), finishes: admitted.finishes(), ..step })
    }

    /// The end of a session in which every stage is passed.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub(crate) fn execution(
        executable: &Executable,
        factors: Option<&Factors>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        Self::of(executable.session(), factors, Spend::Nothing, now)
    }

    /// The end of the session as it stands.
    fn of(
        session: &Session,
        factors: Option<&Factors>,
        spend: Spend,
        now: Timestamp,
    ) -> Result<Self, Error> {
        if factors.is_some_and(|factors| session.user.as_ref() != Some(&factors.user)) {
            return Err(Error::Decision { what: "the session is another user's" });
        }
        let before = join_stages(&session.completed);
        Ok(Self {
            session: session.id.digest(),
            user: session.user.as_ref().map(ToString::to_string).unwrap_or_default(),
            after: before.clone(),
            before,
            finishes: true,
            now: millis(now),
            cost: Cost::new(factors, spend)?,
        })
    }
}
