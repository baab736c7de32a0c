//! What every handler can reach.

use std::{sync::Arc, time::Duration};

use myelin_ambient::{Clock, Entropy, Timestamp};
use myelin_homeserver::Homeserver;
use myelin_storage::Store;
use tokio::sync::{Mutex, Semaphore};

use crate::Settings;

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
        Self(Arc::new(Parts { homeserver, store, clock, entropy, settings, hashing, readiness }))
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

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
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
