//! One instance of the server on a database, under a frozen clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use myelin_ambient::{Clock, FrozenClock, SeededEntropy, SystemEntropy, Timestamp};
use myelin_homeserver::embedded::{
    Embedded, EmbeddedOptions, PasswordParameters, RegistrationPolicy,
};
use myelin_server::{App, Settings, router};
use myelin_storage::{Keyring, Quota, Store};
use myelin_testing::NOW;

use super::{Client, Database, Kind, User};

/// The name of the server under test.
pub(crate) const SERVER_NAME: &str = "example.org";

/// What stays when an instance ends: what another one is started with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) keyring: Keyring,
    pub(crate) settings: Settings,
    pub(crate) quota: Quota,
    pub(crate) password_hash: PasswordParameters,
    pub(crate) connections: u32,
}

impl Plan {
    fn new() -> Self {
        Self {
            keyring: Keyring::generate(&SystemEntropy),
            settings: Settings::new("Example"),
            quota: Quota::default(),
            // The least that RFC 9106 allows: these tests are not about argon2.
            password_hash: PasswordParameters::new(8, 1, 1).expect("valid costs"),
            connections: 8,
        }
    }
}

/// An instance.
#[derive(Clone, Debug)]
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<FrozenClock>,
    pub(crate) database: Database,
    plan: Plan,
    instances: Arc<AtomicU64>,
}

impl TestApp {
    /// An instance on a new database; none where there is no such database.
    pub(crate) async fn init(kind: Kind) -> Option<Self> {
        Some(Self::on(Database::fresh(kind).await?).await)
    }

    /// An instance on this database.
    pub(crate) async fn on(database: Database) -> Self {
        let clock = Arc::new(FrozenClock::at(NOW));
        Self::start(database, clock, Plan::new(), Arc::default()).await
    }

    async fn start(
        database: Database,
        clock: Arc<FrozenClock>,
        plan: Plan,
        instances: Arc<AtomicU64>,
    ) -> Self {
        let opened = database.open(&plan.keyring, plan.quota, plan.connections).await;
        let opened = opened.expect("the database opens");
        // No two instances ever draw the same session.
        let seed = instances.fetch_add(1, Ordering::SeqCst);
        let entropy = Arc::new(SeededEntropy::new(seed));
        let name = SERVER_NAME.try_into().expect("a server name");
        let mut options =
            EmbeddedOptions::new(name, opened.accounts, clock.clone(), entropy.clone());
        options.registration = RegistrationPolicy::Open;
        options.password_hash = plan.password_hash.clone();
        options.body = plan.settings.body;
        let homeserver = Arc::new(Embedded::new(options));
        let store = Arc::clone(&opened.store);
        let app = App::new(homeserver, opened.store, clock.clone(), entropy, plan.settings.clone());
        Self { router: router(app), store, clock, database, plan, instances }
    }

    /// Another instance on the same database, with connections of its own.
    pub(crate) async fn second_instance(&self) -> Self {
        self.planned(|_| {}).await
    }

    /// Another instance on the same database, planned otherwise.
    pub(crate) async fn planned(&self, change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = self.plan.clone();
        change(&mut plan);
        let (database, clock) = (self.database.clone(), Arc::clone(&self.clock));
        Self::start(database, clock, plan, Arc::clone(&self.instances)).await
    }

    /// Registers a user.
    pub(crate) async fn with_user(self, name: &str) -> (Self, Client, User) {
        let user = User::register(&self, name).await;
        let anonymous = self.anonymous();
        (self, anonymous, user)
    }

    /// Registers a user who has a second factor and two recovery codes.
    pub(crate) async fn with_protected_user(self, name: &str) -> (Self, Client, User) {
        let (app, anonymous, user) = self.with_user(name).await;
        (app, anonymous, user.protected(2).await)
    }

    /// A client without a token.
    pub(crate) fn anonymous(&self) -> Client {
        Client::anonymous(self.router.clone())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Moves on by whole steps of 30 seconds.
    pub(crate) fn advance_steps(&self, steps: u32) {
        self.clock.advance(Duration::from_secs(30) * steps);
    }
}
