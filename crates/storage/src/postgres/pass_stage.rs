//! Passing a stage: those that wait are passed together. Where their statement
//! fails, each is tried by itself, so that nobody fails because of others.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Backend, Columns as _, Pool,
    stage::{NOT_WHOLE, Stage, bound},
    together::{Together, Waiting},
};
use crate::{Error, Event, passage::Passage};

/// Groups under way at once, besides stages that are tried again. More of them
/// would be smaller: more commits for as many stages.
const GROUPS: usize = 1;

/// How long a group may take, which waits for locks. After this nobody knows
/// whether it was committed.
const WAIT: Duration = Duration::from_secs(10);

/// The stages that wait to be passed.
#[derive(Clone, Debug)]
pub(super) struct Stages(Together<Stage, bool>);

impl Stages {
    pub(super) fn new(pool: &Pool) -> Self {
        let pool = pool.clone();
        Self(Together::new(GROUPS, move |waiting| pass_all(pool.clone(), waiting)))
    }
}

/// Commits `passage`; `false` if it was decided on something that has changed.
/// Once it is under way it goes on, even if the caller goes away.
pub(super) async fn pass_stage(
    db: &Backend,
    passage: Passage,
    event: Option<Event>,
) -> Result<bool, Error> {
    db.stages.0.ask(Stage { passage, event }).await
}

async fn pass_all(pool: Pool, mut waiting: Vec<Waiting<Stage, bool>>) {
    // Two groups that take the same rows take them in the same order.
    waiting.sort_by(|a, b| {
        let (a, b) = (&a.asked.passage, &b.asked.passage);
        (&a.user, a.session).cmp(&(&b.user, b.session))
    });
    while let Some(statement) = waiting.first().map(|first| first.asked.statement()) {
        let group = waiting.extract_if(.., |waiting| waiting.asked.statement() == statement);
        pass_group(&pool, statement, group.collect()).await;
    }
}

async fn pass_group(pool: &Pool, statement: &'static str, group: Vec<Waiting<Stage, bool>>) {
    let stages: Vec<&Stage> = group.iter().map(|waiting| &waiting.asked).collect();
    match pass(pool, statement, &stages).await {
        Ok(passed) => {
            for (waiting, passed) in group.into_iter().zip(passed) {
                waiting.answer(Ok(passed));
            }
        }
        // Nothing was written, because of one of them. Whatever that one waits
        // for, the others do not, nor do those who come.
        Err(sqlx::Error::Database(_)) if group.len() > 1 => {
            for alone in group {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let passed = pass(&pool, statement, &[&alone.asked]).await;
                    alone.answer(passed.map(|passed| passed == [true]).map_err(Error::from));
                });
            }
        }
        Err(cause) => {
            let cause = Arc::new(cause);
            for waiting in group {
                waiting.answer(Err(Error::Unavailable(Arc::clone(&cause).into())));
            }
        }
    }
}

/// Which of the stages are passed.
async fn pass(
    pool: &Pool,
    statement: &'static str,
    stages: &[&Stage],
) -> Result<Vec<bool>, sqlx::Error> {
    let write = async {
        let mut connection = pool.acquire().await?;
        let numbers = bound(statement, stages).fetch_all(&mut *connection).await?;
        connection.done();
        numbers.iter().map(|row| row.try_get::<i32, _>("number")).collect::<Result<Vec<_>, _>>()
    };
    match timeout(WAIT, write).await.unwrap_or_else(|late| Err(sqlx::Error::Io(late.into()))) {
        Ok(numbers) => Ok((1..).zip(stages).map(|(number, _)| numbers.contains(&number)).collect()),
        Err(sqlx::Error::Database(cause))
            if stages.len() == 1 && cause.code().as_deref() == Some(NOT_WHOLE) =>
        {
            Ok(vec![false])
        }
        Err(cause) => Err(cause),
    }
}
