//! A client's connection, which ends where the client stands still and no time
//! limit of HTTP's own holds.
//!
//! Which version of HTTP a client speaks is told by its first bytes, and the
//! time limits of either version begin after them. Nor is there one for a client
//! that reads nothing. Either would hold its connection for ever. What a client
//! leaves unread in a stream of HTTP/2 is seen in [`crate::answer_in_time`].

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

/// A connection whose first bytes must come in time, and on which nothing that is
/// written waits for too long.
#[derive(Debug)]
pub(crate) struct ClientStream<S> {
    stream: S,
    missing: usize,
    deadline: Pin<Box<Sleep>>,
    write_limit: Duration,
    /// Until when the client has to take more; none while it does.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> ClientStream<S> {
    pub(crate) fn new(stream: S, first_bytes: Duration, write_limit: Duration) -> Self {
        let deadline = Box::pin(sleep(first_bytes));
        Self { stream, missing: COUNT, deadline, write_limit, stuck: None }
    }

    /// What became of a write, or an error where it has waited for too long.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let limit = self.write_limit;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limit)));
        stuck.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, written)
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
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.in_time(cx, written)
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
        let mut server = ClientStream::new(server, LIMIT, LIMIT);
        client.write_all(b"PRI * HTTP").await.expect("it is open");
        let mut space = [0; 64];
        assert_eq!(server.read(&mut space).await.expect("bytes"), 10);
        let error = server.read(&mut space).await.expect_err("no more bytes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_first_bytes_there_is_no_deadline() {
        let (mut client, server) = duplex(64);
        let mut server = ClientStream::new(server, LIMIT, LIMIT);
        client.write_all(&[b'x'; COUNT]).await.expect("it is open");
        let mut space = [0; 64];
        assert_eq!(server.read(&mut space).await.expect("bytes"), COUNT);
        let later = tokio::time::timeout(LIMIT * 100, server.read(&mut space)).await;
        assert!(later.is_err(), "it waits for as long as the client does");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_let_go() {
        let (mut client, server) = duplex(64);
        let mut server = ClientStream::new(server, LIMIT, LIMIT);
        // One that reads slowly is not.
        let slowly = async {
            let mut space = [0; 64];
            for _ in 0..10 {
                sleep(LIMIT / 2).await;
                client.read_exact(&mut space).await.expect("bytes");
            }
            client
        };
        let (client, written) = tokio::join!(slowly, server.write_all(&[0; 64 * 11]));
        written.expect("it is taken in time");
        let error = server.write_all(&[0; 1]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
