//! Does this token match, and at which step?

use myelin_ambient::Timestamp;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::{Step, TotpParameters, TotpSecret, TotpToken};
use crate::authenticator::AuthenticatorId;

/// What a token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The code of this step, which is later than the last accepted one.
    /// Nobody may be let in before the step is written down as spent.
    Accepted(Step),
    /// The code of no step in the window. A guess: it counts as a failure.
    Wrong,
    /// The code of a step at or before the last accepted one. To the client
    /// it looks like a wrong code; it is no guess and does not count.
    Replayed,
}

/// Compares `token` with the code of every step that is accepted at `now`.
///
/// Only a step later than `last_step` is accepted (RFC 6238 §5.2: a code is
/// accepted once, and time does not run backwards). Should a code belong to
/// several steps of the window, the earliest acceptable one is spent, so that
/// the next code still works.
///
/// The time taken does not depend on the secret, on the token, or on which
/// step matches.
#[must_use]
pub fn verify(
    secret: &TotpSecret,
    token: &TotpToken,
    parameters: &TotpParameters,
    now: Timestamp,
    last_step: Option<Step>,
) -> Verdict {
    let generator = secret.generator(parameters);
    let mut matches = Choice::from(0);
    let mut acceptable = Choice::from(0);
    let mut accepted = 0;
    // Latest first: the earliest acceptable step is selected last and stays.
    for step in parameters.steps_at(now).rev() {
        let same = TotpToken::of(&generator, Step(step), parameters.digits).ct_eq(token);
        let unspent = Choice::from(u8::from(last_step.is_none_or(|last| Step(step) > last)));
        matches |= same;
        acceptable |= same & unspent;
        accepted.conditional_assign(&step, same & unspent);
    }
    if acceptable.into() {
        Verdict::Accepted(Step(accepted))
    } else if matches.into() {
        Verdict::Replayed
    } else {
        Verdict::Wrong
    }
}

/// The authenticator that a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Whose code it is.
    pub authenticator: AuthenticatorId,
    /// [`Verdict::Accepted`] or [`Verdict::Replayed`], never
    /// [`Verdict::Wrong`].
    pub verdict: Verdict,
}

/// [`verify`] over all active authenticators of a user, each given with its
/// last accepted step.
///
/// Accepted on any wins, the first such if there are several; else replayed on
/// any; else `None`: the token is wrong. All candidates are compared whatever
/// the token is.
#[must_use]
pub fn verify_any(
    candidates: &[(&AuthenticatorId, &TotpSecret, Option<Step>)],
    token: &TotpToken,
    parameters: &TotpParameters,
    now: Timestamp,
) -> Option<Match> {
    let mut best: Option<(&AuthenticatorId, Verdict)> = None;
    for &(id, secret, last_step) in candidates {
        let verdict = verify(secret, token, parameters, now, last_step);
        if rank(verdict) > best.map_or(0, |(_, verdict)| rank(verdict)) {
            best = Some((id, verdict));
        }
    }
    best.map(|(id, verdict)| Match { authenticator: id.clone(), verdict })
}

/// Which verdict wins.
const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Wrong => 0,
        Verdict::Replayed => 1,
        Verdict::Accepted(_) => 2,
    }
}
