//! Threads that answer requests, one for each processor. A connection stays on
//! the one that it was given to: what it waits for wakes that thread, and no
//! other has to hear of it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle},
    sync::watch,
};

/// The threads, which end with the last of the clones.
#[derive(Clone, Debug)]
pub struct Workers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    threads: Vec<Handle>,
    next: AtomicUsize,
    /// Ends them when it is dropped.
    _end: Option<watch::Sender<()>>,
}

impl Workers {
    /// Starts a thread for each processor.
    ///
    /// # Errors
    ///
    /// An error of the system if there is none.
    pub fn start() -> io::Result<Self> {
        let (end, ended) = watch::channel(());
        let count = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..count).map(|_| start(ended.clone())).collect::<io::Result<_>>()?;
        Ok(Self::of(threads, Some(end)))
    }

    /// No threads of its own: the runtime that it is called in.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn here() -> Self {
        Self::of(vec![Handle::current()], None)
    }

    fn of(threads: Vec<Handle>, end: Option<watch::Sender<()>>) -> Self {
        Self(Arc::new(Shared { threads, next: AtomicUsize::new(0), _end: end }))
    }

    /// Has one of the threads do what `connection` makes of the stream.
    pub(crate) fn give<F>(
        &self,
        stream: TcpStream,
        connection: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send,
    {
        let Shared { threads, next, _end } = &*self.0;
        let stream = stream.into_std()?;
        threads[next.fetch_add(1, Ordering::Relaxed) % threads.len()].spawn(async move {
            // This thread is the one that hears of it from now on.
            match TcpStream::from_std(stream) {
                Ok(stream) => connection(stream).await,
                Err(error) => tracing::error!(%error, "cannot take a connection"),
            }
        });
        Ok(())
    }
}

fn start(mut ended: watch::Receiver<()>) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(async { while ended.changed().await.is_ok() {} });
    thread::Builder::new().name("worker".to_owned()).spawn(run)?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tokio::{net::TcpListener, sync::mpsc};

    use super::*;

    #[tokio::test]
    async fn connections_are_spread_over_the_threads_which_end_with_the_workers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let workers = Workers::start().unwrap();
        let threads = workers.0.threads.len();
        let (seen, mut on) = mpsc::unbounded_channel();
        let mut clients = Vec::new();
        for _ in 0..3 * threads {
            clients.push(TcpStream::connect(address).await.unwrap());
            let (stream, _) = listener.accept().await.unwrap();
            let seen = seen.clone();
            let given = workers.give(stream, async move |stream| {
                let here = thread::current();
                assert_eq!(here.name(), Some("worker"));
                seen.send(here.id()).unwrap();
                stream.readable().await.unwrap();
                unreachable!("no client says anything");
            });
            given.unwrap();
        }
        let mut count = HashMap::new();
        for _ in &clients {
            *count.entry(on.recv().await.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(count.len(), threads);
        assert!(count.values().all(|connections| *connections == 3), "{count:?}");

        drop((workers, seen));
        // Their connections have ended, and with them whoever could send.
        assert_eq!(on.recv().await, None);
    }
}
