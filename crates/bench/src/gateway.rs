//! What passes through, beside nginx in front of the same upstream.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::{
    Options,
    load::{Passed, pass},
    nginx::Nginx,
    server::Server,
    transfer::{self, GIBIBYTE, Transfer},
};

/// How many connections ask at once.
const CONNECTIONS: [usize; 3] = [1, 16, 128];

/// How long each measurement takes.
const TIME: Duration = Duration::from_secs(3);

/// A small answer, of 1 KiB.
fn body() -> String {
    format!(r#"{{"next_batch":"{}"}}"#, "s".repeat(1006))
}

pub(crate) async fn measure(binary: &Path, options: &Options) -> Result<()> {
    println!(
        "\nPassed through (1 KiB answers), and 99 of 100 answered within\n  connections  \
         upstream alone          nginx                   Myelin                  Myelin/nginx"
    );
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let upstream = Nginx::answering(directory.path(), &body()).await?;
    let nginx = Nginx::proxy(directory.path(), upstream.address).await?;
    let mut server =
        Server::new(binary, &directory.path().join("myelin"), None).before(upstream.address);
    server.start().await?;
    for connections in CONNECTIONS {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            let alone = pass(upstream.address, connections, TIME).await?;
            let peer = pass(nginx.address, connections, TIME).await?;
            rounds.push([alone, peer, pass(server.address(), connections, TIME).await?]);
        }
        print_row(connections, rounds);
    }
    drop((server, nginx, upstream));
    transfers(binary, directory.path()).await
}

async fn transfers(binary: &Path, directory: &Path) -> Result<()> {
    println!("\n1 GiB through          nginx     Myelin    Myelin's memory at most");
    let upstream = transfer::upstream().await?;
    let nginx = Nginx::proxy(directory, upstream).await?;
    for (name, transfer) in [("download", Transfer::Download), ("upload", Transfer::Upload)] {
        // A new process each, because the memory is read at its highest.
        let mut server = Server::new(binary, &directory.join("myelin"), None).before(upstream);
        server.start().await?;
        let peer = transfer.run(nginx.address, GIBIBYTE).await?;
        let ours = transfer.run(server.address(), GIBIBYTE).await?;
        let [peer, ours] = [peer, ours].map(|took| took.as_secs_f64());
        println!("  {name:<16}  {peer:>7.2} s  {ours:>7.2} s  {}", server.highest());
    }
    Ok(())
}

fn print_row(connections: usize, mut rounds: Vec<[Passed; 3]>) {
    let ratio = |[_, peer, ours]: &[Passed; 3]| ours.rate / peer.rate;
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let median = &rounds[rounds.len() / 2];
    let figures = median.map(|Passed { rate, late }| {
        format!("{rate:>8.0}/s {:>8.2} ms  ", late.as_secs_f64() * 1e3)
    });
    println!(
        "  {connections:>11}  {}  {:.2}  ({:.2} to {:.2})",
        figures.concat(),
        ratio(median),
        ratio(&rounds[0]),
        ratio(&rounds[rounds.len() - 1]),
    );
}
