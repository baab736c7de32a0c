//! The real program in a process of its own.

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use myelin_ambient::SystemEntropy;
use myelin_storage::{Database, FileKeySource, OpenOptions, Quota, open};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

/// Builds the program for release; says where it is.
pub(crate) async fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "myelin"])
        .status()
        .await
        .context("cannot run cargo")?;
    ensure!(status.success(), "the program does not build");
    let this = std::env::current_exe()?;
    Ok(this.with_file_name("myelin"))
}

/// A server on a database of its own.
pub(crate) struct Server {
    binary: PathBuf,
    directory: PathBuf,
    postgres: Option<String>,
    homeserver: Option<SocketAddr>,
    address: SocketAddr,
    process: Option<Child>,
}

impl Server {
    /// One on SQLite in `directory`, or on this PostgreSQL.
    pub(crate) fn new(binary: &Path, directory: &Path, postgres: Option<String>) -> Self {
        Self {
            binary: binary.to_owned(),
            directory: directory.to_owned(),
            postgres,
            homeserver: None,
            address: free_address(),
            process: None,
        }
    }

    /// It is the gateway before this homeserver.
    pub(crate) fn before(self, homeserver: SocketAddr) -> Self {
        Self { homeserver: Some(homeserver), ..self }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it unless it runs, and waits until it answers.
    pub(crate) async fn start(&mut self) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut command = Command::new(&self.binary);
        command
            .arg("serve")
            .args(["--listen", &self.address.to_string()])
            .arg("--data-dir")
            .arg(&self.directory)
            .env("MYELIN_LOG", "warn")
            .stdout(Stdio::null())
            .kill_on_drop(true);
        if let Some(url) = &self.postgres {
            command.env("MYELIN_DATABASE_URL", url);
        }
        if let Some(homeserver) = self.homeserver {
            command
                .env("MYELIN_HOMESERVER_KIND", "generic")
                .env("MYELIN_HOMESERVER_URL", format!("http://{homeserver}"))
                .env("MYELIN_SERVER_NAME", "localhost")
                .env("MYELIN_PUBLIC_URL", format!("http://{}", self.address));
        }
        self.process = Some(command.spawn().context("cannot start the server")?);
        await_answer(self.address).await
    }

    /// Ends it and starts it again.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().await.context("cannot end the server")?;
        }
        self.start().await
    }

    /// Its database, where that is SQLite.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("myelin.db")
    }

    /// Its database, opened beside it.
    pub(crate) async fn database(&self) -> Result<Database> {
        let sqlite = || format!("sqlite:{}", self.file().display());
        let options = OpenOptions {
            url: self.postgres.clone().unwrap_or_else(sqlite),
            connections: 16,
            migrate: false,
            keys: Arc::new(FileKeySource(self.directory.join("keys"))),
            entropy: Arc::new(SystemEntropy),
            limits: Quota::default(),
        };
        Ok(open(&options).await?)
    }

    /// The processor time that it has used, of all its threads.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let id = self.process.as_ref().and_then(Child::id)?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // proc(5): after the name in brackets, `utime` and `stime` are the
        // 12th and 13th, in ticks of a hundredth of a second.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        Some(Duration::from_millis((ticks()? + ticks()?) * 10))
    }

    /// Its resident memory.
    pub(crate) fn resident(&self) -> Memory {
        self.memory("VmRSS:")
    }

    /// Its resident memory when it was highest.
    pub(crate) fn highest(&self) -> Memory {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> Memory {
        let id = self.process.as_ref().and_then(Child::id);
        let status = id.and_then(|id| std::fs::read_to_string(format!("/proc/{id}/status")).ok());
        Memory(status.and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        }))
    }
}

/// Waits until somebody listens.
pub(crate) async fn await_answer(address: SocketAddr) -> Result<()> {
    for _ in 0..200 {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the server does not answer")
}

/// An amount of memory, in KiB, where the system tells.
pub(crate) struct Memory(Option<u64>);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(kib) => write!(f, "{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024),
            None => f.write_str("unknown here"),
        }
    }
}

/// A loopback address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address")
}
