//! Which codes a clock may be off by.

use std::time::Duration;

use myelin_testing::NOW;
use myelin_two_factor::Window;

use crate::kit::{TestApp, User, on_every_database};

on_every_database![
    one_step_either_side_is_accepted_and_two_are_not,
    a_configured_window_is_the_window,
    a_code_lives_until_the_last_millisecond_of_its_window,
    a_code_of_the_far_future_or_past_is_wrong,
];

/// Logs a fresh user in with the code of some steps from now.
async fn status_with_drift(app: &TestApp, steps: i64) -> u16 {
    let name = format!("user{}{}", if steps < 0 { "minus" } else { "plus" }, steps.abs());
    let user = User::register(app, &name).await.protected(0).await;
    let reply = user.log_in(&user.code_in(steps)).await;
    let counted = u32::from(reply.status != 200);
    assert_eq!(user.failures().await, (counted, 0), "{steps} steps");
    reply.status.as_u16()
}

async fn one_step_either_side_is_accepted_and_two_are_not(app: TestApp) {
    for (steps, expected) in [(-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)] {
        assert_eq!(status_with_drift(&app, steps).await, expected, "{steps} steps");
    }
}

async fn a_configured_window_is_the_window(app: TestApp) {
    for (window, at_most) in [(0, 0), (2, 2)] {
        let app = app
            .planned(|plan| plan.settings.totp.window = Window::new(window).expect("in range"))
            .await;
        for steps in -3..=3_i64 {
            let name = format!("window{window}at{}", steps + 3);
            let user = User::register(&app, &name).await.protected(0).await;
            let expected = if steps.abs() <= at_most { 200 } else { 401 };
            user.log_in(&user.code_in(steps)).await.is(expected);
        }
    }
}

async fn a_code_lives_until_the_last_millisecond_of_its_window(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (app, _anon, bob) = app.with_protected_user("bob").await;
    let (of_alice, of_bob) = (alice.code(), bob.code());
    let begin = NOW - Duration::from_millis(NOW.as_millis() % 30_000);
    app.clock.set(begin + Duration::from_millis(59_999));
    alice.log_in(&of_alice).await.is(200);
    app.clock.set(begin + Duration::from_mins(1));
    bob.log_in(&of_bob).await.looks_wrong();
}

async fn a_code_of_the_far_future_or_past_is_wrong(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    for steps in [-1_000_000, -100, 100, 1_000_000] {
        alice.log_in(&alice.code_in(steps)).await.looks_wrong();
    }
    assert_eq!(alice.failures().await, (4, 0));
}
