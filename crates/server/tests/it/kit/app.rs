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
use myelin_homeserver::{
    Homeserver,
    embedded::{Embedded, EmbeddedOptions, PasswordParameters, RegistrationPolicy},
    gateway::{GatewayOptions, Generic},
    upstream::{Upstream, UpstreamOptions},
};
use myelin_server::{App, Settings, router};
use myelin_storage::{Accounts, Keyring, Quota, Store};
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
    /// The homeserver behind this instance; none if it is one itself.
    pub(crate) upstream: Option<String>,
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
            upstream: None,
        }
    }

    /// The homeserver behind the gate.
    fn homeserver(
        &self,
        accounts: Arc<dyn Accounts>,
        clock: Arc<FrozenClock>,
        entropy: Arc<SeededEntropy>,
    ) -> Arc<dyn Homeserver> {
        let server_name = SERVER_NAME.try_into().expect("a server name");
        let Some(url) = &self.upstream else {
            let mut options = EmbeddedOptions::new(server_name, accounts, clock, entropy);
            options.registration = RegistrationPolicy::Open;
            options.password_hash = self.password_hash.clone();
            options.body = self.settings.body;
            return Arc::new(Embedded::new(options));
        };
        let way = UpstreamOptions::new(url.parse().expect("a URL"));
        Arc::new(Generic::new(GatewayOptions {
            server_name,
            upstream: Upstream::new(way).expect("no roots are needed"),
            base_url: "https://matrix.example.org".to_owned(),
            clock,
            entropy,
        }))
    }
}

/// An instance.
#[derive(Clone, Debug)]
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<FrozenClock>,
    pub(crate) database: Database,
    pub(crate) plan: Plan,
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
        let homeserver = plan.homeserver(opened.accounts, clock.clone(), entropy.clone());
        let store = Arc::clone(&opened.store);
        let app = App::new(homeserver, opened.store, clock.clone(), entropy, plan.settings.clone());
        let router = router(app.clone());
        Self { app, router, store, clock, database, plan, instances }
    }

    /// A gateway before this homeserver, on the same database.
    pub(crate) async fn in_front_of(&self, upstream: &super::Upstream) -> Self {
        self.planned(|plan| plan.upstream = Some(upstream.url.clone())).await
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
