//! Requests, sent as fast as they are answered, over a few connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    seed::{Person, SESSIONS_EACH},
    server::Server,
};

/// One measurement and its peer in the same run, both per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) ours: f64,
    pub(crate) peer: f64,
    /// The server's processor time for one of ours, in microseconds.
    pub(crate) cost: f64,
}

impl Figure {
    pub(crate) fn ratio(&self) -> f64 {
        self.ours / self.peer
    }
}

/// How fast stages were completed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completed {
    /// Stages a second.
    pub(crate) rate: f64,
    /// The server's processor time for one, in microseconds.
    pub(crate) cost: f64,
}

/// Completes the second stage of everyone's session.
pub(crate) async fn complete_stages(
    server: &Server,
    people: &[Person],
    clients: usize,
) -> Result<Completed> {
    let requests: Vec<_> = people.iter().filter_map(Person::completion).collect();
    let before = server.processor_time().unwrap_or_default();
    let (count, took) = send_all(server.address(), requests, clients, 200).await?;
    let used = server.processor_time().unwrap_or_default().saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let count = count as f64;
    Ok(Completed { rate: count / took.as_secs_f64(), cost: used.as_secs_f64() * 1e6 / count })
}

/// Opens `count` sessions, as many for each as one address may have.
pub(crate) async fn open_sessions(
    address: SocketAddr,
    people: &[Person],
    count: usize,
) -> Result<usize> {
    let each = people.iter().flat_map(|person| (0..SESSIONS_EACH).map(|_| person.challenge()));
    let (count, _) = send_all(address, each.take(count).collect(), 64, 401).await?;
    Ok(count)
}

/// How fast requests were passed through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    /// Answers a second.
    pub(crate) rate: f64,
    /// 99 of 100 came within this.
    pub(crate) late: Duration,
}

/// Asks for a sync over and over for some time, after a tenth of it to warm up.
pub(crate) async fn pass(
    address: SocketAddr,
    connections: usize,
    time: Duration,
) -> Result<Passed> {
    ask(address, connections, time / 10).await?;
    let started = now();
    let mut latencies = ask(address, connections, time).await?;
    let took = started.elapsed();
    latencies.sort_unstable();
    let late = *latencies.get(latencies.len() * 99 / 100).context("nothing was answered")?;
    #[expect(clippy::cast_precision_loss, reason = "less than a million")]
    Ok(Passed { rate: latencies.len() as f64 / took.as_secs_f64(), late })
}

async fn ask(address: SocketAddr, connections: usize, time: Duration) -> Result<Vec<Duration>> {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(address).await?;
        tasks.push(tokio::spawn(async move {
            let (mut latencies, started) = (Vec::new(), now());
            while started.elapsed() < time {
                let sent = now();
                let status = connection.send(SYNC).await?;
                ensure!(status == 200, "a sync is answered {status}");
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.context("a client broke")??);
    }
    Ok(all)
}

const SYNC: &str = "GET /_matrix/client/v3/sync?since=s1_2_3&timeout=0 HTTP/1.1\r\n\
    Host: localhost\r\nAuthorization: Bearer syt_bench_token_of_nobody\r\n\
    User-Agent: bench\r\nAccept: application/json\r\n\r\n";

async fn send_all(
    address: SocketAddr,
    requests: Vec<String>,
    clients: usize,
    expected: u16,
) -> Result<(usize, Duration)> {
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(address).await?);
    }
    let started = now();
    let mut tasks = Vec::new();
    for mut connection in connections {
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let status = connection.send(request).await?;
                let answer = String::from_utf8_lossy(&connection.buffer);
                ensure!(status == expected, "expected {expected}, got {answer}");
            }
            Ok(())
        }));
    }
    for task in tasks {
        task.await.context("a client broke")??;
    }
    Ok((requests.len(), started.elapsed()))
}

/// The least that speaks HTTP/1.1: the client must not cost what is measured.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request; returns the status once the whole answer is read.
    async fn send(&mut self, request: &str) -> Result<u16> {
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(status) = complete(&self.buffer)? {
                return Ok(status);
            }
        }
    }
}

/// The status, if the answer is complete.
fn complete(answer: &[u8]) -> Result<Option<u16>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end]).context("the head is not text")?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("no content-length")?;
    let length: usize = length.1.parse().context("the content-length is no number")?;
    if answer.len() < end + 4 + length {
        return Ok(None);
    }
    let status = head.split(' ').nth(1).context("no status")?;
    Ok(Some(status.parse().context("the status is no number")?))
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the real clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
