//! Rounds of load, kill and restart on one database.

use std::{sync::Arc, time::Duration};

use myelin_ambient::{Clock as _, SystemClock, SystemEntropy};
use myelin_storage::{Database, FileKeySource, OpenOptions};
use myelin_testing::{SeededUser, TestDatabase, fixture, seed::Seed};
use myelin_two_factor::Step;
use myelin_uia::{Binding, DEFAULT_LIFETIME, Kept, Session, Stage};
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha20Rng, seq::SliceRandom as _};
use ruma::UserId;
use serde_json::{Map, json};

use super::{
    change::Change,
    load::{self, Job, Outcome},
    verdict,
};
use crate::support::{Home, Server};

/// Users of each kind in a round.
const WITH_CODE: usize = 6;
const WITH_RECOVERY: usize = 2;
const GUESSING: usize = 1;
const PER_ROUND: usize = WITH_CODE + WITH_RECOVERY + GUESSING;

/// Open sessions of each user: two race with the same code, the third tries it
/// again after the restart.
const SESSIONS: usize = 3;

/// Longest time from an answer to the kill: a few requests long.
const LONGEST_WHILE: Duration = Duration::from_millis(15);

/// What a user of the trial does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Logs in with a code.
    Code,
    /// Logs in with a recovery code.
    Recovery,
    /// Sends wrong codes.
    Guess,
}

/// A user of the trial, and what is known to have happened.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) user: SeededUser,
    /// The step of the code that was sent.
    pub(super) step: Option<Step>,
    /// The code that was sent.
    token: String,
    /// Logins that were acknowledged: access token and device.
    pub(super) logins: Vec<(String, String)>,
    /// Refusals that were received.
    pub(super) refusals: usize,
}

/// A trial on one database.
pub(super) struct Trial {
    home: Home,
    options: OpenOptions,
    rng: ChaCha20Rng,
    subjects: Vec<Subject>,
    /// The changes of the rounds so far.
    changes: Vec<Change>,
    server: Server,
    /// Kills that cut a request off.
    cutting: usize,
    kills: usize,
}

impl Trial {
    /// Seeds everyone for all rounds and starts the server.
    pub(super) async fn prepare(database: &TestDatabase, kills: usize) -> Self {
        let home = Home::new();
        home.out(&["key", "generate", "--output", "keys"]);
        let keys = Arc::new(FileKeySource(home.path("keys")));
        let options = OpenOptions { keys, ..database.options() };
        let subjects = plant(&myelin_storage::open(&options).await.unwrap(), kills).await;
        let seed = seed();
        eprintln!("seed of this trial: MYELIN_TEST_SEED={seed}");
        let server = start(&home, &options);
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let changes = Vec::new();
        Self { home, options, rng, subjects, changes, server, cutting: 0, kills }
    }

    /// Load, a kill in the midst of it, a restart, and what must hold at once.
    pub(super) fn round(&mut self, round: usize) {
        let users = round * PER_ROUND..(round + 1) * PER_ROUND;
        let mut change = Change::prepare(&self.server, round);
        let mut jobs: Vec<_> = users.clone().flat_map(|user| self.jobs(user)).collect();
        jobs.push(change.job());
        jobs.shuffle(&mut self.rng);
        let answers = self.rng.random_range(0..jobs.len());
        let a_while = self.rng.random_range(Duration::ZERO..LONGEST_WHILE);
        let (address, server) = (self.server.address, &mut self.server);
        let seen = load::until_killed(address, jobs, answers, a_while, || server.kill());
        self.cutting +=
            usize::from(seen.iter().any(|(_, outcome)| matches!(outcome, Outcome::Cut)));
        for (job, outcome) in seen {
            match job.user {
                Some(user) => self.note(user, outcome),
                None => change.note(outcome),
            }
        }
        self.server = start(&self.home, &self.options);
        for user in users {
            self.check(user);
        }
        change.check(&self.server);
        self.changes.push(change);
    }

    /// What must be true of all of them in the end.
    pub(super) async fn finish(self) {
        let Self { home: _home, options, subjects, changes, server, cutting, kills, .. } = self;
        drop(server);
        let database = myelin_storage::open(&options).await.unwrap();
        let acknowledged: usize = subjects.iter().map(|subject| subject.logins.len()).sum();
        let mut orphans = 0;
        for subject in &subjects {
            orphans += usize::from(verdict::hold(&database, subject).await);
        }
        for change in &changes {
            change.hold(&database).await;
        }
        let changed = changes.iter().filter(|change| change.is_acknowledged()).count();
        eprintln!(
            "{kills} kills, {cutting} in the midst of a request; {acknowledged} logins and \
             {changed} changes were acknowledged; {orphans} codes were spent for a login that \
             was cut off"
        );
        assert!(cutting * 2 > kills, "most kills hit no request: the load is too small");
        assert!(acknowledged > kills, "too little was acknowledged to be lost");
        assert!(changed > 0 && changed < kills, "every change came to the same: {changed}");
    }

    /// What a user sends in the round.
    fn jobs(&mut self, user: usize) -> Vec<Job> {
        let subject = &mut self.subjects[user];
        let step = fixture::step_at(SystemClock.now());
        let right = match subject.kind {
            Kind::Recovery => subject.user.codes[0].to_text().to_string(),
            Kind::Code | Kind::Guess => subject.user.code(step).expose().to_owned(),
        };
        let stage = match subject.kind {
            Kind::Recovery => Stage::Recovery.as_str(),
            Kind::Code | Kind::Guess => Stage::Totp.as_str(),
        };
        if subject.kind == Kind::Guess {
            let guesses = wrong_codes(&subject.user, step, SESSIONS);
            let guess = |(place, token): (usize, String)| subject.job(user, place, stage, &token);
            return guesses.into_iter().enumerate().map(guess).collect();
        }
        subject.step = Some(step);
        subject.token.clone_from(&right);
        (0..2).map(|place| subject.job(user, place, stage, &right)).collect()
    }

    fn note(&mut self, user: usize, outcome: Outcome) {
        let subject = &mut self.subjects[user];
        match outcome {
            Outcome::Done(answer) => {
                subject.logins.push((answer.text("access_token"), answer.text("device_id")));
            }
            Outcome::Refused => subject.refusals += 1,
            Outcome::Cut => {}
        }
        assert!(subject.logins.len() <= 1, "one code, two logins: {subject:?}");
    }

    /// After the restart: what was acknowledged is there, and what was spent
    /// stays spent. What was not spent is accepted, so the refusal of the rest
    /// has no other reason.
    fn check(&mut self, user: usize) {
        let subject = &self.subjects[user];
        for (token, device) in &subject.logins {
            let whose = self.server.whoami(token).expect("an acknowledged token works");
            assert_eq!(whose["user_id"], subject.user.user.as_str());
            assert_eq!(whose["device_id"], device.as_str());
        }
        let stage = match subject.kind {
            Kind::Guess => return,
            Kind::Code => Stage::Totp.as_str(),
            Kind::Recovery => Stage::Recovery.as_str(),
        };
        let again = subject.job(user, SESSIONS - 1, stage, &subject.token);
        let outcome = load::send(self.server.address, &again);
        assert!(!matches!(outcome, Outcome::Cut), "nobody killed it: {again:?}");
        self.note(user, outcome);
    }
}

impl Subject {
    fn job(&self, user: usize, session: usize, stage: &'static str, token: &str) -> Job {
        let session = self.user.sessions[session].id.as_str();
        let auth = json!({"type": stage, "session": session, "token": token});
        let body = json!({"auth": auth});
        Job { user: Some(user), method: "POST", endpoint: "login".to_owned(), token: None, body }
    }
}

/// Everyone, round by round.
async fn plant(database: &Database, rounds: usize) -> Vec<Subject> {
    let seed = |prefix: &str, users, recovery_codes| Seed {
        prefix: prefix.to_owned(),
        password_hash: Some("none".to_owned()),
        recovery_codes,
        sessions: SESSIONS,
        session: Arc::new(waiting_for_code),
        ..Seed::users(users * rounds, SystemClock.now())
    };
    let subject = |kind| {
        move |user| Subject {
            kind,
            user,
            step: None,
            token: String::new(),
            logins: Vec::new(),
            refusals: 0,
        }
    };
    // Two codes each: with the only one spent, no recovery would be offered.
    let recovery = seed("recovery", WITH_RECOVERY, 2).plant(database).await;
    let mut recovery = recovery.into_iter().map(subject(Kind::Recovery));
    let codes = seed("code", WITH_CODE, 0).plant(database).await;
    let mut codes = codes.into_iter().map(subject(Kind::Code));
    let guessing = seed("guess", GUESSING, 0).plant(database).await;
    let mut guessing = guessing.into_iter().map(subject(Kind::Guess));
    let mut subjects = Vec::new();
    for _ in 0..rounds {
        subjects.extend(codes.by_ref().take(WITH_CODE));
        subjects.extend(recovery.by_ref().take(WITH_RECOVERY));
        subjects.extend(guessing.by_ref().take(GUESSING));
    }
    subjects
}

/// A login that has passed the password, bound as the server binds it. It lasts
/// until the last round, also where that is long in coming.
fn waiting_for_code(user: &UserId) -> Session {
    let binding = Binding::new(None, "POST", "login", &[], &Map::new());
    let (user, now, lifetime) = (user.to_owned(), SystemClock.now(), DEFAULT_LIFETIME * 6);
    let session = Session::open(&SystemEntropy, Some(user), binding, now, lifetime);
    let (completed, memo) = (vec![Stage::Password], Some("{}".to_owned()));
    Session::restore(Kept { completed, memo, ..session.into_kept() })
}

/// Codes that are wrong now and in the steps around.
fn wrong_codes(user: &SeededUser, step: Step, count: usize) -> Vec<String> {
    let near = step.0.saturating_sub(2)..=step.0 + 3;
    let right: Vec<_> = near.map(|step| user.code(Step(step)).expose().to_owned()).collect();
    let wrong = (0..1_000_000).map(|code| format!("{code:06}"));
    wrong.filter(|code| !right.contains(code)).take(count).collect()
}

fn start(home: &Home, options: &OpenOptions) -> Server {
    let keys = home.path("keys").display().to_string();
    Server::start(
        home,
        &[
            ("MYELIN_DATABASE_URL", &options.url),
            ("MYELIN_DATABASE_CONNECTIONS", "8"),
            ("MYELIN_KEYS_FILE", &keys),
            ("MYELIN_LOG", "warn"),
        ],
    )
}

/// From the environment, to repeat a trial; else a new one.
fn seed() -> u64 {
    let given = std::env::var("MYELIN_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| SystemClock.now().as_millis())
}
