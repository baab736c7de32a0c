//! An account with a second factor, made over HTTP as its owner would.

use data_encoding::BASE32_NOPAD;
use myelin_ambient::{Clock as _, SystemClock};
use myelin_two_factor::{Step, TotpParameters, TotpSecret, TotpToken};
use serde_json::{Value, json};

use super::{Answer, Server};

/// An account and everything that its owner knows.
#[derive(Debug)]
pub(crate) struct Account {
    /// The local part.
    pub(crate) name: String,
    /// The password.
    pub(crate) password: String,
    /// An access token.
    pub(crate) token: String,
    /// The authenticator's ID.
    pub(crate) authenticator: String,
    /// Its secret, as base32.
    pub(crate) secret: String,
    /// The code that confirmed it.
    pub(crate) first_code: String,
    /// Recovery codes that were not used yet; the next one is the last.
    pub(crate) codes: Vec<String>,
    /// The step of the last code that was made.
    last_step: Step,
    /// The names of all sessions so far.
    pub(crate) sessions: Vec<String>,
}

impl Account {
    /// Registers and sets up an authenticator.
    pub(crate) fn with_factor(server: &Server, name: &str, password: &str) -> Self {
        let mut account = Self::pending(server, name, password);
        let path = format!("account/two-factor/totp/{}/confirm", account.authenticator);
        account.first_code = account.code();
        let body = json!({"token": account.first_code});
        let confirmed = server.post(&path, Some(&account.token), &body);
        assert_eq!(confirmed.status, 200, "{confirmed:?}");
        account.keep_codes(&confirmed);
        account
    }

    /// Registers and begins to set up an authenticator.
    pub(crate) fn pending(server: &Server, name: &str, password: &str) -> Self {
        let token = server.register(name, password);
        let mut account = Self {
            name: name.to_owned(),
            password: password.to_owned(),
            token,
            authenticator: String::new(),
            secret: String::new(),
            first_code: String::new(),
            codes: Vec::new(),
            last_step: Step(0),
            sessions: Vec::new(),
        };
        let begun = account.with_password(server, "account/two-factor/totp", &json!({}));
        assert_eq!(begun.status, 200, "{begun:?}");
        account.authenticator = begun.text("id");
        account.secret = begun.text("secret");
        account
    }

    /// Keeps the recovery codes of an answer.
    pub(crate) fn keep_codes(&mut self, answer: &Answer) {
        let codes = answer.body["recovery_codes"].as_array().expect("there are codes");
        self.codes = codes.iter().map(|code| code.as_str().expect("a text").to_owned()).collect();
    }

    /// A code that was not made before: the first and the second are accepted,
    /// also if a step ends meanwhile.
    pub(crate) fn code(&mut self) -> String {
        self.last_step = step_now().max(Step(self.last_step.0 + 1));
        let bytes = BASE32_NOPAD.decode(self.secret.as_bytes()).expect("the secret is base32");
        let secret = TotpSecret::from_bytes(bytes.try_into().expect("160 bits"));
        TotpToken::generate(&secret, self.last_step, &TotpParameters::default()).expose().to_owned()
    }

    /// The password stage for this account.
    pub(crate) fn password_stage(&self) -> Value {
        json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.name},
            "password": self.password,
        })
    }

    /// The first step of a login; the session, which waits for the code.
    pub(crate) fn begin_login(&mut self, server: &Server) -> String {
        let mut body = self.password_stage();
        body["refresh_token"] = true.into();
        let answer = server.post("login", None, &body);
        assert_eq!(answer.status, 401, "{answer:?}");
        self.session_of(&answer)
    }

    /// The second step.
    pub(crate) fn finish_login(server: &Server, session: &str, stage: &str, code: &str) -> Answer {
        let auth = json!({"type": stage, "session": session, "token": code});
        server.post("login", None, &json!({"auth": auth}))
    }

    /// A request that needs the password alone.
    pub(crate) fn with_password(&mut self, server: &Server, path: &str, body: &Value) -> Answer {
        let challenge = server.post(path, Some(&self.token), body);
        assert_eq!(challenge.status, 401, "{challenge:?}");
        let session = self.session_of(&challenge);
        let mut auth = self.password_stage();
        auth["session"] = session.into();
        server.post(path, Some(&self.token), &with_auth(body, auth))
    }

    /// A request that needs the password and a recovery code.
    pub(crate) fn with_recovery(
        &mut self,
        server: &Server,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let session = self.up_to_factor(server, method, path, body);
        let path = format!("/_matrix/client/v3/{path}");
        let code = self.codes.pop().expect("there are codes left");
        let auth = json!({"type": "m.login.2fa.recovery", "session": session, "token": code});
        server.send(method, &path, Some(&self.token), &with_auth(body, auth))
    }

    /// The same request without the second factor; the session, which waits
    /// for it.
    pub(crate) fn up_to_factor(
        &mut self,
        server: &Server,
        method: &str,
        path: &str,
        body: &Value,
    ) -> String {
        let path = format!("/_matrix/client/v3/{path}");
        let challenge = server.send(method, &path, Some(&self.token), body);
        assert_eq!(challenge.status, 401, "{challenge:?}");
        let session = self.session_of(&challenge);
        let mut auth = self.password_stage();
        auth["session"] = session.clone().into();
        let more = server.send(method, &path, Some(&self.token), &with_auth(body, auth));
        assert_eq!(more.status, 401, "{more:?}");
        session
    }

    fn session_of(&mut self, answer: &Answer) -> String {
        let session = answer.text("session");
        self.sessions.push(session.clone());
        session
    }
}

fn with_auth(body: &Value, auth: Value) -> Value {
    let mut body = body.clone();
    body["auth"] = auth;
    body
}

fn step_now() -> Step {
    TotpParameters::default().step_at(SystemClock.now())
}
