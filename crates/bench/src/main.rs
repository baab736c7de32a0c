//! Measures the server from outside, beside what its database can do.
//!
//! `cargo run --release -p myelin-bench` builds `myelin`, starts it on SQLite
//! and on a throw-away PostgreSQL, and prints: second-factor stage completions
//! per second over HTTP with 1, 8 and 64 clients, next to the commits of a
//! single SQLite writer (of the same changes, and of one number) and to `pgbench -N` in the same run; the resident
//! memory idle and after many open sessions; and what passes through to a
//! homeserver, next to nginx in front of the same upstream. Compare the ratios: absolute
//! times depend on the machine.

mod gateway;
mod load;
mod nginx;
mod peers;
mod seed;
mod server;
mod transfer;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use myelin_testing::Postgres;

use crate::{
    load::{Figure, complete_stages, open_sessions},
    seed::{Person, people},
    server::Server,
};

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Stages and memory on SQLite.
    Sqlite,
    /// Stages and memory on PostgreSQL.
    Postgres,
    /// What passes through to a homeserver.
    Gateway,
}

/// Measures the server from outside, beside what its database can do.
///
/// Example: `cargo run --release -p myelin-bench -- --stages 4000`
#[derive(Debug, Parser)]
struct Options {
    /// Stage completions per measurement with 64 clients; fewer with less.
    #[arg(long, default_value_t = 16_000)]
    stages: usize,
    /// Open sessions after which the memory is read.
    #[arg(long, default_value_t = 100_000)]
    sessions: usize,
    /// How often each measurement is taken; the median is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many clients send at once, in each measurement.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    clients: Vec<usize>,
    /// Measure this only.
    #[arg(long)]
    only: Option<Part>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> Result<()> {
    let binary = server::build().await?;
    let measured = |part| options.only.is_none_or(|only| only == part);
    if measured(Part::Sqlite) {
        sqlite(&binary, options).await?;
    }
    if measured(Part::Postgres) {
        match Postgres::shared() {
            Some(cluster) => postgres(&binary, cluster, options).await?,
            None => println!("\nPostgreSQL: not measured, because there is none here"),
        }
    }
    if measured(Part::Gateway) {
        match std::process::Command::new("nginx").arg("-v").output() {
            Ok(_) => gateway::measure(&binary, options).await?,
            Err(_) => println!("\nPassed through: not measured, because there is no nginx here"),
        }
    }
    Ok(())
}

async fn sqlite(binary: &std::path::Path, options: &Options) -> Result<()> {
    println!(
        "SQLite\n  clients  stages/s  a single writer's commits/s  ratio                  server µs/stage  the writer commits"
    );
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let mut server = Server::new(binary, directory.path(), None);
    for &clients in &options.clients {
        let (mut same, mut number) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let alone = prepare(&mut server, options.stages / 2).await?;
            let people = prepare(&mut server, amount(options, clients)).await?;
            let least = peers::single_writer(directory.path())?;
            let peer = peers::single_writer_of_stages(&server.file(), &alone)?;
            let ours = complete_stages(&server, &people, clients).await?;
            same.push(Figure { ours: ours.rate, peer, cost: ours.cost });
            number.push(Figure { ours: ours.rate, peer: least, cost: ours.cost });
        }
        print_row(clients, "the same changes", same);
        print_row(clients, "one number", number);
    }
    memory(&mut server, options).await
}

async fn postgres(
    binary: &std::path::Path,
    cluster: &'static Postgres,
    options: &Options,
) -> Result<()> {
    println!(
        "\nPostgreSQL\n  clients  stages/s    pgbench -N transactions/s  ratio                  server µs/stage"
    );
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let url = cluster.fresh_database().await;
    let bench = peers::PgBench::new(&cluster.fresh_database().await).await?;
    let mut server = Server::new(binary, directory.path(), Some(url));
    for &clients in &options.clients {
        let mut figures = Vec::new();
        for _ in 0..options.rounds {
            let people = prepare(&mut server, amount(options, clients)).await?;
            let before = bench.transactions_per_second(clients).await?;
            let ours = complete_stages(&server, &people, clients).await?;
            let after = bench.transactions_per_second(clients).await?;
            let peer = f64::midpoint(before, after);
            figures.push(Figure { ours: ours.rate, peer, cost: ours.cost });
        }
        print_row(clients, "", figures);
    }
    memory(&mut server, options).await
}

/// Enough to run for a second or more.
fn amount(options: &Options, clients: usize) -> usize {
    match clients {
        1 => options.stages / 8,
        8 => options.stages / 2,
        _ => options.stages,
    }
}

async fn prepare(server: &mut Server, count: usize) -> Result<Vec<Person>> {
    server.start().await?;
    let database = server.database().await?;
    people(&database, count).await
}

async fn memory(server: &mut Server, options: &Options) -> Result<()> {
    server.restart().await?;
    let idle = server.resident();
    let database = server.database().await?;
    let people = seed::devices(&database, options.sessions.div_ceil(seed::SESSIONS_EACH)).await?;
    let opened = open_sessions(server.address(), &people, options.sessions).await?;
    let after = server.resident();
    println!("  resident memory: {idle} idle, {after} after {opened} open sessions");
    Ok(())
}

fn print_row(clients: usize, peer: &str, mut figures: Vec<Figure>) {
    figures.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    let median = &figures[figures.len() / 2];
    println!(
        "  {clients:>7}  {:>8.0}  {:>27.0}  {:>5.2}  ({:.2} to {:.2})  {:>14.0}   {peer}",
        median.ours,
        median.peer,
        median.ratio(),
        figures[0].ratio(),
        figures[figures.len() - 1].ratio(),
        median.cost,
    );
}
