//! The stage `m.login.2fa.recovery`: the domain decides, the store commits.

use myelin_storage::{Action, Change, Factors, SealedSecret, Spend};
use myelin_two_factor::{Admission, FailureEffect, RecoveryCode, ThrottlePolicy, recovery::find};

use super::{gate::Judgement, throttle::wait};
use crate::{App, error::Error, texts};

/// What a recovery code is worth for this user now.
pub(crate) async fn judge(app: &App, factors: &Factors, token: &str) -> Result<Judgement, Error> {
    let now = app.now();
    // Its own counter: a wait for codes does not hold up recovery.
    if let Admission::Wait { until } = factors.recovery.admit(now) {
        let change = |throttle| Change::CountRecoveryFailure { throttle };
        return Ok(wait(&factors.recovery, until, now, Action::RecoveryWaiting, change));
    }
    let (Some(code), Some(codes)) = (RecoveryCode::parse(token), &factors.codes) else {
        return Ok(Judgement::Ignore(texts::WRONG_CODE));
    };
    let unsealed = |codes: &[(u32, SealedSecret)]| {
        let unseal = |(index, sealed): &(u32, SealedSecret)| {
            Ok((*index, app.store().unseal_hash(&factors.user, *index, sealed)?))
        };
        codes.iter().map(unseal).collect::<Result<Vec<_>, Error>>()
    };
    let (unused, used) = (unsealed(&codes.unused)?, unsealed(&codes.used)?);
    // The codes of a set share their salt: one hash an attempt.
    let salt = codes.salt;
    let hash = app.hash(move || code.hash(&salt)).await;
    Ok(match (find(&hash, &unused), find(&hash, &used)) {
        (Some(index), _) => {
            let throttle = factors.recovery.clone().succeed(now);
            Judgement::Pass(Spend::Recovery { index, throttle }, Some(Action::RecoveryPassed))
        }
        // Spent, perhaps by whoever was faster: no guess, so not counted.
        (None, Some(_)) => Judgement::Ignore(texts::WRONG_CODE),
        (None, None) => count(app, factors),
    })
}

fn count(app: &App, factors: &Factors) -> Judgement {
    let failure = factors.recovery.clone().fail(app.now(), ThrottlePolicy::RECOVERY);
    let (action, wait) = match failure.effect {
        FailureEffect::Wait { until } => (Action::RecoveryWaiting, Some(until)),
        FailureEffect::Counted | FailureEffect::Disable => (Action::RecoveryFailed, None),
    };
    Judgement::Count {
        change: Change::CountRecoveryFailure { throttle: failure.throttle },
        action,
        wait,
    }
}
