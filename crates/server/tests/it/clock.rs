//! A clock that jumps lets nobody in and keeps nobody out for good.

use std::time::Duration;

use myelin_testing::NOW;

use crate::kit::{Operation, TestApp, User, on_every_database};

const YEARS: Duration = Duration::from_hours(10 * 365 * 24);
const HOUR: Duration = Duration::from_hours(1);

on_every_database![
    a_clock_set_back_does_not_make_a_used_code_new,
    a_clock_set_back_does_not_make_an_older_code_new,
    a_clock_set_back_does_not_end_a_wait_early,
    a_clock_set_back_by_years_makes_nobody_wait_for_years,
    a_wait_that_began_in_the_future_is_over_within_the_hour,
    a_clock_set_forward_revives_no_session,
    a_clock_set_forward_wipes_no_run_of_failures,
    a_clock_that_went_forward_and_back_leaves_recovery,
];

async fn wait_begins(user: &User) {
    for _ in 0..4 {
        user.log_in(&user.wrong_code()).await.looks_wrong();
    }
    user.log_in(&user.wrong_code()).await.waits();
}

async fn a_clock_set_back_does_not_make_a_used_code_new(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.code();
    alice.log_in(&code).await.is(200);
    for back in [1, 15, 30, 31, 60] {
        app.clock.set(NOW - Duration::from_secs(back));
        alice.log_in(&code).await.refuses(401, "M_FORBIDDEN");
    }
    app.clock.set(NOW + Duration::from_secs(30));
    alice.log_in(&alice.code()).await.is(200);
}

async fn a_clock_set_back_does_not_make_an_older_code_new(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    alice.log_in(&alice.code()).await.is(200);
    // Everything the app shows then lies before the code that was accepted.
    for back in [30, 60, 3600, 86_400] {
        app.clock.set(NOW - Duration::from_secs(back));
        alice.log_in(&alice.code_in(-1)).await.looks_wrong();
        alice.log_in(&alice.code_in(0)).await.looks_wrong();
    }
}

async fn a_clock_set_back_does_not_end_a_wait_early(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    wait_begins(&alice).await;
    for back in [1, 60, 3600, 1_000_000] {
        app.clock.set(NOW - Duration::from_secs(back));
        alice.log_in(&alice.code()).await.waits();
    }
}

async fn a_clock_set_back_by_years_makes_nobody_wait_for_years(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    wait_begins(&alice).await;
    // The clock was wrong and is put right: to a time before all that.
    app.clock.set(NOW - YEARS);
    let wait = alice.log_in(&alice.code()).await.waits();
    assert!(wait <= 3_600_000, "{wait} ms");
    app.advance(HOUR);
    // No wait is left. (The app's codes are spent until the years are over:
    // time does not run backwards. Recovery is not.)
    alice.log_in(&alice.code()).await.looks_wrong();
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
}

async fn a_wait_that_began_in_the_future_is_over_within_the_hour(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    app.clock.set(NOW + YEARS);
    wait_begins(&alice).await;
    for _ in 0..5 {
        alice.log_in_by_recovery("0000-0000-0000-0000").await;
    }
    app.clock.set(NOW);
    assert!(alice.log_in(&alice.code()).await.waits() <= 3_600_000);
    assert!(alice.log_in_by_recovery(&alice.recovery_code(0)).await.waits() <= 3_600_000);
    app.advance(HOUR);
    alice.log_in(&alice.code()).await.is(200);
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
}

async fn a_clock_set_forward_revives_no_session(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    app.clock.set(NOW + YEARS);
    let reply = alice.finish(&operation, &session, &alice.code()).await;
    assert!(reply.refuses(401, "M_FORBIDDEN").completed().is_empty());
}

async fn a_clock_set_forward_wipes_no_run_of_failures(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    wait_begins(&alice).await;
    app.clock.set(NOW + YEARS);
    // The wait is over, the run is not: the next wait is the longer one.
    assert_eq!(alice.log_in(&alice.wrong_code()).await.waits(), 60_000);
}

async fn a_clock_that_went_forward_and_back_leaves_recovery(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    app.clock.set(NOW + YEARS);
    alice.log_in(&alice.code()).await.is(200);
    app.clock.set(NOW);
    alice.log_in(&alice.code()).await.looks_wrong();
    let set_up = Operation::begin("New phone");
    let begun = alice.prove_by_recovery(&set_up, &alice.recovery_code(0)).await.is(200);
    let alice = alice.holding(&begun);
    alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    app.advance_steps(1);
    alice.log_in(&alice.code()).await.is(200);
}
