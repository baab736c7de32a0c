//! `/login`: a login in one stage, or in two.
//!
//! [Client-Server API, Login](https://spec.matrix.org/v1.16/client-server-api/#login).
//! Where there is no `auth` key, the body itself is the first stage.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use myelin_homeserver::{AtOnce, Context, Device, PasswordCheck, PasswordEvidence, Refusal};
use myelin_storage::{Action, Epoch, Factors, Outcome, Spend, TokenDigest};
use myelin_uia::{Binding, Flows, Progress, Session, Stage};
use ruma::{
    OwnedUserId, ServerName, UserId,
    api::{client::uiaa::UserIdentifier, error::ErrorKind},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    App, NativeLogin, app_password,
    asked_device::AskedDevice,
    call::Call,
    elsewhere,
    error::Error,
    mint::{mint, release},
    texts,
    uia::{Auth, Evidence, Gate, Proved, Purpose, string},
};

pub(crate) const ENDPOINT: &str = "login";

/// The one login type whose proof is the homeserver's to check: it needs the
/// application service's own token.
const APPLICATION_SERVICE: &str = "m.login.application_service";

/// `GET /login`: the types that are let through.
pub(crate) async fn types(app: &App, call: &Call) -> Result<Response, Error> {
    let settings = app.settings();
    let mut flows = Vec::new();
    if settings.native_login != NativeLogin::Nobody {
        flows.push(json!({"type": Stage::Password.as_str()}));
    }
    // A page signs in by a token, which takes a homeserver that mints a login
    // without the password.
    if settings.has_pages {
        flows.push(json!({"type": Stage::Sso.as_str()}));
    }
    flows.push(json!({"type": Stage::Token.as_str(), "get_login_token": true}));
    flows.extend(app.homeserver().relayed_login_types(&call.context).await?);
    Ok(Json(json!({"flows": flows})).into_response())
}

/// `POST /login`
pub(crate) async fn log_in(app: &App, mut call: Call) -> Result<Response, Error> {
    let has_auth = call.body.contains_key("auth");
    let auth = Auth::take(&mut call.body)?;
    let asked = AskedDevice::read(&call.body)?;
    // Before any stage: what could not be granted costs nobody a code.
    Device::from(asked.clone()).check()?;
    let gate = Gate {
        app,
        context: &call.context,
        purpose: Purpose::Login,
        user: None,
        // The first stage is the first request's body, so a login is bound to
        // the endpoint, and its device is remembered with the session.
        binding: Binding::new(None, "POST", ENDPOINT, &[], &Map::new()),
        endpoint: ENDPOINT,
        devices: Vec::new(),
    };
    let login = Login { gate, asked };
    if has_auth { login.resume(auth).await } else { login.begin(&call).await }
}

/// One request to log in.
struct Login<'a> {
    gate: Gate<'a>,
    asked: AskedDevice,
}

impl Login<'_> {
    /// A body without `auth`: it is the first stage itself.
    async fn begin(&self, call: &Call) -> Result<Response, Error> {
        let body = &call.body;
        match string(body, "type")? {
            Some(kind) if kind == Stage::Password.as_str() => {
                let Evidence::Password(evidence) = Evidence::read(body)? else {
                    return Err(unknown_type().into());
                };
                self.password(&evidence, None, Some(texts::NEEDS_CODE)).await
            }
            Some(kind) if kind == Stage::Token.as_str() => self.token(body).await,
            Some(APPLICATION_SERVICE) => {
                let homeserver = self.gate.app.homeserver();
                Ok(homeserver.relay_login(&call.head(), body, &call.context).await?)
            }
            Some(_) => Err(unknown_type().into()),
            None => {
                let message = "`type` is missing.";
                Err(Refusal::bad_request(&ErrorKind::MissingParam, message).into())
            }
        }
    }

    /// A body with `auth`.
    async fn resume(&self, auth: Auth) -> Result<Response, Error> {
        let (id, evidence) = match auth {
            Auth::Attempt { session: None, evidence: Evidence::Password(evidence) } => {
                return self.password(&evidence, None, None).await;
            }
            Auth::Attempt { session: Some(named), evidence } => (named.id, evidence),
            Auth::Session(named) => {
                let found = self.gate.lookup(&named.id).await?;
                self.check(&found.0)?;
                return self.mint(self.gate.execute(found).await?.proved).await;
            }
            Auth::Absent | Auth::Attempt { session: None, .. } => {
                let (session, factors) = self.gate.open().await?;
                return Err(self.gate.ask(&session, factors.as_ref(), None));
            }
        };
        let (session, factors) = self.gate.lookup(&id).await?;
        self.check(&session)?;
        if let (Evidence::Password(evidence), None) = (&evidence, &session.user) {
            return self.password(evidence, Some(session), None).await;
        }
        match self.gate.attempt((session, factors), &evidence).await? {
            (Progress::Done(proof), epoch) => self.mint(Proved { proof, epoch }).await,
            (Progress::More(session), _) => Err(self.gate.ask(&session, None, None)),
        }
    }

    /// Whether the session is a login's, and for the device that is asked for.
    fn check(&self, session: &Session) -> Result<(), Error> {
        let bound = session.check(&self.gate.binding, self.gate.app.now()).is_ok();
        let same = session.memo.is_none() || self.asked.agrees_with(session.memo.as_deref());
        if bound && same { Ok(()) } else { Err(Refusal::forbidden(texts::OTHER_REQUEST).into()) }
    }

    /// The first stage. `anonymous` is a session that was opened before.
    async fn password(
        &self,
        evidence: &PasswordEvidence,
        anonymous: Option<Session>,
        error: Option<&str>,
    ) -> Result<Response, Error> {
        if anonymous.is_none()
            && let Some((user, epoch)) =
                app_password::redeem(self.gate.app, self.gate.context, evidence).await?
        {
            return self.alone(user, Stage::AppPassword, epoch).await;
        }
        let settings = self.gate.app.settings();
        settings.check_native(NativeLogin::Nobody)?;
        if let (true, None) = (self.gate.app.homeserver().checks_by_login(), &anonymous)
            && let Some(response) = self.at_once(evidence).await?
        {
            return Ok(response);
        }
        let (user, factors) = verified(self.gate.app, self.gate.context, evidence).await?;
        settings.check_policy(&user, factors.protect())?;
        if factors.protect() {
            settings.check_native(NativeLogin::WithoutSecondFactor)?;
        }
        if let Some(anonymous) = anonymous {
            self.close(anonymous).await?;
        }
        let session = self.session_of(user);
        let flows = self.gate.flows(Some(&factors), &session);
        match self.pass(session, Stage::Password, &flows)? {
            Progress::Done(proof) => self.mint(Proved { proof, epoch: factors.epoch }).await,
            Progress::More(session) => self.ask_second(session, &factors, error).await,
        }
    }

    /// Logs in with the password alone whoever is expected to need no more;
    /// none where it takes more, and no login is left behind.
    async fn at_once(&self, evidence: &PasswordEvidence) -> Result<Option<Response>, Error> {
        let app = self.gate.app;
        let homeserver = app.homeserver();
        let settings = app.settings();
        let device = Device::from(self.asked.clone());
        // A device of before would go with a login that is undone.
        if device.device_id.is_some() {
            return Ok(None);
        }
        for user in likely_users(&evidence.identifier, homeserver.server_name()) {
            let protected = app.store().lookup_factors(&user).await?.protect();
            if protected || settings.policy.requires(&user) {
                return Ok(None);
            }
        }
        app.take_password(self.gate.context)?;
        let login = match homeserver.log_in_at_once(evidence, &device, self.gate.context).await? {
            AtOnce::LoggedIn(login) => login,
            AtOnce::Wrong => return Err(Refusal::forbidden(texts::WRONG_PASSWORD).into()),
            AtOnce::Refused(refusal) => return Err(refusal.into()),
        };
        app.give_password_back(self.gate.context);
        // The login exists, and nobody has seen it: whose it is and what that
        // user has is looked at now, for what was expected may be wrong, and a
        // factor may have been confirmed meanwhile.
        let user = login.user().to_owned();
        let enough = match app.store().lookup_factors(&user).await {
            Ok(factors) => !factors.protect() && !settings.policy.requires(&user),
            Err(error) => {
                homeserver.undo(login, self.gate.context).await?;
                return Err(error.into());
            }
        };
        if !enough {
            homeserver.undo(login, self.gate.context).await?;
            return Ok(None);
        }
        let flows = Flows::new([[Stage::Password]]);
        match self.pass(self.session_of(user.clone()), Stage::Password, &flows)? {
            Progress::Done(proof) => {
                let response = release(app, login, &proof, self.gate.context).await?;
                elsewhere::logged_in(&self.gate, user, response.status()).await;
                Ok(Some(response))
            }
            Progress::More(session) => Err(self.gate.ask(&session, None, None)),
        }
    }

    /// No device and no token exist yet: keeps the session, asks for a factor.
    async fn ask_second(
        &self,
        session: Session,
        factors: &Factors,
        error: Option<&str>,
    ) -> Result<Response, Error> {
        let session = session.with_memo(Some(self.asked.to_memo()));
        let user = factors.user.clone();
        let event = self.gate.event(user, Action::PasswordPassed, self.gate.app.now());
        match self.gate.keep(&session, factors.epoch, Some(event)).await? {
            Outcome::Committed(()) => Err(self.gate.ask(&session, Some(factors), error)),
            Outcome::Stale => Err(Refusal::forbidden(texts::CHANGED).into()),
        }
    }

    /// `m.login.token`: a token that was issued after a passed flow.
    async fn token(&self, body: &Map<String, Value>) -> Result<Response, Error> {
        let Some(token) = string(body, "token")? else {
            let message = "`token` is missing.";
            return Err(Refusal::bad_request(&ErrorKind::MissingParam, message).into());
        };
        let digest = TokenDigest(Sha256::digest(token).into());
        let app = self.gate.app;
        let Some((user, epoch)) = app.store().redeem_login_token(&digest, app.now()).await? else {
            return Err(Refusal::forbidden(texts::WRONG_TOKEN).into());
        };
        // The policy may be younger than the token.
        let factors = app.store().lookup_factors(&user).await?;
        app.settings().check_policy(&user, factors.protect())?;
        self.alone(user, Stage::Token, epoch).await
    }

    /// Logs in whoever has passed a stage that is enough alone.
    async fn alone(
        &self,
        user: OwnedUserId,
        stage: Stage,
        epoch: Epoch,
    ) -> Result<Response, Error> {
        match self.pass(self.session_of(user), stage, &Flows::new([[stage]]))? {
            Progress::Done(proof) => self.mint(Proved { proof, epoch }).await,
            Progress::More(session) => Err(self.gate.ask(&session, None, None)),
        }
    }

    /// Spends an anonymous session, so that it leads to one login at most.
    async fn close(&self, anonymous: Session) -> Result<(), Error> {
        let app = self.gate.app;
        let flows = self.gate.flows(None, &anonymous);
        let admitted = anonymous
            .admit(&self.gate.binding, &flows, Stage::Password, app.now())
            .map_err(|_| Refusal::forbidden(texts::OTHER_REQUEST))?;
        match app.store().pass_stage(admitted, None, Spend::Nothing, app.now(), None).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Stale => Err(Refusal::forbidden(texts::UNKNOWN_SESSION).into()),
        }
    }

    /// A session of a user that nobody else has seen yet.
    fn session_of(&self, user: OwnedUserId) -> Session {
        let app = self.gate.app;
        let lifetime = app.settings().session_lifetime;
        Session::open(app.entropy(), Some(user), self.gate.binding, app.now(), lifetime)
    }

    /// Takes the first step in a session that is not kept yet.
    fn pass(&self, session: Session, stage: Stage, flows: &Flows) -> Result<Progress, Error> {
        let admitted = session
            .admit(&self.gate.binding, flows, stage, self.gate.app.now())
            .map_err(|_| Refusal::forbidden(texts::OUT_OF_ORDER))?;
        Ok(admitted.complete())
    }

    async fn mint(&self, proved: Proved) -> Result<Response, Error> {
        let device = match proved.proof.memo() {
            Some(memo) => AskedDevice::from_memo(memo),
            None => self.asked.clone(),
        };
        let Some(user) = proved.proof.user().map(ToOwned::to_owned) else {
            return Err(Refusal::forbidden(texts::OTHER_REQUEST).into());
        };
        let Gate { app, context, .. } = self.gate;
        let response = mint(app, proved, device.into(), context).await?;
        elsewhere::logged_in(&self.gate, user, response.status()).await;
        Ok(response)
    }
}

/// Whose password it is, and the factors of that user as they were before
/// it was checked.
pub(crate) async fn verified(
    app: &App,
    context: &Context,
    evidence: &PasswordEvidence,
) -> Result<(OwnedUserId, Factors), Error> {
    let mut factors = match likely_user(&evidence.identifier, app.homeserver().server_name()) {
        Some(user) => Some(app.store().lookup_factors(&user).await?),
        None => None,
    };
    for _ in 0..3 {
        match (app.check_password(evidence, context).await?, factors) {
            (PasswordCheck::Verified(user), Some(factors)) if factors.user == user => {
                app.homeserver().keep_password(&user, &evidence.password);
                return Ok((user, factors));
            }
            // Not who it looked like (an email address): once more, now
            // that the user is known.
            (PasswordCheck::Verified(user), _) => {
                factors = Some(app.store().lookup_factors(&user).await?);
            }
            (PasswordCheck::Wrong, _) => {
                return Err(Refusal::forbidden(texts::WRONG_PASSWORD).into());
            }
            (PasswordCheck::Refused(refusal), _) => return Err(refusal.into()),
        }
    }
    Err(Error::Contended)
}

/// Whom an identifier names, as far as its text tells.
pub(crate) fn likely_user(identifier: &UserIdentifier, server: &ServerName) -> Option<OwnedUserId> {
    named(identifier, server).and_then(|named| UserId::parse(named.to_lowercase()).ok())
}

/// All whom an identifier may name: an ID of before those were of lower case is
/// compared as it is written.
fn likely_users(
    identifier: &UserIdentifier,
    server: &ServerName,
) -> impl Iterator<Item = OwnedUserId> {
    let lower = likely_user(identifier, server);
    let as_written = named(identifier, server).and_then(|named| UserId::parse(named).ok());
    let as_written = as_written.filter(|user| lower.as_ref() != Some(user));
    lower.into_iter().chain(as_written)
}

fn named(identifier: &UserIdentifier, server: &ServerName) -> Option<String> {
    let UserIdentifier::Matrix(identifier) = identifier else { return None };
    let named = &identifier.user;
    Some(if named.starts_with('@') { named.clone() } else { format!("@{named}:{server}") })
}

fn unknown_type() -> Refusal {
    Refusal::bad_request(&ErrorKind::Unknown, "This login type is not offered here.")
}
