//! A code works once: at once, later, elsewhere, in another spelling.

use crate::kit::{Operation, TestApp, on_every_database};

on_every_database![
    a_used_code_is_refused_at_once,
    a_used_code_is_refused_in_the_next_window,
    a_code_of_a_login_is_refused_by_every_operation,
    a_code_of_an_operation_is_refused_at_login,
    another_spelling_of_a_used_code_is_the_used_code,
    an_older_code_is_refused_after_a_newer_one,
    the_code_that_confirmed_an_authenticator_is_spent_for_login,
    a_replayed_code_is_not_counted,
    two_different_codes_of_one_window_both_work,
];

async fn a_used_code_is_refused_at_once(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.code();
    alice.log_in(&code).await.is(200);
    alice.log_in(&code).await.looks_wrong();
}

async fn a_used_code_is_refused_in_the_next_window(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.code();
    alice.log_in(&code).await.is(200);
    app.advance_steps(1);
    alice.log_in(&code).await.looks_wrong();
    alice.log_in(&alice.code()).await.is(200);
}

async fn a_code_of_a_login_is_refused_by_every_operation(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.code();
    alice.log_in(&code).await.is(200);
    let operations = Operation::repeatable().into_iter().chain([
        Operation::change_password("another long password"),
        Operation::deactivate(),
        Operation::remove(alice.factor().authenticator.as_str()),
    ]);
    for operation in operations {
        alice.prove(&operation, &code).await.looks_wrong();
    }
}

async fn a_code_of_an_operation_is_refused_at_login(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    for operation in Operation::repeatable() {
        let code = alice.code();
        alice.prove(&operation, &code).await.is(200);
        alice.log_in(&code).await.looks_wrong();
        app.advance_steps(1);
    }
}

async fn another_spelling_of_a_used_code_is_the_used_code(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.code();
    let (first, last) = code.split_at(3);
    alice.log_in(&format!("{first} {last}")).await.is(200);
    for spelling in [format!(" {code}"), format!("{code} "), format!("{first}-{last}"), code] {
        alice.log_in(&spelling).await.looks_wrong();
    }
    assert_eq!(alice.failures().await, (0, 0));
}

async fn an_older_code_is_refused_after_a_newer_one(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    alice.log_in(&alice.code_in(1)).await.is(200);
    alice.log_in(&alice.code_in(0)).await.looks_wrong();
    alice.log_in(&alice.code_in(-1)).await.looks_wrong();
}

async fn the_code_that_confirmed_an_authenticator_is_spent_for_login(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let alice = alice.set_up().await;
    alice.log_in(&alice.code()).await.looks_wrong();
    app.advance_steps(1);
    alice.log_in(&alice.code()).await.is(200);
}

async fn a_replayed_code_is_not_counted(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let code = alice.code();
    alice.log_in(&code).await.is(200);
    for _ in 0..10 {
        alice.log_in(&code).await.looks_wrong();
    }
    assert_eq!(alice.failures().await, (0, 0));
    alice.log_in(&alice.code_in(1)).await.is(200);
}

async fn two_different_codes_of_one_window_both_work(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    alice.log_in(&alice.code_in(-1)).await.is(200);
    alice.log_in(&alice.code_in(0)).await.is(200);
    alice.log_in(&alice.code_in(1)).await.is(200);
}
