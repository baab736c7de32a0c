//! What is asked at the same time is done together: what every login needs
//! costs few statements, however many logins there are. Nobody waits for others
//! to come: while a statement is under way, those who come are collected for the
//! next.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

use crate::Error;

/// In one statement at most.
const GROUP: usize = 64;

/// Callers who wait at most; beyond it, they wait to wait.
const QUEUE: usize = 1024;

/// How long a caller waits, whatever the database does. After this it does not
/// know whether what it asked for was done.
const PATIENCE: Duration = Duration::from_secs(15);

/// Hands what is asked to tasks, which end with the last of its clones.
pub(super) struct Together<Q, A>(mpsc::Sender<Waiting<Q, A>>);

impl<Q, A> Clone for Together<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q, A> fmt::Debug for Together<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

/// One caller and what it asks.
pub(super) struct Waiting<Q, A> {
    pub(super) asked: Q,
    reply: oneshot::Sender<Result<A, Error>>,
}

impl<Q, A> Waiting<Q, A> {
    /// The caller may have gone away.
    pub(super) fn answer(self, answer: Result<A, Error>) {
        let _ = self.reply.send(answer);
    }
}

impl<Q: Send + 'static, A: Send + 'static> Together<Q, A> {
    /// Starts tasks that have a group answered, and then the next: as many groups
    /// as there are tasks are under way at once.
    pub(super) fn new<F>(
        tasks: usize,
        answer: impl Fn(Vec<Waiting<Q, A>>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..tasks {
            tokio::spawn(serve(Arc::clone(&queue), answer.clone()));
        }
        Self(sender)
    }

    pub(super) async fn ask(&self, asked: Q) -> Result<A, Error> {
        let given_up = || Error::Unavailable("the request was given up".into());
        let answered = async {
            let (reply, answer) = oneshot::channel();
            self.0.send(Waiting { asked, reply }).await.map_err(|_| given_up())?;
            answer.await.map_err(|_| given_up())?
        };
        timeout(PATIENCE, answered).await.unwrap_or_else(|_| Err(given_up()))
    }
}

async fn serve<Q, A, F: Future<Output = ()>>(
    queue: Arc<Mutex<mpsc::Receiver<Waiting<Q, A>>>>,
    answer: impl Fn(Vec<Waiting<Q, A>>) -> F,
) {
    loop {
        let mut group: Vec<Waiting<Q, A>> = Vec::new();
        // Waits for one, and takes what is there.
        if queue.lock().await.recv_many(&mut group, GROUP).await == 0 {
            return;
        }
        group.retain(|waiting| !waiting.reply.is_closed());
        if group.is_empty() {
            continue;
        }
        // A panic ends its group, whose callers notice, and no other.
        let _ = AssertUnwindSafe(async { answer(group).await }).catch_unwind().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Semaphore;

    use super::*;

    type Groups = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Answers with what was asked, in groups that wait for leave.
    fn echo() -> (Together<u32, u32>, Arc<Semaphore>, Groups) {
        let (leave, groups) = (Arc::new(Semaphore::new(0)), Groups::default());
        let (given, seen) = (leave.clone(), groups.clone());
        let together = Together::new(1, move |group: Vec<Waiting<u32, u32>>| {
            seen.lock().unwrap().push(group.iter().map(|waiting| waiting.asked).collect());
            let given = given.clone();
            async move {
                given.acquire().await.unwrap().forget();
                for waiting in group {
                    assert_ne!(waiting.asked, 13, "it cannot be answered");
                    let answer = waiting.asked;
                    waiting.answer(Ok(answer));
                }
            }
        });
        (together, leave, groups)
    }

    /// Asks, and lets the task take it.
    async fn ask(
        together: &Together<u32, u32>,
        asked: u32,
    ) -> tokio::task::JoinHandle<Result<u32, Error>> {
        let together = together.clone();
        let asking = tokio::spawn(async move { together.ask(asked).await });
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        asking
    }

    #[tokio::test]
    async fn who_comes_while_a_group_is_under_way_is_in_the_next() {
        let (together, leave, groups) = echo();
        let mut asking = Vec::new();
        for asked in 1..5 {
            asking.push(ask(&together, asked).await);
        }
        leave.add_permits(2);
        for (answer, asked) in asking.into_iter().zip(1..5) {
            assert_eq!(answer.await.unwrap().unwrap(), asked);
        }
        assert_eq!(*groups.lock().unwrap(), [vec![1], vec![2, 3, 4]]);
    }

    #[tokio::test]
    async fn who_has_gone_away_is_not_in_a_group() {
        let (together, leave, groups) = echo();
        let first = ask(&together, 1).await;
        let gone = ask(&together, 2).await;
        let last = ask(&together, 3).await;
        gone.abort();
        assert!(gone.await.is_err());
        leave.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap() + last.await.unwrap().unwrap(), 4);
        assert_eq!(*groups.lock().unwrap(), [[1], [3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_that_however_many_wait() {
        let (together, _leave, groups) = echo();
        let started = tokio::time::Instant::now();
        let asking = (0..3 * QUEUE).map(|_| together.ask(1));
        let answers = futures_util::future::join_all(asking).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Unavailable(_)))));
        assert_eq!(started.elapsed().as_secs(), PATIENCE.as_secs());
        assert_eq!(groups.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_panic_ends_its_group_and_no_other() {
        let (together, leave, _) = echo();
        leave.add_permits(2);
        let refused = ask(&together, 13).await.await.unwrap();
        assert!(matches!(refused, Err(Error::Unavailable(_))));
        assert_eq!(ask(&together, 1).await.await.unwrap().unwrap(), 1);
    }
}
