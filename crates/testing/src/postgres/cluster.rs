//! A PostgreSQL cluster of one's own, gone with whoever started it.
//!
//! The work is done by `cluster.sh`, a child that reads from a pipe which this
//! process holds. Rust drops no statics, and nothing is dropped on SIGKILL, but
//! the kernel always closes the pipe.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::PermissionsExt, fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use data_encoding::HEXLOWER;
use myelin_ambient::{Entropy, SystemEntropy};

/// How many free ports are offered to the server.
const PORTS: usize = 5;

/// A running cluster. Dropping it stops the server and deletes its files.
#[derive(Debug)]
pub struct Cluster {
    script: Child,
    /// `None` only while being dropped.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    url: String,
    directory: PathBuf,
}

impl Cluster {
    /// Makes a cluster in a temporary directory and starts its server on a free
    /// port of the loopback interface. Takes about two seconds.
    ///
    /// # Errors
    ///
    /// Says why there is none: PostgreSQL is not installed, or does not start.
    pub fn start() -> Result<Self, String> {
        let bin = find_programs()
            .ok_or("initdb and pg_ctl are neither on PATH nor under /usr/lib/postgresql/*/bin")?;
        let owner = owner()?;
        let secret: &dyn Entropy = &SystemEntropy;
        let password = HEXLOWER.encode(&secret.bytes::<16>());
        let directory = prepare_directory(owner, &password).map_err(|e| e.to_string())?;
        let mut script = script(&bin, &directory, owner).map_err(|e| e.to_string())?;
        let commands = script.stdin.take();
        let answers = BufReader::new(script.stdout.take().expect("invariant: stdout is piped"));
        let mut cluster = Self { script, commands, answers, url: String::new(), directory };
        let answer = cluster.answer()?;
        let port = answer.strip_prefix("ready ").ok_or_else(|| answer.clone())?;
        cluster.url = format!("postgres://myelin:{password}@127.0.0.1:{port}/postgres");
        Ok(cluster)
    }

    /// [`Self::start`], or `None`; standard error then says that `test` is
    /// skipped, and why.
    ///
    /// # Panics
    ///
    /// When there is no cluster and `CI` is `true`.
    pub fn start_or_skip(test: &str) -> Option<Self> {
        Self::start().map_or_else(|reason| super::skip(&format!("{test} ({reason})")), Some)
    }

    /// The folder that holds its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The URL of the maintenance database, as its superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the server as a crash would: connections break, nothing is
    /// flushed that was not yet flushed.
    ///
    /// # Panics
    ///
    /// When the server does not stop.
    pub fn crash(&mut self) {
        assert_eq!(self.command("crash").as_deref(), Ok("stopped"));
    }

    /// Starts the server again, on the same port with the same data.
    ///
    /// # Panics
    ///
    /// When the server does not start.
    pub fn restart(&mut self) {
        assert_eq!(self.command("start").as_deref(), Ok("started"));
    }

    fn command(&mut self, command: &str) -> Result<String, String> {
        let commands = self.commands.as_mut().expect("invariant: the cluster is not dropped");
        writeln!(commands, "{command}").map_err(|e| e.to_string())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|e| e.to_string())?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Closing the pipe is the sign to stop.
        self.commands = None;
        drop(self.script.wait());
    }
}

/// The folder that holds `initdb` and `pg_ctl`: from PATH, else the newest of
/// those where Debian puts them.
fn find_programs() -> Option<PathBuf> {
    let complete = |folder: &Path| ["initdb", "pg_ctl"].iter().all(|p| folder.join(p).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(|folder| complete(folder)) {
        return Some(folder);
    }
    let version = |folder: &PathBuf| -> Option<u32> {
        folder.parent()?.file_name()?.to_str()?.split('.').next()?.parse().ok()
    };
    fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| complete(folder))
        .max_by_key(version)
}

/// As whom the server runs: `None` for whoever runs the tests, else the user
/// and group to switch to. PostgreSQL refuses to run as root.
fn owner() -> Result<Option<(u32, u32)>, String> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]).ok_or("`id -u` does not answer")? != 0 {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| Some(Some((id(&["-u", name])?, id(&["-g", name])?))))
        .ok_or_else(|| "the tests run as root, and there is no user `postgres`".to_owned())
}

/// An empty directory that only the server's user can enter, with the password
/// in a file. Without a password any user of this machine could connect as a
/// superuser, who may run programs.
fn prepare_directory(owner: Option<(u32, u32)>, password: &str) -> io::Result<PathBuf> {
    // Kept: the script deletes it.
    let directory = tempfile::Builder::new().prefix("myelin-postgres-").tempdir()?.keep();
    let file = directory.join("password");
    fs::write(&file, password)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    if let Some((user, group)) = owner {
        chown(&file, Some(user), Some(group))?;
        chown(&directory, Some(user), Some(group))?;
    }
    Ok(directory)
}

fn script(bin: &Path, directory: &Path, owner: Option<(u32, u32)>) -> io::Result<Child> {
    let mut command = Command::new("sh");
    command
        .args(["-c", include_str!("cluster.sh"), "cluster"])
        .arg(bin)
        .arg(directory)
        .args(free_ports()?.iter().map(u16::to_string))
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Ctrl-C goes to the whole group of the tests; the script must outlive
        // them to clean up.
        .process_group(0);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command.spawn()
}

fn free_ports() -> io::Result<Vec<u16>> {
    // All are held at once, so that they differ.
    let listeners: Vec<_> = (0..PORTS)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<io::Result<_>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
