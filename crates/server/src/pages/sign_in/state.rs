//! Where a sign-in stands: a session of the flow engine, and the client that
//! waits for it.

use myelin_storage::{Action, Epoch, Event, Factors, Outcome};
use myelin_uia::{Binding, Progress, Session, Stage};
use serde_json::{Map, Value, json};

use super::super::{Problem, Visit, cookies::Cookie, target::Target};
use crate::uia::{Gate, Proved, Purpose};

/// What its sessions are bound to: no other endpoint takes them.
const ENDPOINT: &str = "login/sso/redirect";

/// A sign-in whose first stage is passed.
#[derive(Clone, Debug)]
pub(in super::super) struct SignIn {
    pub(super) session: Session,
    pub(in super::super) factors: Factors,
    pub(super) target: Target,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A second factor.
    Code,
    /// The user has to have one, and has none.
    SetUp,
    /// Back to the client.
    Ready,
}

impl SignIn {
    /// The one of this browser.
    pub(super) async fn current(visit: &Visit) -> Result<Self, Problem> {
        let id = visit.jar.value(Cookie::SignIn).ok_or(Problem::Over)?;
        let found = gate(visit, Stage::Password).found(id).await?;
        let (session, factors) = found.ok_or(Problem::Over)?;
        session.check(&binding(), visit.app.now()).map_err(|_| Problem::Over)?;
        let target = session.memo.as_deref().and_then(|memo| target(visit, memo));
        match (factors, target) {
            (Some(factors), Some(target)) => Ok(Self { session, factors, target }),
            _ => Err(Problem::Over),
        }
    }

    /// The stage that it began with.
    pub(super) fn first(&self) -> Stage {
        self.session.completed.first().copied().unwrap_or(Stage::Password)
    }

    pub(super) fn gate<'v>(&self, visit: &'v Visit) -> Gate<'v> {
        gate(visit, self.first())
    }

    /// An entry for the audit log.
    pub(super) fn event(&self, visit: &Visit, action: Action) -> Event {
        self.gate(visit).event(self.factors.user.clone(), action, visit.app.now())
    }

    /// Spends it: what was passed in it proves one thing, once.
    pub(in super::super) async fn spend(self, visit: &mut Visit) -> Result<Proved, Problem> {
        let now = visit.app.now();
        let flows = self.gate(visit).flows(Some(&self.factors), &self.session);
        let Self { session, factors, target: _ } = self;
        let executable = session.admit_execution(&binding(), &flows, now);
        let executable = executable.map_err(|_| Problem::Over)?;
        match visit.app.store().execute_session(executable, Some(&factors), now).await? {
            Outcome::Committed(proof) => {
                visit.jar.set(Cookie::SignIn, None);
                Ok(Proved { proof, epoch: factors.epoch })
            }
            Outcome::Stale => Err(Problem::Over),
        }
    }

    pub(super) fn step(&self, visit: &Visit) -> Step {
        let Self { session, factors, target: _ } = self;
        let required = visit.app.settings().policy.requires(&factors.user);
        let flows = self.gate(visit).flows(Some(factors), session);
        let session = session.clone();
        match session.admit_execution(&binding(), &flows, visit.app.now()) {
            Ok(_) if required && !factors.protect() => Step::SetUp,
            Ok(_) => Step::Ready,
            Err(_) => Step::Code,
        }
    }

    /// Keeps it and gives this browser its name, in the place of any older one.
    /// It is over where the epoch has passed in which its stages were.
    pub(super) async fn keep(
        &self,
        visit: &mut Visit,
        epoch: Epoch,
        event: Option<Event>,
    ) -> Result<(), Problem> {
        if let Outcome::Stale = self.gate(visit).keep(&self.session, epoch, event).await? {
            return Err(Problem::Over);
        }
        visit.jar.set(Cookie::SignIn, Some(self.session.id.as_str().to_owned()));
        Ok(())
    }
}

/// A session of this user in which nothing is passed yet.
fn open(visit: &Visit, factors: &Factors, target: &Target) -> Session {
    let app = &visit.app;
    let (user, lifetime) = (Some(factors.user.clone()), app.settings().session_lifetime);
    let session = Session::open(app.entropy(), user, binding(), app.now(), lifetime);
    let memo = json!({"endpoint": ENDPOINT, "redirect_url": target.as_str()});
    session.with_memo(Some(memo.to_string()))
}

/// A new session with this stage passed, and the next one perhaps: one that
/// anybody had before is never taken over.
pub(super) fn pass(
    visit: &Visit,
    factors: &Factors,
    target: &Target,
    first: Stage,
    second: Option<Stage>,
) -> Result<Session, Problem> {
    let mut session = open(visit, factors, target);
    let flows = gate(visit, first).flows(Some(factors), &session);
    for stage in [Some(first), second].into_iter().flatten() {
        let admitted = session.admit_elsewhere(&flows, stage, visit.app.now());
        match admitted.map_err(|_| Problem::Over)?.complete() {
            Progress::More(next) => session = next,
            Progress::Done(_) => return Err(Problem::Over),
        }
    }
    Ok(session)
}

fn target(visit: &Visit, memo: &str) -> Option<Target> {
    let memo: Value = serde_json::from_str(memo).ok()?;
    // Once more: what is allowed may have changed.
    Target::parse(memo.get("redirect_url")?.as_str()?, &visit.app.settings().pages)
}

/// The gate of a sign-in that begins with this stage.
fn gate(visit: &Visit, first: Stage) -> Gate<'_> {
    Gate {
        app: &visit.app,
        context: &visit.context,
        purpose: if first == Stage::Token { Purpose::SignOn } else { Purpose::Login },
        user: None,
        binding: binding(),
        endpoint: ENDPOINT,
        devices: Vec::new(),
    }
}

fn binding() -> Binding {
    Binding::new(None, "GET", ENDPOINT, &[], &Map::new())
}
