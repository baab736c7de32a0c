//! What a store compares and writes when a stage is passed.

use myelin_ambient::Timestamp;
use myelin_two_factor::{AuthenticatorId, Step, Throttle};
use myelin_uia::Admitted;
use ruma::OwnedUserId;

use crate::{
    Error, Factors, Spend, Version,
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
        let Factors { user, version, totp, recovery, authenticators: _, codes: _ } = factors;
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
    /// What it costs.
    pub(crate) cost: Option<(Claim, Spent)>,
}

impl Passage {
    /// # Errors
    ///
    /// [`Error::Decision`] where something is spent, and the factors are
    /// missing or are not those of the session's user.
    pub(crate) fn new(
        admitted: &Admitted,
        factors: Option<&Factors>,
        spend: Spend,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let session = admitted.session();
        let cost = cost(factors, spend)?;
        if cost.as_ref().is_some_and(|(claim, _)| session.user.as_ref() != Some(&claim.user)) {
            return Err(Error::Decision { what: "the session is another user's" });
        }
        let after = [session.completed.as_slice(), &[admitted.stage()]].concat();
        Ok(Self {
            session: session.id.digest(),
            user: session.user.as_ref().map(ToString::to_string).unwrap_or_default(),
            before: join_stages(&session.completed),
            after: join_stages(&after),
            finishes: admitted.finishes(),
            now: millis(now),
            cost,
        })
    }
}

fn cost(factors: Option<&Factors>, spend: Spend) -> Result<Option<(Claim, Spent)>, Error> {
    let claim = || {
        let factors = factors.ok_or(Error::Decision { what: "the user's factors are missing" })?;
        Ok::<_, Error>(Claim::of(factors))
    };
    Ok(match spend {
        Spend::Nothing => None,
        Spend::Totp { authenticator, step, throttle } => {
            Some((Claim { totp: throttle, ..claim()? }, Spent::Totp { authenticator, step }))
        }
        Spend::Recovery { index, throttle } => {
            Some((Claim { recovery: throttle, ..claim()? }, Spent::Recovery { index }))
        }
    })
}
