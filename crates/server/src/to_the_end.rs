//! Work that is not left half done where its client hangs up.

use std::panic::resume_unwind;

use tracing::Instrument as _;

/// Does the work to its end, whether or not anybody still waits for it. An
/// operation that the homeserver has performed has consequences here, and a
/// login that is refused at last has to be undone.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        // The runtime never ends a task before whoever waits for it.
        Err(failed) => resume_unwind(failed.into_panic()),
    }
}
