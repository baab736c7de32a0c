//! Wrong passwords are counted by address, in front of the homeserver.

use std::time::Duration;

use crate::kit::{Operation, TestApp, on_every_database};

on_every_database![
    an_address_that_guesses_has_to_wait,
    logins_and_operations_share_the_allowance,
    right_passwords_cost_nothing,
];

async fn slow(app: &TestApp) -> TestApp {
    app.planned(|plan| plan.settings.wrong_passwords_per_minute = 3).await
}

async fn an_address_that_guesses_has_to_wait(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let app = slow(&app).await;
    let guesser = app.anonymous().at("192.0.2.66");
    for _ in 0..3 {
        guesser
            .post("login", &alice.password_stage_with("wrong"))
            .await
            .refuses(403, "M_FORBIDDEN");
    }
    // Also the right one, and for whomever.
    guesser.post("login", &alice.password_stage()).await.waits();
    app.anonymous().at("192.0.2.1").post("login", &alice.password_stage()).await.is(200);
    app.clock.advance(Duration::from_secs(20));
    guesser.post("login", &alice.password_stage()).await.is(200);
}

async fn logins_and_operations_share_the_allowance(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let alice = alice.over(&slow(&app).await);
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let wrong = alice.password_stage_with("wrong");
    for _ in 0..3 {
        alice.attempt(&operation, &wrong).await.refuses(401, "M_FORBIDDEN");
    }
    alice.attempt(&operation, &wrong).await.waits();
    alice.client.post("login", &alice.password_stage()).await.waits();
}

async fn right_passwords_cost_nothing(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let alice = alice.over(&slow(&app).await);
    for _ in 0..10 {
        alice.client.post("login", &alice.password_stage()).await.is(200);
    }
}
