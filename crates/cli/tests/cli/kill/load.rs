//! What goes on while the server is killed.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::support::request;

/// Requests that are under way at the same time.
const THREADS: usize = 4;

/// A second factor that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Which user of the trial.
    pub(super) user: usize,
    /// The session that waits for it.
    pub(super) session: String,
    /// The stage.
    pub(super) stage: &'static str,
    /// The code.
    pub(super) token: String,
}

/// What came of a job.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A login was acknowledged.
    In {
        /// Its access token.
        token: String,
        /// Its device.
        device: String,
    },
    /// It was refused.
    Refused,
    /// Nobody knows: the answer never came.
    Cut,
}

/// Sends one second factor.
pub(super) fn send(server: SocketAddr, job: &Job) -> Outcome {
    let Job { user: _, session, stage, token } = job;
    let auth = json!({"type": stage, "session": session, "token": token});
    let body = json!({"auth": auth}).to_string();
    match request(server, "POST", "/_matrix/client/v3/login", None, &body) {
        Ok(answer) if answer.status == 200 => {
            Outcome::In { token: answer.text("access_token"), device: answer.text("device_id") }
        }
        Ok(answer) if answer.status == 401 => Outcome::Refused,
        Ok(answer) => panic!("neither in nor refused: {answer:?}"),
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
