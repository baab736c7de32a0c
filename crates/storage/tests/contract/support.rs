//! What the files of the suite share.

use std::sync::Arc;

use myelin_ambient::Timestamp;
use myelin_storage::{
    Action, Change, Enrolled, Epoch, Error, Event, Factors, Outcome, RecordedEvent, SealedSecret,
    Spend, Store,
};
use myelin_testing::fixture::{event, factors_of, flows, login_binding};
use myelin_testing::{NOW, SeededUser};
use myelin_two_factor::{
    Admission, AuthenticatorId, FailureEffect, Name, RecoverySalt, Status, Step, Throttle,
    ThrottlePolicy, TotpParameters, TotpToken, Verdict, totp,
};
use myelin_uia::{Admitted, Progress, Session, SessionId, Stage};
use ruma::{OwnedUserId, UserId, owned_user_id};

/// A user.
pub(crate) fn alice() -> OwnedUserId {
    owned_user_id!("@alice:localhost")
}

/// Another user.
pub(crate) fn bob() -> OwnedUserId {
    owned_user_id!("@bob:localhost")
}

/// The step of [`NOW`].
pub(crate) fn current_step() -> Step {
    TotpParameters::default().step_at(NOW)
}

/// A code of this user's authenticator, at this step.
pub(crate) fn code(user: &SeededUser, step: Step) -> Spend {
    let throttle = Throttle::default();
    Spend::Totp { authenticator: user.authenticator.clone(), step, throttle }
}

/// The recovery code of this number.
pub(crate) fn recovery_code(index: u32) -> Spend {
    Spend::Recovery { index, throttle: Throttle::default() }
}

/// The session as it is admitted to a stage of a login.
pub(crate) fn admit(session: &Session, stage: Stage) -> Admitted {
    let user = session.user.as_deref().expect("a login names its user");
    let admitted = session.clone().admit(&login_binding(user), &flows(), stage, NOW);
    admitted.expect("the stage may come now")
}

/// The last stage of a login, decided on `factors`; whether it was committed.
pub(crate) async fn finish(
    store: &dyn Store,
    session: &Session,
    factors: &Factors,
    spend: Spend,
) -> bool {
    try_finish(store, session, factors, spend).await.expect("the store answers")
}

/// The same, where the store may fail.
pub(crate) async fn try_finish(
    store: &dyn Store,
    session: &Session,
    factors: &Factors,
    spend: Spend,
) -> Result<bool, Error> {
    let (stage, action) = match &spend {
        Spend::Recovery { .. } => (Stage::Recovery, Action::RecoveryPassed),
        _ => (Stage::Totp, Action::TotpPassed),
    };
    let event = event(&factors.user, action, NOW);
    let admitted = admit(session, stage);
    let outcome = store.pass_stage(admitted, Some(factors), spend, NOW, Some(event)).await?;
    Ok(match outcome {
        Outcome::Committed(progress) => {
            assert!(matches!(progress, Progress::Done(_)), "the code is the last stage");
            true
        }
        Outcome::Stale => false,
    })
}

/// A change decided on `factors`; whether it was committed.
pub(crate) async fn change(
    store: &dyn Store,
    factors: &Factors,
    change: Change,
    action: Action,
) -> bool {
    let event = event(&factors.user, action, NOW);
    let outcome = store.change(factors, change, event).await.expect("the store answers");
    matches!(outcome, Outcome::Committed(()))
}

/// What an attempt with a code came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Passed,
    Wrong,
    Replayed,
    Waiting,
    SessionGone,
}

/// An attempt as every caller of the store makes it: read, decide, commit, and
/// again from the beginning where the answer is stale.
pub(crate) async fn attempt(
    store: Arc<dyn Store>,
    id: SessionId,
    token: TotpToken,
    now: Timestamp,
) -> Attempt {
    loop {
        let found = store.lookup_session(&id, now).await.expect("the store answers");
        let Some((session, Some(factors))) = found else { return Attempt::SessionGone };
        if factors.totp.admit(now) != Admission::Open {
            return Attempt::Waiting;
        }
        let outcome = match verdict(&*store, &factors, &token, now) {
            Some((authenticator, Verdict::Accepted(step))) => {
                let throttle = factors.totp.clone().succeed(now);
                let spend = Spend::Totp { authenticator, step, throttle };
                finish(&*store, &session, &factors, spend).await.then_some(Attempt::Passed)
            }
            Some(_) => return Attempt::Replayed,
            None => count(&*store, &factors, now).await.then_some(Attempt::Wrong),
        };
        if let Some(outcome) = outcome {
            return outcome;
        }
    }
}

fn verdict(
    store: &dyn Store,
    factors: &Factors,
    token: &TotpToken,
    now: Timestamp,
) -> Option<(AuthenticatorId, Verdict)> {
    let secrets: Vec<_> = factors
        .active()
        .map(|one| (one, store.unseal(&factors.user, one).expect("the key is at hand")))
        .collect();
    let candidates: Vec<_> =
        secrets.iter().map(|(one, secret)| (&one.id, secret, one.last_step)).collect();
    let found = totp::verify_any(&candidates, token, &TotpParameters::default(), now)?;
    Some((found.authenticator, found.verdict))
}

/// Counts a wrong code; whether it was committed.
pub(crate) async fn count(store: &dyn Store, factors: &Factors, now: Timestamp) -> bool {
    let failure = factors.totp.clone().fail(now, ThrottlePolicy::TOTP);
    let disable = failure.effect == FailureEffect::Disable;
    let count = Change::CountTotpFailure { throttle: failure.throttle, disable };
    change(store, factors, count, Action::TotpFailed).await
}

/// A code that is wrong at [`NOW`].
pub(crate) fn wrong_code(user: &SeededUser) -> TotpToken {
    let parameters = TotpParameters::default();
    let right: Vec<_> = (0..3).map(|i| user.code(Step(current_step().0 + i - 1))).collect();
    (0..=3)
        .map(|guess| format!("{guess:06}"))
        .find(|guess| right.iter().all(|token| token.expose() != guess))
        .and_then(|guess| TotpToken::parse(&guess, parameters.digits))
        .expect("of four codes one is wrong")
}

/// Everything about a user that the verbs show.
#[derive(Debug, PartialEq)]
pub(crate) struct Snapshot {
    version: i64,
    epoch: Epoch,
    throttles: (Throttle, Throttle),
    authenticators: Vec<Shown>,
    codes: Option<Set>,
    sessions: Vec<Option<Session>>,
    events: Vec<RecordedEvent>,
}

/// Salt, time, total, and what is left.
type Set = (RecoverySalt, Timestamp, u32, Vec<(u32, SealedSecret)>);

impl Snapshot {
    /// The user's log, newest first.
    pub(crate) fn events(&self) -> &[RecordedEvent] {
        &self.events
    }
}

type Shown = (
    (AuthenticatorId, Name, Status, Timestamp),
    (Option<Timestamp>, Option<Step>, u8, SealedSecret),
);

/// The user's snapshot, with these sessions as they are kept.
pub(crate) async fn snapshot(store: &dyn Store, user: &UserId, sessions: &[&Session]) -> Snapshot {
    let Factors { user: _, version, epoch, totp, recovery, authenticators, codes } =
        factors_of(store, user).await;
    let mut kept = Vec::new();
    for session in sessions {
        let found = store.lookup_session(&session.id, NOW).await.expect("the store answers");
        kept.push(found.map(|(session, _)| session));
    }
    Snapshot {
        version: version.0,
        epoch,
        throttles: (totp, recovery),
        authenticators: authenticators.into_iter().map(shown).collect(),
        codes: codes.map(|codes| (codes.salt, codes.generated, codes.total, codes.unused)),
        sessions: kept,
        events: store.events(user, 1000).await.expect("the store answers"),
    }
}

fn shown(enrolled: Enrolled) -> Shown {
    let Enrolled { id, name, status, created, last_used, last_step, confirm_failures, secret } =
        enrolled;
    ((id, name, status, created), (last_used, last_step, confirm_failures, secret))
}

/// Whether the session is kept.
pub(crate) async fn is_open(store: &dyn Store, session: &Session) -> bool {
    store.lookup_session(&session.id, NOW).await.expect("the store answers").is_some()
}

/// The events about a user, oldest first.
pub(crate) async fn log(store: &dyn Store, user: &UserId) -> Vec<Event> {
    let events = store.events(user, 1000).await.expect("the store answers");
    events.into_iter().rev().map(|recorded| recorded.event).collect()
}

/// How many of these actions the user's log holds.
pub(crate) async fn times(store: &dyn Store, user: &UserId, action: Action) -> usize {
    log(store, user).await.iter().filter(|event| event.action == action).count()
}

/// The winners of a race.
pub(crate) fn winners(outcomes: &[bool]) -> usize {
    outcomes.iter().filter(|won| **won).count()
}
