//! `myelin serve`

use std::{io, net::SocketAddr, sync::Arc};

use anyhow::Context;
use myelin_ambient::{SystemClock, SystemEntropy};
use myelin_homeserver::embedded::RegistrationPolicy;
use myelin_server::{App, Workers, serve, sweep};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use super::print;
use crate::{
    config::{Config, Homeserver, Sources, load},
    failure::Failure,
    first_start::{Made, Prepared, prepare},
    homeserver, log,
};

/// Runs the server until it is told to stop.
pub(super) async fn run(sources: &Sources) -> Result<(), Failure> {
    let config = load(sources)?;
    log::start(config.log);
    let mut signals = Signals::catch().context("cannot listen for signals")?;
    let (app, listeners) = tokio::select! {
        started = start(&config) => started?,
        // A database that does not answer must not keep it from stopping.
        () = signals.next() => return Ok(()),
    };
    let sweeper = tokio::spawn(sweep(app.clone()));
    let (stop, _) = watch::channel(false);
    let workers = Workers::start().context("cannot start the threads that answer")?;
    let mut servers = JoinSet::new();
    for listener in listeners {
        servers.spawn(serve(app.clone(), listener, workers.clone(), stopped(stop.subscribe())));
    }
    signals.next().await;
    tracing::info!("stopping: requests that are under way may finish");
    stop.send_replace(true);
    sweeper.abort();
    tokio::select! {
        ended = servers.join_all() => {
            ended.into_iter().collect::<io::Result<()>>().context("a listener failed")?;
        }
        () = signals.next() => tracing::warn!("stopped at once"),
    }
    tracing::info!("stopped");
    Ok(())
}

/// Opens everything and says so; answers nobody yet.
async fn start(config: &Config) -> Result<(App, Vec<TcpListener>), Failure> {
    let Prepared { database, made } = prepare(config, config.database.migrate).await?;
    // Rather no server than one that refuses everybody: says which key misses.
    database.store.check().await.context("the database and the key file do not fit")?;
    let listeners = bind(&config.listen).await?;
    let addresses: io::Result<Vec<_>> = listeners.iter().map(TcpListener::local_addr).collect();
    announce(config, &addresses.context("cannot read where it listens")?, &made)?;
    let homeserver = homeserver::build(config, database.accounts)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let app = App::new(homeserver, database.store, clock, entropy, config.settings.clone());
    Ok((app, listeners))
}

async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok(listeners)
}

/// Tells the person at the terminal where the server is, and at the first
/// start what to try.
fn announce(config: &Config, addresses: &[SocketAddr], made: &[Made]) -> Result<(), Failure> {
    let name = &config.server_name;
    for address in addresses {
        tracing::info!(%address, server_name = %name, "listening");
        print(format_args!("Myelin answers on http://{address} (server name {name})"))?;
    }
    let embedded = matches!(config.homeserver, Homeserver::Embedded { .. });
    let open = embedded && matches!(config.registration, RegistrationPolicy::Open);
    if open && !addresses.iter().all(|address| address.ip().to_canonical().is_loopback()) {
        tracing::warn!("anyone who reaches this server can register: registration.mode is open");
    }
    if !made.is_empty() {
        welcome(config, addresses, made, open)?;
    }
    Ok(())
}

fn welcome(
    config: &Config,
    addresses: &[SocketAddr],
    made: &[Made],
    open: bool,
) -> Result<(), Failure> {
    print("\nThis is the first start. It made:")?;
    for made in made {
        print(format_args!("  {made}"))?;
    }
    if made.iter().any(|made| matches!(made, Made::Key(_))) {
        print(
            "Keep a copy of the key file: without it nobody who has a second factor can log in.",
        )?;
    }
    if let (true, Some(address)) = (open, addresses.first()) {
        print("\nRegistration is open. Try it:")?;
        print(format_args!(
            "  curl http://{address}/_matrix/client/v3/register --json \\\n    \
             '{{\"username\":\"alice\",\"password\":\"correct horse battery\",\
             \"auth\":{{\"type\":\"m.login.dummy\"}}}}'"
        ))?;
        print("  then follow the quick start in the README, from setting up an authenticator on.")?;
    } else if matches!(config.homeserver, Homeserver::Embedded { .. }) {
        print("\nRegistration is not open to everyone: see registration.mode.")?;
    }
    print(format_args!(
        "\nEverything is kept in {}.\n\
         Authenticators' secrets and the hashes of recovery codes are encrypted in it, with {}.\n\
         Settings: myelin config init    Users: myelin user list    Stop: Ctrl-C",
        config.database.url.redacted(),
        config.key_file.display()
    ))
}

/// Resolves when the server is to stop.
async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone: then it is to stop as well.
    drop(stop.wait_for(|stop| *stop).await);
}

/// The signals that stop a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
