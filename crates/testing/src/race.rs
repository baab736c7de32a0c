//! Races: the same thing tried by many at the same moment.

use std::sync::Arc;

use tokio::{sync::Barrier, task::JoinSet};

/// Runs all contenders at once, each in a task of its own that waits until the
/// others are ready too; what they came to, in the order given.
///
/// # Panics
///
/// When a contender does.
pub async fn race<F>(contenders: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let contenders: Vec<_> = contenders.into_iter().collect();
    let barrier = Arc::new(Barrier::new(contenders.len()));
    let mut tasks = JoinSet::new();
    for (place, contender) in contenders.into_iter().enumerate() {
        let barrier = Arc::clone(&barrier);
        tasks.spawn(async move {
            barrier.wait().await;
            (place, contender.await)
        });
    }
    let mut outcomes = tasks.join_all().await;
    outcomes.sort_unstable_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
