//! Work that is not left half done where its client hangs up.

use std::{panic::resume_unwind, sync::Arc};

use tokio::sync::{Semaphore, mpsc};
use tracing::Instrument as _;

/// How much of this one connection may have under way, whether or not anybody
/// waits for it: in HTTP/2, a client may give up as many requests as it likes.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    turns: Arc<Semaphore>,
    /// Whoever has the other end hears when all of the work is done.
    _alive: mpsc::Sender<()>,
}

impl Turns {
    pub(crate) fn new(count: u32, alive: mpsc::Sender<()>) -> Self {
        let turns = Arc::new(Semaphore::new(count.try_into().unwrap_or(usize::MAX)));
        Self(Arc::new(Shared { turns, _alive: alive }))
    }
}

/// Does the work to its end, whether or not anybody still waits for it. An
/// operation that the homeserver has performed has consequences here, and a
/// login that is refused at last has to be undone.
pub(crate) async fn to_the_end<T: Send + 'static>(
    turns: Option<Turns>,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let turn = match &turns {
        Some(Turns(shared)) => Arc::clone(&shared.turns).acquire_owned().await.ok(),
        None => None,
    };
    let work = async move {
        let _held = (turn, turns);
        work.await
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        // The runtime never ends a task before whoever waits for it.
        Err(failed) => resume_unwind(failed.into_panic()),
    }
}
