//! What a client is asked for, and how it may ask.

use serde_json::{Value, json};

use crate::kit::{Operation, PASSWORD, TestApp, on_every_database};

on_every_database![
    asking_without_auth_opens_a_session,
    a_session_alone_reports_where_it_stands,
    a_session_has_at_least_128_bits_and_no_two_are_alike,
    a_first_step_of_an_old_client_gets_a_text_for_a_person,
    a_first_step_inside_auth_gets_no_error,
    an_unknown_login_type_is_refused,
    login_lists_what_is_let_through,
    a_wrong_password_is_401_inside_an_operation_and_403_at_login,
    an_operation_without_a_token_is_refused,
    capabilities_name_the_second_factor,
    the_whole_way_of_an_old_and_of_a_new_client,
];

async fn asking_without_auth_opens_a_session(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    for body in [
        json!({"devices": []}),
        json!({"devices": [], "auth": null}),
        json!({"devices": [], "auth": {}}),
    ] {
        alice.client.post("delete_devices", &body).await.challenges(&[]);
    }
    for body in [json!({"auth": null}), json!({"auth": {}})] {
        anon.post("login", &body).await.challenges(&[]);
    }
}

async fn a_session_alone_reports_where_it_stands(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start(&operation).await;
    let alone = json!({"session": session});
    alice.attempt(&operation, &alone).await.challenges(&[]);
    alice.confirm_password(&operation, &session).await.is(401);
    let reply = alice.attempt(&operation, &alone).await.challenges(&["m.login.password"]);
    assert_eq!(reply.session(), session);
    let login = alice.start_login().await;
    let reply = anon.post("login", &json!({"auth": {"session": login}})).await;
    assert_eq!(reply.challenges(&["m.login.password"]).session(), login);
}

async fn a_session_has_at_least_128_bits_and_no_two_are_alike(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let mut sessions = Vec::new();
    for _ in 0..50 {
        let session = alice.start(&Operation::regenerate()).await;
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(session.len() >= 22 && session.bytes().all(safe), "{session}");
        sessions.push(session);
    }
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), 50);
}

async fn a_first_step_of_an_old_client_gets_a_text_for_a_person(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let reply = anon.post("login", &alice.password_stage()).await.refuses(401, "M_FORBIDDEN");
    assert_eq!(reply.completed(), ["m.login.password"]);
    assert!(reply.string("error").contains("code"));
    let json = reply.json();
    for key in ["access_token", "device_id", "user_id"] {
        assert!(json.get(key).is_none(), "{json}");
    }
    // No device and no token exist yet: only that of the registration.
    let devices = alice.client.get("devices").await.is(200).json();
    assert_eq!(devices["devices"].as_array().map(Vec::len), Some(1));
}

async fn a_first_step_inside_auth_gets_no_error(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let reply = anon.post("login", &json!({"auth": alice.password_stage()})).await;
    let session = reply.challenges(&["m.login.password"]).session();
    alice.finish_login(&session, &alice.code()).await.is(200);
}

async fn an_unknown_login_type_is_refused(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    for kind in ["m.login.dummy", "m.login.2fa.totp", "m.login.sso", "x", ""] {
        let body = json!({"type": kind, "user": "alice", "password": PASSWORD,
                          "token": alice.code()});
        anon.post("login", &body).await.refuses(400, "M_UNKNOWN");
    }
    anon.post("login", &json!({"user": "alice"})).await.refuses(400, "M_MISSING_PARAM");
    let token = json!({"type": "m.login.token", "token": "nonsense"});
    anon.post("login", &token).await.refuses(403, "M_FORBIDDEN");
}

async fn login_lists_what_is_let_through(app: TestApp) {
    let listed = app.anonymous().get("login").await.is(200).json();
    let types: Vec<_> = listed["flows"].as_array().expect("flows").iter().collect();
    let has = |name: &str| types.iter().any(|flow| flow["type"] == name);
    assert!(has("m.login.password") && has("m.login.token"), "{listed}");
    // Nothing is listed that is refused when it is tried.
    for flow in types {
        let body = json!({"type": flow["type"], "user": "a", "password": "b", "token": "c"});
        app.anonymous().post("login", &body).await.refuses(403, "M_FORBIDDEN");
    }
}

async fn a_wrong_password_is_401_inside_an_operation_and_403_at_login(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start(&operation).await;
    let mut wrong = alice.password_stage_with("not the password");
    wrong["session"] = session.clone().into();
    let reply = alice.attempt(&operation, &wrong).await.refuses(401, "M_FORBIDDEN");
    assert_eq!((reply.session(), reply.completed().len()), (session, 0));
    wrong.as_object_mut().expect("an object").remove("session");
    anon.post("login", &wrong).await.refuses(403, "M_FORBIDDEN");
    anon.post("login", &json!({"auth": wrong})).await.refuses(403, "M_FORBIDDEN");
}

async fn an_operation_without_a_token_is_refused(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_confirmed(&Operation::regenerate()).await;
    let auth = crate::kit::totp(&session, &alice.code());
    for operation in Operation::repeatable() {
        let body = operation.with_auth(&auth);
        let reply = anon.call(operation.method, &operation.path, &body).await;
        reply.refuses(401, "M_MISSING_TOKEN");
        let stranger = anon.with_token("mya_nonsense");
        let reply = stranger.call(operation.method, &operation.path, &body).await;
        reply.refuses(401, "M_UNKNOWN_TOKEN");
    }
    anon.get("account/two-factor").await.refuses(401, "M_MISSING_TOKEN");
}

async fn capabilities_name_the_second_factor(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let reply = alice.client.get("capabilities").await.is(200).json();
    let expected: Value = json!({
        "enabled": true,
        "providers": ["m.login.2fa.totp", "m.login.2fa.recovery"],
    });
    assert_eq!(reply["capabilities"]["m.two_factor"], expected);
    assert_eq!(reply["capabilities"]["m.change_password"]["enabled"], true);
}

async fn the_whole_way_of_an_old_and_of_a_new_client(app: TestApp) {
    let (app, anon, alice) = app.with_user("alice").await;
    let reply = anon.post("login", &alice.password_stage()).await.is(200);
    assert_eq!(reply.string("user_id"), "@alice:example.org");
    let alice = alice.set_up().await;
    app.advance_steps(1);
    let reply = alice.log_in(&alice.code()).await.is(200);
    let device = anon.with_token(reply.string("access_token"));
    let me = device.get("account/whoami").await.is(200);
    assert_eq!(me.string("user_id"), "@alice:example.org");
    assert_eq!(me.string("device_id"), reply.string("device_id"));
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
    app.advance_steps(1);
    let reply = alice.prove(&Operation::regenerate(), &alice.code()).await.is(200);
    assert_eq!(reply.strings("recovery_codes").len(), 10);
    app.advance_steps(1);
    let remove = Operation::remove(alice.factor().authenticator.as_str());
    assert_eq!(alice.prove(&remove, &alice.code()).await.is(200).json(), json!({}));
    anon.post("login", &alice.password_stage()).await.is(200);
}
