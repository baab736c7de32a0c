//! Stages come in the order of the flow, and what is done is done.

use serde_json::json;

use crate::kit::{Operation, TestApp, on_every_database, recovery, totp};

on_every_database![
    a_code_before_the_password_changes_nothing,
    a_recovery_code_before_the_password_changes_nothing,
    a_completed_stage_cannot_be_retried,
    a_stage_that_is_not_offered_looks_like_a_wrong_code,
    a_user_without_a_factor_is_offered_the_password_alone,
    a_user_with_a_factor_is_offered_both_flows_in_order,
    recovery_is_offered_only_while_codes_are_left,
    no_password_alone_finishes_anything_where_a_factor_exists,
];

async fn a_code_before_the_password_changes_nothing(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start(&operation).await;
    let reply = alice.finish(&operation, &session, &alice.code()).await.looks_wrong();
    assert_eq!((reply.session(), reply.completed().len()), (session.clone(), 0));
    alice.finish(&operation, &session, &alice.wrong_code()).await.looks_wrong();
    assert_eq!(alice.failures().await, (0, 0));
    // Neither the session nor the code is spent.
    alice.confirm_password(&operation, &session).await.challenges(&["m.login.password"]);
    alice.finish(&operation, &session, &alice.code()).await.is(200);
}

async fn a_recovery_code_before_the_password_changes_nothing(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start(&operation).await;
    let auth = recovery(&session, &alice.recovery_code(0));
    alice.attempt(&operation, &auth).await.looks_wrong();
    alice.confirm_password(&operation, &session).await.challenges(&["m.login.password"]);
    alice.attempt(&operation, &auth).await.is(200);
}

async fn a_completed_stage_cannot_be_retried(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    let reply = alice.confirm_password(&operation, &session).await.looks_wrong();
    assert_eq!(reply.completed(), ["m.login.password"]);
    let login = alice.start_login().await;
    let mut auth = alice.password_stage();
    auth["session"] = login.clone().into();
    let reply = alice.app.anonymous().post("login", &json!({"auth": auth})).await.looks_wrong();
    assert_eq!(reply.completed(), ["m.login.password"]);
    alice.finish_login(&login, &alice.code()).await.is(200);
}

async fn a_stage_that_is_not_offered_looks_like_a_wrong_code(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    for kind in ["m.login.dummy", "m.login.nonsense", "m.login.recaptcha"] {
        let auth = json!({"type": kind, "session": session});
        anon.post("login", &json!({"auth": auth})).await.looks_wrong();
    }
    alice.finish_login(&session, &alice.code()).await.is(200);
}

async fn a_user_without_a_factor_is_offered_the_password_alone(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    for operation in [Operation::delete_devices(&["X"]), Operation::begin("Phone")] {
        let reply = alice.attempt(&operation, &json!({})).await.challenges(&[]);
        assert_eq!(reply.json()["flows"], json!([{"stages": ["m.login.password"]}]));
        let session = reply.session();
        alice.attempt(&operation, &totp(&session, "123456")).await.looks_wrong();
        let code = recovery(&session, "0000-0000-0000-0000");
        alice.attempt(&operation, &code).await.looks_wrong();
    }
    assert_eq!(alice.failures().await, (0, 0));
}

async fn a_user_with_a_factor_is_offered_both_flows_in_order(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let flows = json!([
        {"stages": ["m.login.password", "m.login.2fa.totp"]},
        {"stages": ["m.login.password", "m.login.2fa.recovery"]},
    ]);
    let params = json!({
        "m.login.password": {},
        "m.login.2fa.totp": {"digits": "6", "period": "30"},
        "m.login.2fa.recovery": {},
    });
    let mut replies = vec![anon.post("login", &alice.password_stage()).await];
    for operation in Operation::repeatable() {
        replies.push(alice.attempt(&operation, &json!({})).await);
    }
    for reply in replies {
        let json = reply.is(401).json();
        assert_eq!(json["flows"], flows);
        assert_eq!(json["params"], params);
    }
}

async fn recovery_is_offered_only_while_codes_are_left(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
    alice.log_in_by_recovery(&alice.recovery_code(1)).await.is(200);
    let reply = anon.post("login", &alice.password_stage()).await.is(401);
    let flows = json!([{"stages": ["m.login.password", "m.login.2fa.totp"]}]);
    assert_eq!(reply.json()["flows"], flows);
    alice.recover_login(&reply.session(), &alice.recovery_code(1)).await.looks_wrong();
}

async fn no_password_alone_finishes_anything_where_a_factor_exists(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let operations = Operation::repeatable().into_iter().chain([
        Operation::change_password("another long password"),
        Operation::deactivate(),
        Operation::remove(alice.factor().authenticator.as_str()),
    ]);
    for operation in operations {
        let session = alice.start_confirmed(&operation).await;
        let alone = json!({"session": session});
        let reply = alice.attempt(&operation, &alone).await;
        reply.challenges(&["m.login.password"]);
    }
    let login = alice.start_login().await;
    let reply = anon.post("login", &json!({"auth": {"session": login}})).await;
    assert!(reply.challenges(&["m.login.password"]).json().get("access_token").is_none());
    anon.with_token(alice.client.token()).get("account/whoami").await.is(200);
}
