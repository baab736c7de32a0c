//! One change to what protects an account, cut off by the kill of its round: it
//! is done as a whole or not at all, and it is done if it was acknowledged.

use myelin_storage::{Action, Database};
use ruma::OwnedUserId;
use serde_json::{Value, json};

use super::load::{self, Job, Outcome};
use crate::support::{Account, Answer, Server};

const PASSWORD: &str = "a password from before";
const NEW_PASSWORD: &str = "a password from now on";
const TOTP: &str = "m.login.2fa.totp";
const RECOVERY: &str = "m.login.2fa.recovery";

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The first authenticator is confirmed.
    Confirm,
    /// New recovery codes replace the old.
    Regenerate,
    /// The last authenticator is removed.
    Remove,
    /// Another password, and the other devices are logged out.
    Password,
}

const KINDS: [Kind; 4] = [Kind::Confirm, Kind::Regenerate, Kind::Remove, Kind::Password];

/// A change of which one request is missing, and what is known to have come of
/// it.
#[derive(Debug)]
pub(super) struct Change {
    kind: Kind,
    account: Account,
    /// The access token of another device, where there is one.
    other: Option<String>,
    /// The last request.
    job: Job,
    /// The answer, if it was acknowledged.
    answer: Option<Answer>,
    /// Whether it is done, as the restarted server shows.
    done: bool,
}

impl Change {
    /// Makes an account and does all but the last request. Each round has
    /// another kind.
    pub(super) fn prepare(server: &Server, round: usize) -> Self {
        let kind = KINDS[round % KINDS.len()];
        let name = format!("change{round}");
        let mut account = match kind {
            Kind::Confirm => Account::pending(server, &name, PASSWORD),
            _ => Account::with_factor(server, &name, PASSWORD),
        };
        let other = (kind == Kind::Password).then(|| {
            let session = account.begin_login(server);
            let code = account.codes.pop().unwrap();
            Account::finish_login(server, &session, RECOVERY, &code).text("access_token")
        });
        let id = &account.authenticator;
        let (method, endpoint, mut body) = match kind {
            Kind::Confirm => ("POST", format!("account/two-factor/totp/{id}/confirm"), json!({})),
            Kind::Regenerate => ("POST", "account/two-factor/recovery".to_owned(), json!({})),
            Kind::Remove => ("DELETE", format!("account/two-factor/totp/{id}"), json!({})),
            Kind::Password => {
                let body = json!({"new_password": NEW_PASSWORD, "logout_devices": true});
                ("POST", "account/password".to_owned(), body)
            }
        };
        if kind == Kind::Confirm {
            body["token"] = account.code().into();
        } else {
            let session = account.up_to_factor(server, method, &endpoint, &body);
            body["auth"] = json!({"type": TOTP, "session": session, "token": account.code()});
        }
        let token = Some(account.token.clone());
        let job = Job { user: None, method, endpoint, token, body };
        Self { kind, account, other, job, answer: None, done: false }
    }

    /// The last request.
    pub(super) fn job(&self) -> Job {
        self.job.clone()
    }

    /// Notes what came of it.
    pub(super) fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Done(answer) => self.answer = Some(answer),
            Outcome::Refused => panic!("what was right is refused: {self:?}"),
            Outcome::Cut => {}
        }
    }

    /// Whether it was acknowledged.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.answer.is_some()
    }

    /// After the restart: it is done or it is not, and never lost.
    pub(super) fn check(&mut self, server: &Server) {
        self.done = self.is_done(server);
        assert!(self.done || self.answer.is_none(), "an acknowledged change is lost: {self:?}");
        if self.kind == Kind::Confirm && !self.done {
            // It is pending as before: the same code confirms it still.
            let outcome = load::send(server.address, &self.job);
            self.note(outcome);
            self.done = self.is_done(server);
            assert!(self.done, "confirmed, and nobody killed it: {self:?}");
        }
        let shown = self.answer.as_ref().and_then(|answer| answer.body.get("recovery_codes"));
        if let Some(codes) = shown {
            let codes: Vec<_> =
                codes.as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(codes.len(), 10);
            for code in [codes[0], codes[9]] {
                assert!(self.lets_in(server, code), "a code that was shown: {self:?}");
            }
        }
    }

    /// In the end: there is an entry for it in the audit log if it is done, and
    /// only then.
    pub(super) async fn hold(&self, database: &Database) {
        let action = match self.kind {
            Kind::Confirm => Action::AuthenticatorAdded,
            Kind::Regenerate => Action::RecoveryRegenerated,
            Kind::Remove => Action::AuthenticatorRemoved,
            Kind::Password => Action::PasswordChanged,
        };
        let user: OwnedUserId = format!("@{}:localhost", self.account.name).try_into().unwrap();
        let events = database.store.events(&user, 100).await.unwrap();
        let entries = events.iter().filter(|recorded| recorded.event.action == action).count();
        assert_eq!(entries, usize::from(self.done), "{self:?} {events:?}");
    }

    /// Whether it is done. Nothing may be done by half.
    fn is_done(&self, server: &Server) -> bool {
        match self.kind {
            Kind::Confirm => self.is_protected(server),
            Kind::Remove => !self.is_protected(server),
            Kind::Regenerate => {
                assert_eq!(self.factors(server), (1, 10), "a set is whole: {self:?}");
                let old = &self.account.codes;
                let [first, last] = [&old[0], &old[9]].map(|code| self.lets_in(server, code));
                assert_eq!(first, last, "some of the old codes work: {self:?}");
                !first
            }
            Kind::Password => {
                let done = self.takes_password(server, NEW_PASSWORD);
                assert_ne!(done, self.takes_password(server, PASSWORD), "one password: {self:?}");
                assert!(server.whoami(&self.account.token).is_some(), "the own device: {self:?}");
                let other = self.other.as_ref().and_then(|token| server.whoami(token));
                assert_eq!(done, other.is_none(), "the other device: {self:?}");
                done
            }
        }
    }

    /// Whether there is a second factor: an authenticator with ten codes, and
    /// a login that asks for it, or nothing of all that.
    fn is_protected(&self, server: &Server) -> bool {
        let asks = match self.first_step(server, PASSWORD).status {
            401 => true,
            200 => false,
            other => panic!("the password is refused with {other}: {self:?}"),
        };
        let expected = if asks { (1, 10) } else { (0, 0) };
        assert_eq!(self.factors(server), expected, "a half state: {self:?}");
        asks
    }

    /// How many authenticators are active, and how many codes are left.
    fn factors(&self, server: &Server) -> (usize, u64) {
        let path = "/_matrix/client/v3/account/two-factor";
        let answer = server.send("GET", path, Some(&self.account.token), &Value::Null);
        assert_eq!(answer.status, 200, "{answer:?} {self:?}");
        let providers = &answer.body["providers"];
        let listed = providers[TOTP]["authenticators"].as_array();
        let active = listed.into_iter().flatten().filter(|one| one["status"] == "active");
        (active.count(), providers[RECOVERY]["remaining"].as_u64().unwrap_or(0))
    }

    /// The first step of a login.
    fn first_step(&self, server: &Server, password: &str) -> Answer {
        let mut body = self.account.password_stage();
        body["password"] = password.into();
        server.post("login", None, &body)
    }

    /// Whether a login goes on after this password.
    fn takes_password(&self, server: &Server, password: &str) -> bool {
        match self.first_step(server, password).status {
            401 => true,
            403 => false,
            other => panic!("neither asked for a code nor refused, but {other}: {self:?}"),
        }
    }

    /// Whether a login with this recovery code succeeds.
    fn lets_in(&self, server: &Server, code: &str) -> bool {
        let session = self.first_step(server, PASSWORD).text("session");
        match Account::finish_login(server, &session, RECOVERY, code).status {
            200 => true,
            401 => false,
            other => panic!("neither in nor refused, but {other}: {self:?}"),
        }
    }
}
