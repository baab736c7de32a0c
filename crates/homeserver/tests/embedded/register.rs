use myelin_homeserver::{
    Homeserver, Operation, Registration,
    embedded::{RegistrationPolicy, RegistrationToken},
};
use myelin_storage::{Action, Epoch};
use myelin_uia::{Flows, Stage};
use ruma::user_id;
use serde_json::{Value, json};

use crate::harness::{Home, PASSWORD, TOKEN_LIFETIME, answered, context, proof, refused, request};

#[tokio::test]
async fn a_new_user_is_logged_in_on_a_new_device() {
    let home = Home::open().await;
    let reply = home.register(json!({"username": "alice", "password": PASSWORD})).await;
    assert!(reply.is_kept_by_nobody);
    let body = reply.ok();
    assert_eq!(body["user_id"], "@alice:example.org");
    assert_eq!(body["device_id"].as_str().unwrap().len(), 10);
    assert!(body.get("refresh_token").is_none() && body.get("expires_in_ms").is_none());
    let identity = home.resolve(body["access_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(identity.user, "@alice:example.org");
    assert_eq!(identity.device_id.unwrap(), *body["device_id"].as_str().unwrap());
    assert!(home.is_password("alice", PASSWORD).await);
}

#[tokio::test]
async fn the_first_device_is_the_one_that_was_asked_for() {
    let home = Home::open().await;
    let body = json!({
        "username": "alice", "password": PASSWORD, "device_id": "PHONE",
        "initial_device_display_name": "My phone", "refresh_token": true,
    });
    let body = home.register(body).await.ok();
    assert_eq!(body["device_id"], "PHONE");
    assert!(body["refresh_token"].as_str().unwrap().starts_with("myr_"));
    assert_eq!(body["expires_in_ms"], u64::try_from(TOKEN_LIFETIME.as_millis()).unwrap());
    let device = home.get("devices/PHONE", body["access_token"].as_str().unwrap()).await.ok();
    assert_eq!(device["display_name"], "My phone");
}

#[tokio::test]
async fn inhibit_login_makes_no_device_and_no_token() {
    let home = Home::open().await;
    let body = json!({"username": "alice", "password": PASSWORD, "inhibit_login": true});
    assert_eq!(home.register(body).await.ok(), json!({"user_id": "@alice:example.org"}));
    let devices = home.database.accounts.devices(user_id!("@alice:example.org")).await.unwrap();
    assert_eq!(devices, []);
}

#[tokio::test]
async fn without_a_username_a_random_one_is_given() {
    let home = Home::open().await;
    let one = home.register(json!({"password": PASSWORD})).await.ok();
    let other = home.register(json!({"password": PASSWORD})).await.ok();
    assert_ne!(one["user_id"], other["user_id"]);
}

#[tokio::test]
async fn a_registration_that_cannot_be_is_refused_before_any_proof() {
    let home = Home::open().await;
    home.user("alice").await;
    for (body, status, errcode) in [
        (json!({"username": "alice", "password": PASSWORD}), 400, "M_USER_IN_USE"),
        (json!({"username": "Bob", "password": PASSWORD}), 400, "M_INVALID_USERNAME"),
        (json!({"username": "@bob:example.org"}), 400, "M_INVALID_USERNAME"),
        (json!({"username": ""}), 400, "M_INVALID_USERNAME"),
        (json!({"username": 1}), 400, "M_BAD_JSON"),
        (json!({"username": "bob", "password": "short"}), 400, "M_WEAK_PASSWORD"),
        (json!({"username": "bob", "password": ["x"]}), 400, "M_BAD_JSON"),
        (json!({"username": "bob", "inhibit_login": "yes"}), 400, "M_BAD_JSON"),
        (json!({"username": "bob", "device_id": ""}), 400, "M_INVALID_PARAM"),
        (json!({"username": "bob", "device_id": "x".repeat(256)}), 400, "M_INVALID_PARAM"),
        (json!({"username": "bob", "device_id": "a\u{0}b"}), 400, "M_INVALID_PARAM"),
        (
            json!({"username": "bob", "initial_device_display_name": "x".repeat(257)}),
            400,
            "M_INVALID_PARAM",
        ),
    ] {
        let request = request(Operation::Register, None, &[], body.clone());
        let refusal = home.embedded.precheck(&request).await.unwrap();
        refused(&refusal.expect_err(&body.to_string()), status, errcode);
    }
}

#[tokio::test]
async fn an_empty_body_may_ask_for_the_stages() {
    let home = Home::open().await;
    let request = request(Operation::Register, None, &[], json!({}));
    assert_eq!(home.embedded.precheck(&request).await.unwrap(), Ok(()));
    home.perform(None, request).await.refused(400, "M_MISSING_PARAM");
}

#[tokio::test]
async fn guests_are_refused() {
    let home = Home::open().await;
    for (uri, status, errcode) in [
        ("/?kind=guest", 403, "M_GUEST_ACCESS_FORBIDDEN"),
        ("/?kind=%67uest", 403, "M_GUEST_ACCESS_FORBIDDEN"),
        ("/?kind=admin", 400, "M_INVALID_PARAM"),
    ] {
        let mut request = request(Operation::Register, None, &[], json!({}));
        request.head.uri = http::Uri::from_static(uri);
        refused(&home.embedded.precheck(&request).await.unwrap().unwrap_err(), status, errcode);
    }
    let mut request = request(Operation::Register, None, &[], json!({}));
    request.head.uri = http::Uri::from_static("/?kind=user&other=1");
    assert_eq!(home.embedded.precheck(&request).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn of_two_who_want_one_name_at_once_one_gets_it() {
    let home = Home::open().await;
    let body = json!({"username": "alice", "password": PASSWORD});
    let attempt = || request(Operation::Register, None, &[], body.clone());
    let context = context();
    let (one, other) = tokio::join!(
        home.embedded.perform(proof(None), Epoch(0), attempt(), &context),
        home.embedded.perform(proof(None), Epoch(0), attempt(), &context),
    );
    let mut statuses = [one, other].map(|performed| answered(performed.unwrap()).status().as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn the_name_of_a_deactivated_user_stays_taken() {
    let home = Home::open().await;
    home.user("alice").await.perform(Operation::Deactivate, &[], json!({})).await.ok();
    let body = json!({"username": "alice", "password": PASSWORD});
    home.register(body).await.refused(400, "M_USER_IN_USE");
}

#[tokio::test]
async fn a_registration_is_logged_with_the_device() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    assert_eq!(home.log(&alice.user).await, [(Action::Registered, Some(alice.device.clone()))]);
}

#[tokio::test]
async fn closed_registration_is_refused_everywhere() {
    let home = Home::with(RegistrationPolicy::Closed).await;
    assert!(matches!(home.embedded.registration(), Registration::Closed));
    let body = json!({"username": "alice", "password": PASSWORD});
    let request = request(Operation::Register, None, &[], body);
    let refusal = home.embedded.precheck(&request).await.unwrap().unwrap_err();
    refused(&refusal, 403, "M_FORBIDDEN");
    let performed =
        home.embedded.perform(proof(None), Epoch(0), request, &context()).await.unwrap();
    assert_eq!(answered(performed).status(), 403);
    home.get("register/available?username=alice", "").await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn the_policy_decides_which_stage_registration_has() {
    let stages = |registration| match registration {
        Registration::Open(flows) => flows,
        Registration::Closed | Registration::Relayed => panic!("it is open"),
    };
    let open = Home::open().await;
    assert_eq!(stages(open.embedded.registration()), Flows::new([[Stage::Dummy]]));
    assert!(!open.embedded.check_registration_token("").await.unwrap());
    let policy = RegistrationPolicy::Token(vec![RegistrationToken::new("sesame")]);
    let home = Home::with(policy).await;
    assert_eq!(stages(home.embedded.registration()), Flows::new([[Stage::RegistrationToken]]));
    assert!(home.embedded.check_registration_token("sesame").await.unwrap());
    assert!(!home.embedded.check_registration_token("sesam").await.unwrap());
}

#[tokio::test]
async fn availability_tells_what_registration_would() {
    let home = Home::open().await;
    home.user("alice").await;
    let ask = async |query: &str| home.get(&format!("register/available{query}"), "").await;
    assert_eq!(ask("?username=bob").await.ok(), json!({"available": Value::Bool(true)}));
    ask("?username=alice").await.refused(400, "M_USER_IN_USE");
    ask("?username=ALICE").await.refused(400, "M_INVALID_USERNAME");
    ask("").await.refused(400, "M_MISSING_PARAM");
}
