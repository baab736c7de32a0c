//! What the databases can do by themselves, measured in the same run.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use tokio::process::Command;

use crate::{load::now, seed::Person};

/// How long the peer writes.
const TIME: Duration = Duration::from_secs(2);

/// Commits a second of one writer that commits each change by itself, in WAL
/// with `synchronous=FULL`, on the same disk: the least that can be changed, one
/// number.
pub(crate) fn single_writer(directory: &Path) -> Result<f64> {
    let connection = writer(&directory.join("single-writer.db"))?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS counter (n INTEGER NOT NULL);
         DELETE FROM counter; INSERT INTO counter VALUES (0)",
    )?;
    let mut update = connection.prepare("UPDATE counter SET n = n + 1")?;
    per_second(std::iter::repeat(()), |()| Ok(update.execute([])?))
}

/// The same for a writer that changes what a stage changes, in the database of
/// the server: what waiting together saves.
pub(crate) fn single_writer_of_stages(file: &Path, people: &[Person]) -> Result<f64> {
    let connection = writer(file)?;
    let mut begin = connection.prepare("BEGIN IMMEDIATE")?;
    let mut commit = connection.prepare("COMMIT")?;
    let mut anchor = connection.prepare(
        "UPDATE factors SET version = version + 1, totp_in_a_row = 0, totp_window_failures = 0
         WHERE user_id = ?1 AND version > 0",
    )?;
    let mut code = connection.prepare(
        "UPDATE authenticators SET last_step = ?3, last_used = ?3
         WHERE user_id = ?1 AND id = ?2 AND (last_step IS NULL OR last_step < ?3)",
    )?;
    let mut session = connection.prepare("DELETE FROM uia_sessions WHERE id = ?1")?;
    let mut entry = connection.prepare(
        "INSERT INTO audit (at, user_id, action, actor, address, request_id, detail)
         VALUES (?2, ?1, 'totp_passed', 'user', '127.0.0.1', '0123456789abcdef', 'delete_devices')",
    )?;
    let rows = people.iter().filter_map(Person::rows);
    per_second(rows, |(user, authenticator, digest)| {
        begin.execute([])?;
        let changed = anchor.execute([user])?
            + code.execute(rusqlite::params![user, authenticator, i64::MAX])?
            + session.execute([digest])?
            + entry.execute(rusqlite::params![user, 1])?;
        commit.execute([])?;
        ensure!(changed == 4, "a stage changes four rows, not {changed}");
        Ok(changed)
    })
}

fn writer(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// How fast `write` is, for some time, or until nothing is left.
fn per_second<T>(
    all: impl Iterator<Item = T>,
    mut write: impl FnMut(T) -> Result<usize>,
) -> Result<f64> {
    let (started, mut commits) = (now(), 0_u32);
    for each in all {
        write(each)?;
        commits += 1;
        if started.elapsed() >= TIME {
            break;
        }
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
