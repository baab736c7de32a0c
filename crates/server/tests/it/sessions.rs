//! A session answers to the request it was opened for, for a while, once.

use std::time::Duration;

use serde_json::json;

use crate::kit::{Operation, PASSWORD, TestApp, User, on_every_database, totp};

on_every_database![
    a_session_of_one_user_is_refused_with_the_token_of_another,
    a_login_session_is_refused_by_every_operation,
    a_session_of_an_operation_is_refused_at_login,
    a_session_is_refused_at_another_endpoint,
    a_session_is_refused_with_another_path_parameter,
    a_session_is_refused_with_another_body,
    a_session_is_refused_with_another_method,
    a_session_is_the_same_under_every_version_prefix,
    a_session_for_another_request_stays_as_it_was,
    a_password_of_another_user_is_refused,
    an_expired_session_gets_a_new_challenge,
    a_session_that_a_client_chose_is_never_adopted,
    a_finished_session_is_not_executed_again,
    a_login_continues_only_for_the_device_it_began_with,
];

/// The right code for a session of another request: refused, and not spent.
async fn is_refused(alice: &User, operation: &Operation, session: &str) {
    let reply = alice.finish(operation, session, &alice.code()).await;
    reply.refuses(403, "M_FORBIDDEN");
}

async fn a_session_of_one_user_is_refused_with_the_token_of_another(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (_app, _anon, mallory) = app.with_protected_user("mallory").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    for code in [mallory.code(), alice.code()] {
        let reply = mallory.finish(&operation, &session, &code).await;
        reply.refuses(403, "M_FORBIDDEN");
    }
    assert_eq!((alice.failures().await, mallory.failures().await), ((0, 0), (0, 0)));
    alice.finish(&operation, &session, &alice.code()).await.is(200);
}

async fn a_login_session_is_refused_by_every_operation(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    for operation in Operation::repeatable() {
        is_refused(&alice, &operation, &session).await;
    }
    alice.finish_login(&session, &alice.code()).await.is(200);
}

async fn a_session_of_an_operation_is_refused_at_login(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    for operation in Operation::repeatable() {
        let session = alice.start_confirmed(&operation).await;
        alice.finish_login(&session, &alice.code()).await.refuses(403, "M_FORBIDDEN");
    }
    assert_eq!(alice.failures().await, (0, 0));
}

async fn a_session_is_refused_at_another_endpoint(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_confirmed(&Operation::login_token()).await;
    // The bodies are alike: what differs is the endpoint.
    is_refused(&alice, &Operation::regenerate(), &session).await;
    is_refused(&alice, &Operation::deactivate(), &session).await;
    alice.finish(&Operation::login_token(), &session, &alice.code()).await.is(200);
}

async fn a_session_is_refused_with_another_path_parameter(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_confirmed(&Operation::delete_device("HARMLESS")).await;
    is_refused(&alice, &Operation::delete_device("PHONE"), &session).await;
    is_refused(&alice, &Operation::delete_device("harmless"), &session).await;
    is_refused(&alice, &Operation::delete_device("HARMLESS%20"), &session).await;
    // The same parameter in another spelling is the same request.
    let same = Operation::delete_device("%48ARMLESS");
    alice.finish(&same, &session, &alice.code()).await.is(200);
}

async fn a_session_is_refused_with_another_body(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let asked = Operation::new("POST", "delete_devices", json!({"devices": ["A"], "x": {"y": 1}}));
    let session = alice.start_confirmed(&asked).await;
    for body in [
        json!({"devices": ["B"], "x": {"y": 1}}),
        json!({"devices": ["A", "B"], "x": {"y": 1}}),
        json!({"devices": ["A"], "x": {"y": 2}}),
        json!({"devices": ["A"]}),
        json!({"devices": ["A"], "x": {"y": 1}, "z": null}),
    ] {
        is_refused(&alice, &Operation::new("POST", "delete_devices", body), &session).await;
    }
    alice.finish(&asked, &session, &alice.code()).await.is(200);
}

async fn a_session_is_refused_with_another_method(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let id = alice.factor().authenticator.as_str().to_owned();
    let session = alice.start_confirmed(&Operation::remove(&id)).await;
    let path = format!("account/two-factor/totp/{id}");
    // PUT is a route of the same path, POST is none: neither takes the proof.
    let auth = totp(&session, &alice.code());
    alice.client.call("PUT", &path, &json!({"auth": auth})).await.is(400);
    alice.client.post(&path, &json!({"auth": auth})).await.is(405);
    assert_eq!(alice.factors().await.authenticators.len(), 1);
    alice.finish(&Operation::remove(&id), &session, &alice.code()).await.is(200);
}

async fn a_session_is_the_same_under_every_version_prefix(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_confirmed(&Operation::delete_devices(&["NOSUCH"])).await;
    let old =
        Operation::new("POST", "/_matrix/client/r0/delete_devices", json!({"devices": ["NOSUCH"]}));
    alice.finish(&old, &session, &alice.code()).await.is(200);
    let session = alice.start_login().await;
    let body = json!({"auth": totp(&session, &alice.code_in(1))});
    anon.post("/_matrix/client/unstable/login", &body).await.is(200);
}

async fn a_session_for_another_request_stays_as_it_was(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    for other in [Operation::delete_devices(&["OTHER"]), Operation::regenerate()] {
        for code in [alice.wrong_code(), "nonsense".to_owned(), alice.code()] {
            let reply = alice.finish(&other, &session, &code).await;
            reply.refuses(403, "M_FORBIDDEN");
        }
        alice.attempt(&other, &json!({"session": session})).await.refuses(403, "M_FORBIDDEN");
    }
    assert_eq!(alice.failures().await, (0, 0));
    let standing = alice.attempt(&operation, &json!({"session": session})).await;
    assert_eq!(standing.challenges(&["m.login.password"]).session(), session);
}

async fn a_password_of_another_user_is_refused(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (_app, _anon, mallory) = app.with_user("mallory").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = mallory.start(&operation).await;
    // Everybody has the same password here: only the name differs.
    for name in ["alice", "ALICE", "@alice:example.org"] {
        let identifier = json!({"type": "m.id.user", "user": name});
        let auth = json!({"type": "m.login.password", "identifier": identifier,
                          "password": PASSWORD, "session": session});
        mallory.attempt(&operation, &auth).await.refuses(403, "M_FORBIDDEN");
    }
    let mut own = alice.password_stage();
    own["session"] = alice.start(&operation).await.into();
    own["identifier"]["user"] = "@ALICE:Example.org".into();
    alice.attempt(&operation, &own).await.challenges(&["m.login.password"]);
}

async fn an_expired_session_gets_a_new_challenge(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    let login = alice.start_login().await;
    app.advance(Duration::from_mins(10));
    let reply = alice.finish(&operation, &session, &alice.code()).await;
    let reply = reply.refuses(401, "M_FORBIDDEN");
    assert_ne!(reply.session(), session);
    assert!(reply.completed().is_empty());
    let reply = alice.finish_login(&login, &alice.code()).await.refuses(401, "M_FORBIDDEN");
    assert_ne!(reply.session(), login);
    assert!(reply.completed().is_empty());
    // The code was not looked at.
    alice.log_in(&alice.code()).await.is(200);
}

async fn a_session_that_a_client_chose_is_never_adopted(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let long = "A".repeat(100_000);
    for chosen in ["", "x", "../../etc", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "\u{0}", &long] {
        let auth = json!({"type": "m.login.password", "session": chosen,
                          "user": "alice", "password": PASSWORD});
        let reply = alice.attempt(&operation, &auth).await.refuses(401, "M_FORBIDDEN");
        assert_ne!(reply.session(), chosen);
        assert!(reply.completed().is_empty(), "the password was taken");
        let reply = anon.post("login", &json!({"auth": auth})).await;
        let reply = reply.refuses(401, "M_FORBIDDEN");
        assert_ne!(reply.session(), chosen);
        assert!(reply.completed().is_empty(), "the password was taken");
    }
}

async fn a_finished_session_is_not_executed_again(app: TestApp) {
    let (app, anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    alice.finish_login(&session, &alice.code()).await.is(200);
    let again = anon.post("login", &json!({"auth": {"session": session}})).await;
    assert_ne!(again.refuses(401, "M_FORBIDDEN").session(), session);
    app.advance_steps(1);
    let again = alice.finish_login(&session, &alice.code()).await;
    assert_ne!(again.refuses(401, "M_FORBIDDEN").session(), session);
    let devices = alice.client.get("devices").await.is(200).json();
    assert_eq!(devices["devices"].as_array().map(Vec::len), Some(2));
}

async fn a_login_continues_only_for_the_device_it_began_with(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let mut first = alice.password_stage();
    first["device_id"] = "LAPTOP".into();
    first["initial_device_display_name"] = "Laptop".into();
    let session = anon.post("login", &first).await.is(401).session();
    let auth = totp(&session, &alice.code());
    for other in [
        json!({"auth": auth, "device_id": "PHONE"}),
        json!({"auth": auth, "device_id": "LAPTOP", "initial_device_display_name": "Phone"}),
        json!({"auth": auth, "refresh_token": true}),
    ] {
        anon.post("login", &other).await.refuses(403, "M_FORBIDDEN");
    }
    let reply = anon.post("login", &json!({"auth": auth, "device_id": "LAPTOP"})).await.is(200);
    assert_eq!(reply.string("device_id"), "LAPTOP");
    let device = alice.client.get("devices/LAPTOP").await.is(200);
    assert_eq!(device.string("display_name"), "Laptop");
}
