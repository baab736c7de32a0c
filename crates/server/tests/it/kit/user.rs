//! A registered user and what that user can do.

use data_encoding::BASE32_NOPAD;
use myelin_storage::{Factors, RecordedEvent};
use myelin_testing::SeededUser;
use myelin_two_factor::{AuthenticatorId, RecoveryCode, Step, TotpSecret};
use ruma::OwnedUserId;
use serde_json::{Value, json};

use super::{Client, Operation, Reply, TestApp};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "a quiet horse eats hay";

/// A user with a device; with a second factor after [`User::protected`].
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) app: TestApp,
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) id: OwnedUserId,
    pub(crate) device: String,
    factor: Option<SeededUser>,
}

impl User {
    /// Registers over HTTP.
    pub(crate) async fn register(app: &TestApp, name: &str) -> Self {
        let body =
            json!({"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}});
        let client = app.anonymous();
        let reply = client.post("register", &body).await.is(200);
        Self {
            app: app.clone(),
            client: client.with_token(reply.string("access_token")),
            name: name.to_owned(),
            id: reply.string("user_id").try_into().expect("a user ID"),
            device: reply.string("device_id"),
            factor: None,
        }
    }

    /// Gives the user an authenticator and this many recovery codes, through
    /// the store. No current code is spent.
    pub(crate) async fn protected(mut self, recovery_codes: usize) -> Self {
        let store = &*self.app.store;
        let now = self.app.now();
        let factor = myelin_testing::fixture::enrol(store, &self.id, recovery_codes, now).await;
        self.factor = Some(factor);
        self
    }

    /// Sets an authenticator up over HTTP, as a person would. The code of now
    /// is spent by it.
    pub(crate) async fn set_up(mut self) -> Self {
        let begun = self.prove_by_password(&Operation::begin("Phone")).await.is(200);
        self.factor = Some(shown(&self, &begun));
        let confirmed = self.confirm(&begun.string("id"), &self.code()).await.is(200);
        let codes = confirmed.strings("recovery_codes");
        let codes = codes.iter().map(|code| RecoveryCode::parse(code).expect("a recovery code"));
        let codes = codes.collect();
        self.factor = self.factor.map(|factor| SeededUser { codes, ..factor });
        self
    }

    /// Takes what a begun set-up has shown for the user's authenticator.
    pub(crate) fn holding(mut self, begun: &Reply) -> Self {
        self.factor = Some(shown(&self, begun));
        self
    }

    /// Confirms a pending authenticator.
    pub(crate) async fn confirm(&self, id: &str, code: &str) -> Reply {
        let path = format!("account/two-factor/totp/{id}/confirm");
        self.client.post(&path, &json!({"token": code})).await
    }

    pub(crate) fn factor(&self) -> &SeededUser {
        self.factor.as_ref().expect("this user has an authenticator")
    }

    /// The same user, met at another instance.
    pub(crate) fn over(self, app: &TestApp) -> Self {
        Self { app: app.clone(), client: self.client.over(app.router.clone()), ..self }
    }

    /// The code that the app shows now.
    pub(crate) fn code(&self) -> String {
        self.code_in(0)
    }

    /// The code that the app shows some steps from now.
    pub(crate) fn code_in(&self, steps: i64) -> String {
        let Step(now) = myelin_testing::fixture::step_at(self.app.now());
        let step = Step(now.checked_add_signed(steps).expect("a step after the epoch"));
        self.factor().code(step).expose().to_owned()
    }

    /// A code that is nobody's for a while around now.
    pub(crate) fn wrong_code(&self) -> String {
        let near: Vec<_> = (-3..=3).map(|steps| self.code_in(steps)).collect();
        let mut codes = (0..).map(|number| format!("{number:06}"));
        codes.find(|code| !near.contains(code)).expect("there are more codes than steps")
    }

    /// One of the seeded recovery codes.
    pub(crate) fn recovery_code(&self, index: usize) -> String {
        self.factor().codes[index].to_text().to_string()
    }

    /// The auth dict of the first stage, without a session.
    pub(crate) fn password_stage(&self) -> Value {
        self.password_stage_with(PASSWORD)
    }

    pub(crate) fn password_stage_with(&self, password: &str) -> Value {
        let identifier = json!({"type": "m.id.user", "user": self.name});
        json!({"type": "m.login.password", "identifier": identifier, "password": password})
    }

    /// A login that has passed the password: its session.
    pub(crate) async fn start_login(&self) -> String {
        let reply = self.app.anonymous().post("login", &self.password_stage()).await;
        reply.refuses(401, "M_FORBIDDEN").session()
    }

    /// Sends a code to a login.
    pub(crate) async fn finish_login(&self, session: &str, code: &str) -> Reply {
        self.app.anonymous().post("login", &json!({"auth": totp(session, code)})).await
    }

    /// Sends a recovery code to a login.
    pub(crate) async fn recover_login(&self, session: &str, code: &str) -> Reply {
        self.app.anonymous().post("login", &json!({"auth": recovery(session, code)})).await
    }

    /// A whole login: password, then this code.
    pub(crate) async fn log_in(&self, code: &str) -> Reply {
        let session = self.start_login().await;
        self.finish_login(&session, code).await
    }

    /// A whole login: password, then this recovery code.
    pub(crate) async fn log_in_by_recovery(&self, code: &str) -> Reply {
        let session = self.start_login().await;
        self.recover_login(&session, code).await
    }

    /// Sends an operation with this `auth`.
    pub(crate) async fn attempt(&self, operation: &Operation, auth: &Value) -> Reply {
        let body = operation.with_auth(auth);
        self.client.call(operation.method, &operation.path, &body).await
    }

    /// Asks for a challenge: its session.
    pub(crate) async fn start(&self, operation: &Operation) -> String {
        self.attempt(operation, &json!({})).await.challenges(&[]).session()
    }

    /// Sends the password to an operation.
    pub(crate) async fn confirm_password(&self, operation: &Operation, session: &str) -> Reply {
        let mut auth = self.password_stage();
        auth["session"] = session.into();
        self.attempt(operation, &auth).await
    }

    /// An operation that has passed the password: its session.
    pub(crate) async fn start_confirmed(&self, operation: &Operation) -> String {
        let session = self.start(operation).await;
        let reply = self.confirm_password(operation, &session).await;
        reply.challenges(&["m.login.password"]);
        session
    }

    /// Sends a code to an operation.
    pub(crate) async fn finish(&self, operation: &Operation, session: &str, code: &str) -> Reply {
        self.attempt(operation, &totp(session, code)).await
    }

    /// A whole operation with a second factor: password, then this code.
    pub(crate) async fn prove(&self, operation: &Operation, code: &str) -> Reply {
        let session = self.start_confirmed(operation).await;
        self.finish(operation, &session, code).await
    }

    /// A whole operation with a recovery code.
    pub(crate) async fn prove_by_recovery(&self, operation: &Operation, code: &str) -> Reply {
        let session = self.start_confirmed(operation).await;
        self.attempt(operation, &recovery(&session, code)).await
    }

    /// A whole operation with the password alone.
    pub(crate) async fn prove_by_password(&self, operation: &Operation) -> Reply {
        let session = self.start(operation).await;
        self.confirm_password(operation, &session).await
    }

    /// What the store holds about the user's factors.
    pub(crate) async fn factors(&self) -> Factors {
        self.app.store.lookup_factors(&self.id).await.expect("the store answers")
    }

    /// The failures in a row that are counted: codes, recovery codes.
    pub(crate) async fn failures(&self) -> (u32, u32) {
        let factors = self.factors().await;
        (factors.totp.in_a_row, factors.recovery.in_a_row)
    }

    /// The audit log about the user, oldest first.
    pub(crate) async fn events(&self) -> Vec<RecordedEvent> {
        let mut events = self.app.store.events(&self.id, 10_000).await.expect("the store answers");
        events.reverse();
        events
    }

    /// The names of what the audit log says was done, oldest first.
    pub(crate) async fn actions(&self) -> Vec<&'static str> {
        self.events().await.iter().map(|recorded| recorded.event.action.as_str()).collect()
    }
}

/// What an authenticator app keeps of a begun set-up.
fn shown(user: &User, begun: &Reply) -> SeededUser {
    let secret = BASE32_NOPAD.decode(begun.string("secret").as_bytes()).expect("base32");
    SeededUser {
        user: user.id.clone(),
        authenticator: AuthenticatorId::parse(&begun.string("id")).expect("an id"),
        secret: TotpSecret::from_bytes(secret.try_into().expect("160 bits")),
        codes: Vec::new(),
        sessions: Vec::new(),
    }
}

/// The auth dict of a code.
pub(crate) fn totp(session: &str, code: &str) -> Value {
    json!({"type": "m.login.2fa.totp", "session": session, "token": code})
}

/// The auth dict of a recovery code.
pub(crate) fn recovery(session: &str, code: &str) -> Value {
    json!({"type": "m.login.2fa.recovery", "session": session, "token": code})
}
