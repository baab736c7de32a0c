//! What every handler can reach.

use std::{sync::Arc, time::Duration};

use data_encoding::HEXLOWER;
use myelin_ambient::{Clock, Entropy, SeededEntropy, Timestamp};
use myelin_homeserver::{Context, Homeserver, PasswordCheck, PasswordEvidence, Refusal};
use myelin_storage::Store;
use tokio::sync::{Mutex, Semaphore};

use crate::{Settings, SignOn, error::Error, routes::Switch, wrong_passwords::WrongPasswords};

/// The server's parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    homeserver: Arc<dyn Homeserver>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    hashing: Arc<Semaphore>,
    readiness: Mutex<Option<(Timestamp, bool)>>,
    wrong_passwords: WrongPasswords,
    request_ids: SeededEntropy,
}

/// How long an answer to `/ready` holds: the check writes, and anybody may ask.
const READINESS_HOLDS: Duration = Duration::from_secs(1);

impl App {
    /// Joins the parts.
    pub fn new(
        homeserver: Arc<dyn Homeserver>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
    ) -> Self {
        // As many recovery codes are hashed at once as there are processors:
        // more would only take memory.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let hashing = Arc::new(Semaphore::new(processors));
        let readiness = Mutex::new(None);
        let wrong_passwords = WrongPasswords::new(settings.wrong_passwords_per_minute);
        let request_ids = SeededEntropy::new(u64::from_be_bytes(entropy.bytes()));
        Self(Arc::new(Parts {
            homeserver,
            store,
            clock,
            entropy,
            settings,
            hashing,
            readiness,
            wrong_passwords,
            request_ids,
        }))
    }

    /// The homeserver behind the gate.
    pub fn homeserver(&self) -> &dyn Homeserver {
        &*self.0.homeserver
    }

    /// Where sessions and factors are kept.
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The source of randomness.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.0.entropy
    }

    /// A name for a request. It is no secret.
    pub(crate) fn request_id(&self) -> String {
        let ids: &dyn Entropy = &self.0.request_ids;
        HEXLOWER.encode(&ids.bytes::<8>())
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Whether the homeserver's single sign-on is offered.
    pub(crate) fn signs_on(&self) -> bool {
        self.settings().has_pages && self.settings().sign_on != SignOn::Refused
    }

    /// Whether the administrator lets this through.
    pub(crate) fn opens(&self, switch: Switch) -> bool {
        match switch {
            Switch::SignOn => self.signs_on(),
            Switch::Admin | Switch::QrLogin => self.settings().passed.contains(&switch),
        }
    }

    /// Checks a password: at the homeserver, and within what the client's
    /// address may try.
    pub(crate) async fn check_password(
        &self,
        PasswordEvidence { identifier, password }: &PasswordEvidence,
        context: &Context,
    ) -> Result<PasswordCheck, Error> {
        self.take_password(context)?;
        let check = self.homeserver().check_password(identifier, password, context).await?;
        if let PasswordCheck::Verified(_) = check {
            self.give_password_back(context);
        }
        Ok(check)
    }

    /// Counts a password as wrong before it is known to be.
    pub(crate) fn take_password(&self, context: &Context) -> Result<(), Refusal> {
        self.0.wrong_passwords.take(context.address, self.now())
    }

    /// It was right.
    pub(crate) fn give_password_back(&self, context: &Context) {
        self.0.wrong_passwords.give_back(context.address, self.now());
    }

    /// Whether anyone can be let in, as `check` says now or said a moment ago.
    pub(crate) async fn readiness(&self, check: impl Future<Output = bool>) -> bool {
        let now = self.now();
        let mut readiness = self.0.readiness.lock().await;
        match *readiness {
            Some((at, ready)) if at <= now && now < at + READINESS_HOLDS => ready,
            _ => {
                let ready = check.await;
                *readiness = Some((now, ready));
                ready
            }
        }
    }

    /// Runs a slow hash away from the threads that answer requests.
    ///
    /// # Panics
    ///
    /// When `hash` does.
    pub(crate) async fn hash<T: Send + 'static>(
        &self,
        hash: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let turn = Arc::clone(&self.0.hashing).acquire_owned().await;
        let turn = turn.expect("invariant: the semaphore is never closed");
        let work = move || {
            // Held by the work, not by who waits for it: a client that hangs
            // up does not free the memory.
            let _turn = turn;
            hash()
        };
        tokio::task::spawn_blocking(work).await.expect("invariant: hashing does not panic")
    }
}
