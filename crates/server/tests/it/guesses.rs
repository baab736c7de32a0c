//! One counter, wherever somebody guesses.

use myelin_testing::race::race;

use crate::kit::{Operation, TestApp, User, on_every_database, recovery, totp};

on_every_database![
    guesses_at_several_endpoints_and_sessions_hit_one_counter,
    guesses_at_recovery_hit_one_counter,
    every_spelling_of_a_name_is_one_account,
    guesses_at_two_instances_hit_one_counter,
    counters_survive_a_restart,
    parallel_guesses_are_all_counted_and_few_are_evaluated,
    the_right_code_among_parallel_guesses_gains_nothing_after_the_fifth,
];

async fn guesses_at_several_endpoints_and_sessions_hit_one_counter(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let wrong = alice.wrong_code();
    let devices = Operation::delete_devices(&["NOSUCH"]);
    alice.log_in(&wrong).await.looks_wrong();
    alice.prove(&devices, &wrong).await.looks_wrong();
    alice.prove(&Operation::regenerate(), &wrong).await.looks_wrong();
    alice.prove(&Operation::login_token(), &wrong).await.looks_wrong();
    assert_eq!(alice.prove(&devices, &wrong).await.waits(), 30_000);
    for operation in Operation::repeatable() {
        alice.prove(&operation, &alice.code()).await.waits();
    }
    alice.log_in(&alice.code()).await.waits();
}

async fn guesses_at_recovery_hit_one_counter(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let wrong = "0123-4567-89AB-CDEF";
    alice.log_in_by_recovery(wrong).await.looks_wrong();
    for operation in Operation::repeatable().into_iter().take(3) {
        alice.prove_by_recovery(&operation, wrong).await.looks_wrong();
    }
    let regenerate = Operation::regenerate();
    assert_eq!(alice.prove_by_recovery(&regenerate, wrong).await.waits(), 30_000);
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.waits();
}

async fn every_spelling_of_a_name_is_one_account(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let names = ["alice", "ALICE", "@alice:example.org", "@Alice:EXAMPLE.org", "aLiCe"];
    for (failures, name) in (1..).zip(names) {
        let mut stage = alice.password_stage();
        stage["identifier"]["user"] = name.into();
        let session = anon.post("login", &stage).await.is(401).session();
        alice.finish_login(&session, &alice.wrong_code()).await;
        assert_eq!(alice.failures().await, (failures, 0), "{name}");
    }
    let legacy = serde_json::json!({
        "type": "m.login.password", "user": "alice", "password": crate::kit::PASSWORD,
    });
    let session = anon.post("login", &legacy).await.is(401).session();
    alice.finish_login(&session, &alice.code()).await.waits();
}

async fn guesses_at_two_instances_hit_one_counter(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let other = app.second_instance().await;
    for _ in 0..2 {
        alice.log_in(&alice.wrong_code()).await.looks_wrong();
    }
    let alice = alice.over(&other);
    for _ in 0..2 {
        alice.log_in(&alice.wrong_code()).await.looks_wrong();
    }
    alice.log_in(&alice.wrong_code()).await.waits();
    let alice = alice.over(&app);
    alice.log_in(&alice.code()).await.waits();
}

async fn counters_survive_a_restart(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    for _ in 0..3 {
        alice.finish_login(&session, &alice.wrong_code()).await.looks_wrong();
        alice.recover_login(&session, "0000-0000-0000-0000").await.looks_wrong();
    }
    let restarted = app.second_instance().await;
    let alice = alice.over(&restarted);
    drop(app);
    assert_eq!(alice.failures().await, (3, 3));
    // So does the session.
    alice.finish_login(&session, &alice.wrong_code()).await.looks_wrong();
    alice.finish_login(&session, &alice.wrong_code()).await.waits();
    let restarted = restarted.second_instance().await;
    let alice = alice.over(&restarted);
    alice.log_in(&alice.code()).await.waits();
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
}

/// Sends each of these codes in a session of its own, all at once.
async fn all_at_once(user: &User, codes: Vec<String>) -> Vec<u16> {
    let mut contenders = Vec::new();
    for (number, code) in (0..).zip(codes) {
        // Each from an address of its own: no quota ends a session.
        let client = user.app.anonymous().at(&format!("203.0.113.{number}"));
        let session = client.post("login", &user.password_stage()).await.is(401).session();
        let body = serde_json::json!({"auth": totp(&session, &code)});
        contenders.push(async move { client.post("login", &body).await.status.as_u16() });
    }
    race(contenders).await
}

async fn parallel_guesses_are_all_counted_and_few_are_evaluated(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let statuses = all_at_once(&alice, vec![alice.wrong_code(); 100]).await;
    let evaluated = statuses.iter().filter(|status| **status == 401).count();
    let waiting = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((evaluated, waiting), (4, 96));
    // The fifth was evaluated as well, and started the wait.
    assert_eq!(alice.failures().await, (5, 0));
    let failed = ["totp_failed", "totp_waiting"];
    let counted = alice.actions().await.into_iter().filter(|action| failed.contains(action));
    assert_eq!(counted.count(), 5);
}

async fn the_right_code_among_parallel_guesses_gains_nothing_after_the_fifth(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    for _ in 0..5 {
        alice.finish(&operation, &session, &alice.wrong_code()).await;
    }
    let statuses = all_at_once(&alice, vec![alice.code(); 50]).await;
    assert_eq!(statuses, vec![429; 50]);
    let auth = recovery(&session, &alice.recovery_code(0));
    alice.attempt(&operation, &auth).await.is(200);
}
