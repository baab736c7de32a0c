//! Bodies that no memory should hold.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, repeat, sink},
    net::{TcpListener, TcpStream},
};

use crate::load::now;

/// In bytes.
pub(crate) const GIBIBYTE: u64 = 1 << 30;

/// A request with a large body, or a large answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transfer {
    Download,
    Upload,
}

impl Transfer {
    /// Sends `size` bytes one way; says how long it took.
    pub(crate) async fn run(self, address: SocketAddr, size: u64) -> Result<Duration> {
        let mut stream = TcpStream::connect(address).await?;
        let started = now();
        let (method, path, sent, read) = match self {
            Self::Download => ("GET", "download/localhost/large", 0, size),
            Self::Upload => ("POST", "upload", size, 0),
        };
        let head = format!(
            "{method} /_matrix/media/v3/{path} HTTP/1.1\r\nHost: localhost\r\n\
             Connection: close\r\nContent-Length: {sent}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        copy(&mut repeat(0).take(sent), &mut stream).await?;
        let head = head_of(&mut stream).await?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "the answer is {head}");
        let body = copy(&mut stream, &mut sink()).await?;
        ensure!(body == read, "of {read} bytes {body} arrived");
        Ok(started.elapsed())
    }
}

/// Starts a homeserver that sends a gibibyte for every `GET`, and reads what
/// it is sent.
pub(crate) async fn upstream() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    Ok(address)
}

async fn answer(mut stream: TcpStream) -> Result<()> {
    let head = head_of(&mut stream).await?;
    let size = if head.starts_with("GET") { GIBIBYTE } else { 0 };
    let sent = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    });
    let sent = sent.unwrap_or(0);
    let read = copy(&mut (&mut stream).take(sent), &mut sink()).await?;
    ensure!(read == sent, "of {sent} bytes {read} arrived");
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    copy(&mut repeat(0).take(size), &mut stream).await.context("cannot answer")?;
    stream.shutdown().await?;
    Ok(())
}

/// Reads as far as the empty line, and no further.
async fn head_of(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 8192 {
            bail!("the head is too long");
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
