//! Waits: when they begin, how they grow, and when a week counts.

use std::time::Duration;

use serde_json::json;

use crate::kit::{Operation, TestApp, User, on_every_database, recovery, totp};

const SECOND: u64 = 1000;
const HOUR: Duration = Duration::from_hours(1);

on_every_database![
    four_wrong_codes_cost_nothing_and_the_fifth_starts_a_wait,
    the_right_code_waits_like_a_wrong_one_and_works_afterwards,
    an_attempt_during_a_wait_does_not_lengthen_it,
    waits_double_up_to_an_hour,
    a_success_ends_the_run,
    fifty_in_a_row_disable_and_recovery_leads_to_a_new_authenticator,
    failures_of_a_week_slow_down_although_the_owner_logs_in,
    a_week_later_the_count_begins_anew,
];

/// Guesses once, in a new login.
async fn guess(user: &User) -> crate::kit::Reply {
    user.log_in(&user.wrong_code()).await
}

/// Guesses until the wait begins; its length in milliseconds.
async fn guess_until_wait(user: &User) -> u64 {
    for _ in 0..4 {
        guess(user).await.looks_wrong();
    }
    guess(user).await.waits()
}

async fn four_wrong_codes_cost_nothing_and_the_fifth_starts_a_wait(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    for failures in 1..=4 {
        guess(&alice).await.looks_wrong();
        assert_eq!(alice.failures().await, (failures, 0));
    }
    assert_eq!(guess(&alice).await.waits(), 30 * SECOND);
    assert_eq!(alice.failures().await, (5, 0));
}

async fn the_right_code_waits_like_a_wrong_one_and_works_afterwards(app: TestApp) {
    let (app, anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    guess_until_wait(&alice).await;
    let wrong = alice.finish_login(&session, &alice.wrong_code()).await;
    let right = alice.finish_login(&session, &alice.code()).await;
    let malformed = anon.post("login", &json!({"auth": totp(&session, "nonsense")})).await;
    assert_eq!((&wrong.body, &wrong.status), (&right.body, &right.status));
    assert_eq!(malformed.body, right.body);
    assert_eq!((wrong.waits(), right.waits()), (30 * SECOND, 30 * SECOND));
    app.advance(Duration::from_millis(29_999));
    assert_eq!(alice.finish_login(&session, &alice.code()).await.waits(), 1);
    app.advance(Duration::from_millis(1));
    alice.finish_login(&session, &alice.code()).await.is(200);
}

async fn an_attempt_during_a_wait_does_not_lengthen_it(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    guess_until_wait(&alice).await;
    let session = alice.start_login().await;
    for _ in 0..30 {
        alice.finish_login(&session, &alice.wrong_code()).await.waits();
        app.advance(Duration::from_secs(1));
    }
    assert_eq!(alice.failures().await, (5, 0));
    alice.finish_login(&session, &alice.code()).await.is(200);
}

async fn waits_double_up_to_an_hour(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let mut wait = guess_until_wait(&alice).await;
    for expected in [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600] {
        app.advance(Duration::from_millis(wait));
        wait = guess(&alice).await.waits();
        assert_eq!(wait, expected * SECOND);
    }
}

async fn a_success_ends_the_run(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    for _ in 0..4 {
        guess(&alice).await.looks_wrong();
    }
    alice.log_in(&alice.code()).await.is(200);
    assert_eq!(alice.failures().await, (0, 0));
    app.advance_steps(1);
    for _ in 0..4 {
        guess(&alice).await.looks_wrong();
    }
    alice.log_in(&alice.code()).await.is(200);
}

async fn fifty_in_a_row_disable_and_recovery_leads_to_a_new_authenticator(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    for _ in 0..49 {
        guess(&alice).await;
        app.advance(HOUR);
    }
    assert_eq!(status(&alice).await, "active");
    guess(&alice).await.looks_wrong();
    assert_eq!(status(&alice).await, "disabled");
    // The right code opens nothing any more, now or after any wait.
    alice.log_in(&alice.code()).await.waits();
    app.advance(HOUR);
    alice.log_in(&alice.code()).await.looks_wrong();
    // It still protects: the password alone opens nothing either.
    let old = alice.factor().authenticator.as_str().to_owned();
    alice.start_confirmed(&Operation::remove(&old)).await;
    // Recovery lets in, and a new authenticator can be set up.
    let login = alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
    let set_up = Operation::begin("New phone");
    let session = alice.start_confirmed(&set_up).await;
    let auth = recovery(&session, &alice.recovery_code(1));
    let begun = alice.attempt(&set_up, &auth).await.is(200);
    let alice = alice.holding(&begun);
    alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    app.advance_steps(1);
    alice.prove(&Operation::remove(&old), &alice.code()).await.is(200);
    app.advance_steps(1);
    alice.log_in(&alice.code()).await.is(200);
    alice.client.with_token(login.string("access_token")).get("account/whoami").await.is(200);
}

/// The status of the user's only authenticator, as the user sees it.
async fn status(user: &User) -> String {
    let status = user.client.get("account/two-factor").await.is(200).json();
    let listed = &status["providers"]["m.login.2fa.totp"]["authenticators"];
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{status}");
    listed[0]["status"].as_str().expect("a status").to_owned()
}

/// Twenty wrong codes, with a login of the owner after every fourth.
async fn spend_the_week(app: &TestApp, user: &User) {
    for _ in 0..5 {
        for _ in 0..4 {
            guess(user).await.looks_wrong();
        }
        user.log_in(&user.code()).await.is(200);
        app.advance_steps(1);
    }
}

async fn failures_of_a_week_slow_down_although_the_owner_logs_in(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    spend_the_week(&app, &alice).await;
    assert_eq!(guess(&alice).await.waits(), 30 * SECOND);
    app.advance_steps(1);
    alice.log_in(&alice.code()).await.is(200);
    assert_eq!(guess(&alice).await.waits(), 60 * SECOND);
}

async fn a_week_later_the_count_begins_anew(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    spend_the_week(&app, &alice).await;
    app.advance(Duration::from_hours(7 * 24));
    assert_eq!(guess_until_wait(&alice).await, 30 * SECOND);
}
