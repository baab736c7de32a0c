//! A deadline for the first bytes of a connection.
//!
//! Which version of HTTP a client speaks is told by its first bytes, and the
//! time limits of either version begin after them. Without a limit of its own,
//! a client that says nothing would hold its connection for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// As many as tell the version: the preface of HTTP/2 (RFC 9113 §3.4).
const COUNT: usize = 24;

/// A connection whose first bytes must come in time.
#[derive(Debug)]
pub(crate) struct FirstBytes<S> {
    stream: S,
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> FirstBytes<S> {
    pub(crate) fn within(limit: Duration, stream: S) -> Self {
        Self { stream, missing: COUNT, deadline: Box::pin(sleep(limit)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.missing == 0 {
            return read;
        }
        if read.is_pending() {
            return self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        self.missing = self.missing.saturating_sub(buffer.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_in_the_preface_is_let_go() {
        let (mut client, server) = duplex(64);
        let mut server = FirstBytes::within(LIMIT, server);
        client.write_all(b"PRI * HTTP").await.expect("it is open");
        let mut space = [0; 64];
        assert_eq!(server.read(&mut space).await.expect("bytes"), 10);
        let error = server.read(&mut space).await.expect_err("no more bytes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_first_bytes_there_is_no_deadline() {
        let (mut client, server) = duplex(64);
        let mut server = FirstBytes::within(LIMIT, server);
        client.write_all(&[b'x'; COUNT]).await.expect("it is open");
        let mut space = [0; 64];
        assert_eq!(server.read(&mut space).await.expect("bytes"), COUNT);
        let later = tokio::time::timeout(LIMIT * 100, server.read(&mut space)).await;
        assert!(later.is_err(), "it waits for as long as the client does");
    }
}
