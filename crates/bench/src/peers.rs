//! What the databases can do by themselves, measured in the same run.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use tokio::process::Command;

use crate::load::now;

/// Commits a second of one writer that commits each change by itself, in WAL
/// with `synchronous=FULL`, on the same disk.
pub(crate) fn single_writer(directory: &Path) -> Result<f64> {
    let connection = Connection::open(directory.join("single-writer.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS counter (n INTEGER NOT NULL);
         DELETE FROM counter; INSERT INTO counter VALUES (0)",
    )?;
    let mut update = connection.prepare("UPDATE counter SET n = n + 1")?;
    let (started, mut commits) = (now(), 0_u32);
    while started.elapsed() < Duration::from_secs(2) {
        update.execute([])?;
        commits += 1;
    }
    Ok(f64::from(commits) / started.elapsed().as_secs_f64())
}

/// `pgbench` on a database of its own in the same cluster.
pub(crate) struct PgBench {
    url: String,
}

impl PgBench {
    /// Fills the database.
    pub(crate) async fn new(url: &str) -> Result<Self> {
        let output = Command::new("pgbench")
            .args(["--initialize", "--quiet", "--scale", "10", url])
            .output()
            .await
            .context("cannot run pgbench")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(Self { url: url.to_owned() })
    }

    /// `pgbench -N` with as many clients, for five seconds.
    pub(crate) async fn transactions_per_second(&self, clients: usize) -> Result<f64> {
        let clients = clients.to_string();
        let output = Command::new("pgbench")
            .args(["-N", "-n", "-T", "5", "-j", "2", "-c", &clients, &self.url])
            .output()
            .await
            .context("cannot run pgbench")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let figure = text
            .lines()
            .find_map(|line| line.strip_prefix("tps = "))
            .and_then(|rest| rest.split(' ').next())
            .context("pgbench printed no tps")?;
        Ok(figure.parse()?)
    }
}
