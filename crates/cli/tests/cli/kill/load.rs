//! What goes on while the server is killed.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::{Answer, request};

/// Requests that are under way at the same time.
const THREADS: usize = 4;

/// A request that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Which user of the trial it is of; none for the change of the round.
    pub(super) user: Option<usize>,
    /// The method.
    pub(super) method: &'static str,
    /// The endpoint, without its prefix.
    pub(super) endpoint: String,
    /// The access token, where it needs one.
    pub(super) token: Option<String>,
    /// The body.
    pub(super) body: Value,
}

/// What came of a job.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was acknowledged.
    Done(Answer),
    /// It was refused.
    Refused,
    /// Nobody knows: the answer never came.
    Cut,
}

/// Sends one request.
pub(super) fn send(server: SocketAddr, job: &Job) -> Outcome {
    let Job { user: _, method, endpoint, token, body } = job;
    let path = format!("/_matrix/client/v3/{endpoint}");
    match request(server, method, &path, token.as_deref(), &body.to_string()) {
        Ok(answer) if answer.status == 200 => Outcome::Done(answer),
        Ok(answer) if answer.status == 401 => Outcome::Refused,
        Ok(answer) => panic!("neither done nor refused: {answer:?}"),
        Err(_) => Outcome::Cut,
    }
}

/// Sends all jobs from several threads. Calls `kill` a while after so many
/// answers, and says what came of each job that was begun.
pub(super) fn until_killed(
    server: SocketAddr,
    jobs: Vec<Job>,
    answers: usize,
    a_while: Duration,
    kill: impl FnOnce(),
) -> Vec<(Job, Outcome)> {
    let jobs = Mutex::new(VecDeque::from(jobs));
    let (report, reports) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (report, jobs) = (report.clone(), &jobs);
            scope.spawn(move || {
                let next = || jobs.lock().expect("no thread panics with it").pop_front();
                while let Some(job) = next() {
                    let outcome = send(server, &job);
                    let over = matches!(outcome, Outcome::Cut);
                    report.send((job, outcome)).expect("somebody listens");
                    if over {
                        break;
                    }
                }
            });
        }
        drop(report);
        let mut seen: Vec<_> = reports.iter().take(answers).collect();
        // Nothing is waited for here: the moment itself is what is tried.
        thread::park_timeout(a_while);
        kill();
        seen.extend(reports.iter());
        seen
    })
}
