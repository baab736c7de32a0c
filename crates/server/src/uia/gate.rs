//! One request on its way through a session.

use myelin_ambient::Timestamp;
use myelin_homeserver::{Context, Refusal};
use myelin_storage::{Action, Change, Epoch, Event, Factors, Outcome, Spend};
use myelin_uia::{
    Admitted, Authenticated, Binding, Flows, Progress,
    Refusal::{Expired, OtherRequest, OutOfOrder},
    Session, SessionId, Stage,
};
use ruma::{OwnedUserId, UserId};

use super::{Auth, Evidence, page, password, recovery, throttle::wait_until, totp};
use crate::{App, error::Error, texts};

/// How often a decision is made anew because others changed what it was made
/// on. Each round that is lost was won by another attempt on the same user,
/// and a wait begins after a few wrong ones; so this is never reached but by
/// a fault.
const ROUNDS: usize = 256;

/// What the flows are for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// A request of a user who has a token, that Myelin answers itself.
    Own,
    /// An operation of a user who has a token.
    Operation,
    /// An operation of a user who has a token, at a homeserver that checks the
    /// password itself: it comes last, and goes on with the operation.
    Forwarded,
    /// A change on the account page, by somebody who has signed in there: the
    /// second factor once more, or the password where there is none.
    Page,
    /// A login, whose user is known only after the first stage.
    Login,
    /// A sign-in by a user whom the homeserver's single sign-on has named.
    SignOn,
    /// A registration, with the flows that the homeserver asks for.
    Registration(Flows),
}

/// One request that needs proof.
#[derive(Debug)]
pub(crate) struct Gate<'a> {
    pub(crate) app: &'a App,
    pub(crate) context: &'a Context,
    pub(crate) purpose: Purpose,
    /// The user whom the access token names.
    pub(crate) user: Option<OwnedUserId>,
    pub(crate) binding: Binding,
    /// The endpoint, for the audit log.
    pub(crate) endpoint: &'static str,
    /// The devices that the request is about, as people are shown them.
    pub(crate) devices: Vec<String>,
}

/// A passed flow, and the epoch of its user's factors in which it was passed
/// (zero where there is no user). What is given out on the proof is so in this
/// epoch: a change since then voids it.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) proof: Authenticated,
    pub(crate) epoch: Epoch,
}

/// A request that has proved enough.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) proved: Proved,
    /// The session as it was before the last stage; none where a grant was
    /// spent.
    pub(crate) before: Option<Session>,
}

/// A session, and the factors of its user where it has one.
pub(crate) type Found = (Session, Option<Factors>);

/// What an attempt at a stage is worth.
pub(crate) enum Judgement {
    /// The stage is passed, and this is used up by it.
    Pass(Spend, Option<Action>),
    /// It was a guess, and it counts. `wait` where a wait begins with it.
    Count { change: Change, action: Action, wait: Option<Timestamp> },
    /// It looks wrong and does not count.
    Ignore(&'static str),
    /// It is not looked at before then.
    Wait(Timestamp),
}

/// Where a stage is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the request that the session is bound to.
    Request,
    /// On a page, which knows nothing of that request: the last stage performs
    /// nothing there.
    Page,
}

/// What trying a stage led to.
#[derive(Debug)]
pub(crate) enum Tried {
    /// It is passed, in this epoch of the user's factors.
    Passed(Progress, Epoch),
    /// It is not, and this is what to say.
    Again(Box<Found>, &'static str),
    /// It is not looked at before then.
    Wait(Timestamp),
    /// There is no such session any more.
    Gone,
}

impl Gate<'_> {
    /// Lets a request through if it proves enough; else says what to send.
    pub(crate) async fn authorise(&self, auth: &mut Auth) -> Result<Passed, Error> {
        match auth {
            Auth::Absent => match self.redeem_grant().await? {
                Some(proved) => Ok(Passed { proved, before: None }),
                None => Err(self.fresh(None).await?),
            },
            Auth::Session(named) => self.execute(named.find(self).await?).await,
            Auth::Attempt { session, evidence } => {
                let current = match session {
                    Some(named) => named.find(self).await?,
                    None => self.open().await?,
                };
                let before = Some(current.0.clone());
                match self.attempt(current, evidence).await? {
                    (Progress::Done(proof), epoch) => {
                        Ok(Passed { proved: Proved { proof, epoch }, before })
                    }
                    (Progress::More(session), _) => {
                        let factors = self.factors(session.user.as_deref()).await?;
                        Err(self.ask(&session, factors.as_ref(), None))
                    }
                }
            }
        }
    }

    /// Tries a stage in a session; else says what to send.
    pub(crate) async fn attempt(
        &self,
        current: Found,
        evidence: &Evidence,
    ) -> Result<(Progress, Epoch), Error> {
        match self.try_stage(current, evidence, Place::Request).await? {
            Tried::Passed(progress, epoch) => Ok((progress, epoch)),
            Tried::Again(now, text) => {
                let (session, factors) = *now;
                Err(self.ask(&session, factors.as_ref(), Some(text)))
            }
            Tried::Wait(until) => Err(wait_until(until, self.app.now()).into()),
            Tried::Gone => Err(self.fresh(Some(texts::UNKNOWN_SESSION)).await?),
        }
    }

    /// Tries a stage in a session, until a decision has held.
    pub(crate) async fn try_stage(
        &self,
        mut current: Found,
        evidence: &Evidence,
        place: Place,
    ) -> Result<Tried, Error> {
        for _ in 0..ROUNDS {
            let (session, factors) = current;
            let id = session.id.clone();
            let flows = self.flows(factors.as_ref(), &session);
            let Some(admitted) = self.admit(&session, &flows, evidence.stage(), place)? else {
                return Ok(Tried::Again(Box::new((session, factors)), texts::OUT_OF_ORDER));
            };
            let judgement = self.judge(&admitted, factors.as_ref(), evidence).await?;
            match self.commit(admitted, factors, judgement).await? {
                Outcome::Committed(tried) => return Ok(tried),
                Outcome::Stale => match self.found(id.as_str()).await? {
                    Some(found) => current = found,
                    None => return Ok(Tried::Gone),
                },
            }
        }
        Err(Error::Contended)
    }

    /// Asks the engine whether the stage may come now.
    fn admit(
        &self,
        session: &Session,
        flows: &Flows,
        stage: Option<Stage>,
        place: Place,
    ) -> Result<Option<Admitted>, Refusal> {
        let now = self.app.now();
        if place == Place::Request {
            let bound = session.check(&self.binding, now);
            bound.map_err(|_| Refusal::forbidden(texts::OTHER_REQUEST))?;
        }
        let Some(stage) = stage else { return Ok(None) };
        let session = session.clone();
        let admitted = match place {
            Place::Request => session.admit(&self.binding, flows, stage, now),
            Place::Page => session.admit_elsewhere(flows, stage, now),
        };
        Ok(admitted.ok())
    }

    /// Decides what the evidence is worth.
    async fn judge(
        &self,
        admitted: &Admitted,
        factors: Option<&Factors>,
        evidence: &Evidence,
    ) -> Result<Judgement, Error> {
        match (evidence, factors) {
            (Evidence::Totp(_) | Evidence::Recovery(_), factors) => {
                self.judge_code(factors, evidence).await
            }
            (Evidence::Password(evidence), factors) => {
                password::judge(self, admitted.session(), factors, evidence).await
            }
            (Evidence::Page { password, code }, factors) => {
                page::judge(self, admitted.session(), factors, password, code.as_deref()).await
            }
            (Evidence::SignedIn(proved), factors) => {
                Ok(page::judge_signed_in(admitted.session(), factors, proved))
            }
            (Evidence::RegistrationToken(token), _) => {
                let valid = self.app.homeserver().check_registration_token(token).await?;
                let pass = Judgement::Pass(Spend::Nothing, None);
                Ok(if valid { pass } else { Judgement::Ignore(texts::WRONG_TOKEN) })
            }
            (Evidence::Dummy, _) => Ok(Judgement::Pass(Spend::Nothing, None)),
            (Evidence::Unknown, _) => Ok(Judgement::Ignore(texts::OUT_OF_ORDER)),
        }
    }

    /// Decides what a code is worth.
    pub(super) async fn judge_code(
        &self,
        factors: Option<&Factors>,
        evidence: &Evidence,
    ) -> Result<Judgement, Error> {
        match (evidence, factors) {
            (Evidence::Totp(token), Some(factors)) => totp::judge(self.app, factors, token),
            (Evidence::Recovery(token), Some(factors)) => {
                recovery::judge(self.app, factors, token).await
            }
            // A second factor of nobody: the engine has admitted no such stage.
            _ => Ok(Judgement::Ignore(texts::OUT_OF_ORDER)),
        }
    }

    /// Commits a judgement. Its result is known to nobody before.
    async fn commit(
        &self,
        admitted: Admitted,
        factors: Option<Factors>,
        judgement: Judgement,
    ) -> Result<Outcome<Tried>, Error> {
        let now = self.app.now();
        let store = self.app.store();
        let user = admitted.session().user.clone();
        let event = |action| user.clone().map(|user| self.event(user, action, now));
        let again = |admitted: &Admitted, factors, text| {
            Outcome::Committed(Tried::Again(Box::new((admitted.session().clone(), factors)), text))
        };
        Ok(match judgement {
            Judgement::Pass(spend, action) => {
                let event = action.and_then(event);
                let epoch = epoch_of(factors.as_ref());
                match store.pass_stage(admitted, factors.as_ref(), spend, now, event).await? {
                    Outcome::Committed(progress) => {
                        Outcome::Committed(Tried::Passed(progress, epoch))
                    }
                    Outcome::Stale => Outcome::Stale,
                }
            }
            Judgement::Count { change, action, wait } => {
                let (Some(read), Some(event)) = (&factors, event(action)) else {
                    return Err(Refusal::forbidden(texts::OTHER_REQUEST).into());
                };
                match (store.change(read, change, event).await?, wait) {
                    (Outcome::Stale, _) => Outcome::Stale,
                    (Outcome::Committed(()), Some(until)) => Outcome::Committed(Tried::Wait(until)),
                    (Outcome::Committed(()), None) => again(&admitted, factors, texts::WRONG_CODE),
                }
            }
            Judgement::Ignore(text) => again(&admitted, factors, text),
            Judgement::Wait(until) => Outcome::Committed(Tried::Wait(until)),
        })
    }

    /// The session with this name.
    pub(crate) async fn found(&self, id: &str) -> Result<Option<Found>, Error> {
        let Some(id) = SessionId::parse(id) else { return Ok(None) };
        Ok(self.app.store().lookup_session(&id, self.app.now()).await?)
    }

    /// The session with this name, or a fresh challenge: a name that a client
    /// chose is never adopted.
    pub(crate) async fn lookup(&self, id: &str) -> Result<Found, Error> {
        match self.found(id).await? {
            Some(found) => Ok(found),
            None => Err(self.fresh(Some(texts::UNKNOWN_SESSION)).await?),
        }
    }

    /// Spends a session in which a whole flow is passed, on a fallback page
    /// perhaps; else says where it stands.
    pub(crate) async fn execute(&self, mut found: Found) -> Result<Passed, Error> {
        for _ in 0..ROUNDS {
            let (before, factors) = found;
            let factors = factors.as_ref();
            let now = self.app.now();
            let flows = self.flows(factors, &before);
            let admitted = before.clone().admit_execution(&self.binding, &flows, now);
            let executable = admitted.map_err(|refusal| match refusal {
                OutOfOrder => self.ask(&before, factors, None),
                Expired | OtherRequest => Refusal::forbidden(texts::OTHER_REQUEST).into(),
            })?;
            let ended = self.app.store().execute_session(executable, factors, now).await?;
            if let Outcome::Committed(proof) = ended {
                let proved = Proved { proof, epoch: epoch_of(factors) };
                return Ok(Passed { proved, before: Some(before) });
            }
            found = self.lookup(before.id.as_str()).await?;
        }
        Err(Error::Contended)
    }

    /// Brings back a session whose last stage the homeserver has refused, and
    /// asks for that stage again. `epoch` is the one in which it was passed.
    pub(crate) async fn reopen(
        &self,
        before: Option<Session>,
        epoch: Epoch,
        text: &str,
    ) -> Result<Error, Error> {
        let Some(session) = &before else { return self.fresh(Some(text)).await };
        match self.keep(session, epoch, None).await? {
            Outcome::Committed(()) => {
                let factors = self.factors(session.user.as_deref()).await?;
                Ok(self.ask(session, factors.as_ref(), Some(text)))
            }
            // What was passed in it is void.
            Outcome::Stale => self.fresh(Some(text)).await,
        }
    }

    /// Opens a session in which nothing is passed yet.
    pub(crate) async fn open(&self) -> Result<Found, Error> {
        let lifetime = self.app.settings().session_lifetime;
        let now = self.app.now();
        let session =
            Session::open(self.app.entropy(), self.user.clone(), self.binding, now, lifetime);
        // A page that confirms it has to say what it is.
        let session = session.with_memo(self.user.as_ref().map(|_| self.memo()));
        let (origin, store) = (self.context.origin(), self.app.store());
        store.open_session(&session, &origin, now, None).await?;
        let factors = self.factors(self.user.as_deref()).await?;
        Ok((session, factors))
    }

    /// Keeps a session in which stages are passed, if their epoch has not.
    pub(crate) async fn keep(
        &self,
        session: &Session,
        epoch: Epoch,
        event: Option<Event>,
    ) -> Result<Outcome<()>, Error> {
        let (origin, now) = (self.context.origin(), self.app.now());
        Ok(self.app.store().keep_session(session, &origin, epoch, now, event).await?)
    }

    /// A challenge with a new session.
    async fn fresh(&self, error: Option<&str>) -> Result<Error, Error> {
        let (session, factors) = self.open().await?;
        Ok(self.ask(&session, factors.as_ref(), error))
    }

    async fn factors(&self, user: Option<&UserId>) -> Result<Option<Factors>, Error> {
        let Some(user) = user else { return Ok(None) };
        Ok(Some(self.app.store().lookup_factors(user).await?))
    }

    /// An entry for the audit log.
    pub(crate) fn event(&self, user: OwnedUserId, action: Action, at: Timestamp) -> Event {
        let detail = Some(self.endpoint.to_owned());
        Event { at, user, action, origin: self.context.origin(), detail }
    }
}

fn epoch_of(factors: Option<&Factors>) -> Epoch {
    factors.map_or_else(Epoch::default, |factors| factors.epoch)
}
