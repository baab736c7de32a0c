//! The stage `m.login.2fa.totp`: the domain decides, the store commits.

use myelin_storage::{Action, Change, Factors, Spend};
use myelin_two_factor::{
    Admission, FailureEffect, ThrottlePolicy, TotpToken, Verdict, totp::verify_any,
};

use super::{gate::Judgement, throttle::wait};
use crate::{App, error::Error, texts};

/// What a code is worth for this user now.
pub(crate) fn judge(app: &App, factors: &Factors, token: &str) -> Result<Judgement, Error> {
    let now = app.now();
    let parameters = app.settings().totp;
    // Before anything is compared: in a wait the right code gets the same
    // answer as a wrong one.
    if let Admission::Wait { until } = factors.totp.admit(now) {
        let change = |throttle| Change::CountTotpFailure { throttle, disable: false };
        return Ok(wait(&factors.totp, until, now, Action::TotpWaiting, change));
    }
    let Some(token) = TotpToken::parse(token, parameters.digits) else {
        return Ok(Judgement::Ignore(texts::WRONG_CODE));
    };
    let mut secrets = Vec::new();
    for authenticator in factors.active() {
        secrets.push((authenticator, app.store().unseal(&factors.user, authenticator)?));
    }
    if secrets.is_empty() {
        // All are disabled: there is nothing to guess.
        return Ok(Judgement::Ignore(texts::WRONG_CODE));
    }
    let candidates: Vec<_> = secrets
        .iter()
        .map(|(authenticator, secret)| (&authenticator.id, secret, authenticator.last_step))
        .collect();
    let found = verify_any(&candidates, &token, &parameters, now);
    Ok(match found.map(|found| (found.authenticator, found.verdict)) {
        Some((authenticator, Verdict::Accepted(step))) => {
            let throttle = factors.totp.clone().succeed(now);
            let spend = Spend::Totp { authenticator, step, throttle };
            Judgement::Pass(spend, Some(Action::TotpPassed))
        }
        // RFC 6238 §5.2: not accepted again. It was no guess: not counted.
        Some((_, Verdict::Replayed)) => Judgement::Ignore(texts::WRONG_CODE),
        Some((_, Verdict::Wrong)) | None => count(app, factors),
    })
}

fn count(app: &App, factors: &Factors) -> Judgement {
    let failure = factors.totp.clone().fail(app.now(), ThrottlePolicy::TOTP);
    let (action, disable, wait) = match failure.effect {
        FailureEffect::Counted => (Action::TotpFailed, false, None),
        FailureEffect::Wait { until } => (Action::TotpWaiting, false, Some(until)),
        FailureEffect::Disable => (Action::TotpDisabled, true, None),
    };
    let change = Change::CountTotpFailure { throttle: failure.throttle, disable };
    Judgement::Count { change, action, wait }
}
