//! Two instances on one database, with connections of their own: one code is
//! tried on both at once, and lets in once.

use std::time::Duration;

use myelin_homeserver::embedded::PasswordParameters;
use myelin_testing::race::race;
use serde_json::json;

use crate::kit::{Client, Kind, TestApp, User, totp};

/// Uses of one code in one round: half of them on each instance.
const USES: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_hundred_rounds_on_one_postgres_a_code_lets_in_exactly_once() {
    if let Some(app) = TestApp::init(Kind::Postgres).await {
        Box::pin(play(app, 100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_fifty_rounds_on_one_sqlite_file_a_code_lets_in_exactly_once() {
    if let Some(app) = TestApp::init(Kind::Sqlite).await {
        Box::pin(play(app, 50)).await;
    }
}

/// Plays rounds: in each the clock is one step further, and every waiting
/// login of the user sends the code of that step at the same moment.
async fn play(app: TestApp, rounds: usize) {
    let app = app
        .planned(|plan| {
            // The sessions of the losers wait for the next round.
            plan.settings.session_lifetime = Duration::from_hours(24 * 365);
            plan.password_hash = PasswordParameters::new(8, 1, 1).expect("valid costs");
            plan.connections = 16;
        })
        .await;
    let other = app.second_instance().await;
    let alice = User::register(&app, "alice").await.protected(0).await;
    let mut waiting = Vec::new();
    for number in 0..USES {
        let instance = if number % 2 == 0 { &app } else { &other };
        waiting.push(wait_for_code(&alice, instance, number).await);
    }
    let mut won = [0, 0];
    for round in 0..rounds {
        app.advance_steps(1);
        let code = alice.code();
        let contenders: Vec<_> = waiting
            .iter()
            .map(|(client, session)| {
                let (client, body) = (client.clone(), json!({"auth": totp(session, &code)}));
                async move { client.post("login", &body).await }
            })
            .collect();
        let replies = race(contenders).await;
        let winners: Vec<_> = (0..USES).filter(|place| replies[*place].status == 200).collect();
        let [winner] = winners[..] else { panic!("round {round}: {winners:?} were let in") };
        for (place, reply) in replies.into_iter().enumerate() {
            if place != winner {
                reply.looks_wrong();
            }
        }
        won[winner % 2] += 1;
        let instance = if winner % 2 == 0 { &app } else { &other };
        waiting[winner] = wait_for_code(&alice, instance, winner).await;
    }
    assert_eq!(alice.failures().await, (0, 0), "the losers were counted");
    // Had one instance always been first, this would have been no race.
    assert!(won.iter().all(|wins| *wins > 0), "{won:?}");
}

/// A login that has passed the password, at an address of its own.
async fn wait_for_code(user: &User, instance: &TestApp, number: usize) -> (Client, String) {
    let client = instance.anonymous().at(&format!("203.0.113.{number}"));
    let reply = client.post("login", &user.password_stage()).await.is(401);
    (client, reply.session())
}
