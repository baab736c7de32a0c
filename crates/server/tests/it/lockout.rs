//! Nobody can lock another out, and a lock leaves the owner a way in.

use serde_json::json;

use crate::kit::{Client, Operation, TestApp, on_every_database, recovery, totp};

on_every_database![
    a_username_alone_cannot_count_against_its_owner,
    another_users_token_cannot_count_against_the_owner,
    recovery_works_while_codes_wait,
    codes_work_while_recovery_waits,
    wrong_recovery_codes_have_a_counter_of_their_own,
    recovery_is_never_disabled,
    a_wait_leaves_existing_devices_alone,
];

async fn guess_everything(anon: &Client, session: &serde_json::Value) {
    for auth in [
        json!({"type": "m.login.2fa.totp", "session": session, "token": "000000"}),
        json!({"type": "m.login.2fa.recovery", "session": session, "token": "0000-0000-0000-0000"}),
        json!({"type": "m.login.2fa.totp", "session": session, "token": "000000",
               "user": "alice", "identifier": {"type": "m.id.user", "user": "alice"}}),
    ] {
        anon.post("login", &json!({"auth": auth})).await.is(401);
    }
}

async fn a_username_alone_cannot_count_against_its_owner(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    for _ in 0..10 {
        let wrong = alice.password_stage_with("not the password");
        anon.post("login", &wrong).await.refuses(403, "M_FORBIDDEN");
        // A session in which nobody is known yet, then codes without a password.
        let session = anon.post("login", &json!({"auth": {}})).await.is(401).session();
        let mut auth = wrong.clone();
        auth["session"] = session.clone().into();
        anon.post("login", &json!({"auth": auth})).await.refuses(403, "M_FORBIDDEN");
        guess_everything(&anon, &json!(session)).await;
        guess_everything(&anon, &json!(null)).await;
    }
    assert_eq!(alice.failures().await, (0, 0));
    assert_eq!(alice.factors().await.totp.window_failures, 0);
    alice.log_in(&alice.code()).await.is(200);
}

async fn another_users_token_cannot_count_against_the_owner(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (_app, _anon, mallory) = app.with_protected_user("mallory").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    for _ in 0..10 {
        mallory.finish(&operation, &session, "000000").await.is(403);
        let begun = alice.factor().authenticator.as_str();
        mallory.confirm(begun, "000000").await.refuses(404, "M_NOT_FOUND");
    }
    assert_eq!((alice.failures().await, mallory.failures().await), ((0, 0), (0, 0)));
    alice.finish(&operation, &session, &alice.code()).await.is(200);
}

async fn recovery_works_while_codes_wait(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    for _ in 0..5 {
        alice.finish_login(&session, &alice.wrong_code()).await;
    }
    alice.finish_login(&session, &alice.code()).await.waits();
    alice.recover_login(&session, &alice.recovery_code(0)).await.is(200);
    // It has not ended the wait for codes.
    alice.log_in(&alice.code()).await.waits();
    alice.prove_by_recovery(&Operation::regenerate(), &alice.recovery_code(1)).await.is(200);
}

async fn codes_work_while_recovery_waits(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    for _ in 0..4 {
        alice.recover_login(&session, "0000-0000-0000-0000").await.looks_wrong();
    }
    alice.recover_login(&session, "0000-0000-0000-0000").await.waits();
    alice.recover_login(&session, &alice.recovery_code(0)).await.waits();
    assert_eq!(alice.failures().await, (0, 5));
    alice.finish_login(&session, &alice.code()).await.is(200);
}

async fn wrong_recovery_codes_have_a_counter_of_their_own(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    for _ in 0..3 {
        alice.finish_login(&session, &alice.wrong_code()).await.looks_wrong();
        alice.recover_login(&session, "0000-0000-0000-0000").await.looks_wrong();
    }
    assert_eq!(alice.failures().await, (3, 3));
    alice.finish_login(&session, &alice.code()).await.is(200);
    assert_eq!(alice.failures().await, (0, 3), "a code is no success of recovery");
}

async fn recovery_is_never_disabled(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    for _ in 0..60 {
        alice.log_in_by_recovery("0000-0000-0000-0000").await;
        app.advance(std::time::Duration::from_hours(1));
    }
    assert_eq!(alice.failures().await, (0, 60));
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
}

async fn a_wait_leaves_existing_devices_alone(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    for _ in 0..5 {
        alice.attempt(&operation, &totp(&session, &alice.wrong_code())).await;
    }
    alice.finish(&operation, &session, &alice.code()).await.waits();
    alice.client.get("account/whoami").await.is(200);
    alice.client.get("account/two-factor").await.is(200);
    let auth = recovery(&session, &alice.recovery_code(0));
    alice.attempt(&operation, &auth).await.is(200);
}
