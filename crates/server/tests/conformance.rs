//! The conformance suite against this server, on every database.

use std::{path::Path, sync::Arc};

use myelin_ambient::{SystemClock, SystemEntropy};
use myelin_homeserver::embedded::{
    Embedded, EmbeddedOptions, PasswordParameters, RegistrationPolicy,
};
use myelin_server::{App, Settings, Workers, serve};
use myelin_storage::{Database, FixedKeySource, Keyring, OpenOptions, Quota, open};
use myelin_testing::Postgres;
use spec_tests::{Format, KnownFailures, Options};
use tokio::{net::TcpListener, sync::oneshot, task::spawn_blocking};

#[tokio::test(flavor = "multi_thread")]
async fn the_server_conforms_on_sqlite() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("myelin.db");
    conforms(format!("sqlite:{}", file.display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_conforms_on_postgres() {
    if let Some(postgres) = Postgres::shared() {
        conforms(postgres.fresh_database().await).await;
    }
}

async fn conforms(url: String) {
    let keyring = Keyring::generate(&SystemEntropy);
    let options = OpenOptions {
        url,
        connections: 8,
        migrate: true,
        keys: Arc::new(FixedKeySource(keyring)),
        entropy: Arc::new(SystemEntropy),
        limits: Quota::default(),
    };
    let app = app(open(&options).await.expect("the database opens"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let target = format!("http://{}", listener.local_addr().expect("an address"));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(app, listener, Workers::here(), async {
        let _ = stopped.await;
    }));

    let report = spawn_blocking(move || {
        let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec-tests/known-failures");
        let known = std::fs::read_to_string(known).expect("the known failures");
        let mut options = Options::new(target);
        options.known_failures = KnownFailures::parse(&known).expect("a list");
        spec_tests::run(&options).expect("the suite runs")
    });
    let report = report.await.expect("no panic");
    assert!(report.is_success(), "{}", Format::Text.render(&report));

    stop.send(()).expect("the server runs");
    server.await.expect("no panic").expect("it ends well");
}

fn app(database: Database) -> App {
    let name = "example.org".try_into().expect("a server name");
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let mut options = EmbeddedOptions::new(name, database.accounts, clock.clone(), entropy.clone());
    options.registration = RegistrationPolicy::Open;
    // The least that RFC 9106 allows: this is not about argon2.
    options.password_hash = PasswordParameters::new(8, 1, 1).expect("valid costs");
    let homeserver = Arc::new(Embedded::new(options));
    let settings = Settings { has_pages: true, ..Settings::new("Example") };
    App::new(homeserver, database.store, clock, entropy, settings)
}
