//! People with a device, an authenticator and a session that waits for a code,
//! written straight into the database.

use anyhow::{Context, Result};
use myelin_ambient::{Clock, Entropy, SystemClock, SystemEntropy, Timestamp};
use myelin_storage::{Action, Database, DeviceLogin, Event, NewAccount, NewTokens, TokenDigest};
use myelin_testing::{SeededUser, fixture};
use myelin_uia::{Binding, DEFAULT_LIFETIME, Kept, Session, Stage};
use ruma::OwnedUserId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

/// How many sessions one person opens: as many as one address may have.
pub(crate) const SESSIONS_EACH: usize = 32;
/// How many people are written at once.
const WRITERS: usize = 64;
const ENDPOINT: &str = "delete_devices";

/// Someone who has passed the password for an operation that costs no commit
/// of its own: what is measured is the stage.
#[derive(Debug)]
pub(crate) struct Person {
    token: String,
    waiting: Option<Waiting>,
}

/// An authenticator, and a session that waits for a code of it.
#[derive(Debug)]
struct Waiting {
    user: SeededUser,
    session: String,
}

impl Person {
    /// The request that completes the second stage now; none without one.
    pub(crate) fn completion(&self) -> Option<String> {
        let Waiting { user, session } = self.waiting.as_ref()?;
        let code = user.code(fixture::step_at(SystemClock.now()));
        let stage = Stage::Totp.as_str();
        let auth = json!({"type": stage, "session": session, "token": code.expose()});
        Some(self.request(&json!({"devices": [], "auth": auth})))
    }

    /// The user, the authenticator and the digest of the session, as their rows
    /// are found; none without a session.
    pub(crate) fn rows(&self) -> Option<(&str, &str, [u8; 32])> {
        let Waiting { user, session } = self.waiting.as_ref()?;
        let digest = Sha256::digest(session).into();
        Some((user.user.as_str(), user.authenticator.as_str(), digest))
    }

    /// The request that opens a session.
    pub(crate) fn challenge(&self) -> String {
        self.request(&body())
    }

    fn request(&self, body: &Value) -> String {
        let (token, body) = (&self.token, body.to_string());
        format!(
            "POST /_matrix/client/v3/{ENDPOINT} HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len(),
        )
    }
}

/// People with a device, an authenticator, and a session.
pub(crate) async fn people(database: &Database, count: usize) -> Result<Vec<Person>> {
    many(database, count, true).await
}

/// People with a device only.
pub(crate) async fn devices(database: &Database, count: usize) -> Result<Vec<Person>> {
    many(database, count, false).await
}

async fn many(database: &Database, count: usize, enrolled: bool) -> Result<Vec<Person>> {
    let mut people = Vec::with_capacity(count);
    let mut writers: JoinSet<Result<Person>> = JoinSet::new();
    for _ in 0..count {
        if writers.len() == WRITERS {
            people.push(writers.join_next().await.context("no writer")???);
        }
        let database = database.clone();
        writers.spawn(async move { person(&database, enrolled).await });
    }
    while let Some(person) = writers.join_next().await {
        people.push(person??);
    }
    Ok(people)
}

async fn person(database: &Database, enrolled: bool) -> Result<Person> {
    let now = SystemClock.now();
    let (user, token) = device(database, now).await?;
    if !enrolled {
        return Ok(Person { token, waiting: None });
    }
    let user = fixture::enrol(&*database.store, &user, 0, now).await;
    let session = waiting(database, &user.user, now).await;
    Ok(Person { token, waiting: Some(Waiting { user, session }) })
}

async fn device(database: &Database, now: Timestamp) -> Result<(OwnedUserId, String)> {
    let random: u64 = u64::from_be_bytes((&SystemEntropy as &dyn Entropy).bytes());
    let user: OwnedUserId = format!("@bench{random:x}:localhost").try_into()?;
    let token = format!("mya_bench{random:x}");
    let access = TokenDigest(Sha256::digest(&token).into());
    let tokens = NewTokens { access, access_expires: None, refresh: None };
    let device_id = "BENCH".into();
    let login = Some(DeviceLogin { device_id, display_name: None, tokens });
    let account = NewAccount { user: user.clone(), password_hash: String::new(), login };
    let event: Event = fixture::event(&user, Action::Registered, now);
    database.accounts.create(&account, now, event).await?;
    Ok((user, token))
}

/// A session that has passed the password.
async fn waiting(database: &Database, user: &OwnedUserId, now: Timestamp) -> String {
    let body = body().as_object().cloned().unwrap_or_default();
    let binding = Binding::new(Some(user), "POST", ENDPOINT, &[], &body);
    let session = Session::open(&SystemEntropy, Some(user.clone()), binding, now, DEFAULT_LIFETIME);
    let completed = vec![Stage::Password];
    let session = Session::restore(Kept { completed, ..session.into_kept() });
    let origin = fixture::origin(fixture::ADDRESS);
    fixture::keep(&*database.store, &session, &origin, now).await;
    session.id.as_str().to_owned()
}

fn body() -> Value {
    json!({"devices": []})
}
