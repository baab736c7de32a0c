use http::Method;
use myelin_homeserver::{Homeserver, Operation};
use myelin_storage::Action;
use serde_json::json;

use crate::harness::{Home, PASSWORD, refused};

const OTHER: &str = "battery staple";

#[tokio::test]
async fn a_new_password_replaces_the_old_and_logs_other_devices_out() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let phone = alice.on("PHONE").await;
    let body = json!({"new_password": OTHER});
    assert_eq!(phone.perform(Operation::ChangePassword, &[], body).await.ok(), json!({}));
    assert!(home.is_password("alice", OTHER).await);
    assert!(!home.is_password("alice", PASSWORD).await);
    assert!(phone.is_logged_in().await && !alice.is_logged_in().await);
    assert_eq!(home.log(&alice.user).await.pop().unwrap().0, Action::PasswordChanged);
}

#[tokio::test]
async fn logout_devices_false_keeps_them() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let phone = alice.on("PHONE").await;
    let body = json!({"new_password": OTHER, "logout_devices": false});
    phone.perform(Operation::ChangePassword, &[], body).await.ok();
    assert!(phone.is_logged_in().await && alice.is_logged_in().await);
}

#[tokio::test]
async fn a_password_that_cannot_be_set_is_refused_before_any_proof() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({"new_password": null}), "M_BAD_JSON"),
        (json!({"new_password": 12_345_678}), "M_BAD_JSON"),
        (json!({"new_password": ""}), "M_WEAK_PASSWORD"),
        (json!({"new_password": "1234567"}), "M_WEAK_PASSWORD"),
        (json!({"new_password": "x".repeat(513)}), "M_INVALID_PARAM"),
        (json!({"new_password": OTHER, "logout_devices": 1}), "M_BAD_JSON"),
    ] {
        let request = alice.request(Operation::ChangePassword, &[], body.clone());
        let refusal = home.embedded.precheck(&request).await.unwrap();
        refused(&refusal.expect_err(&body.to_string()), 400, errcode);
    }
    assert!(home.is_password("alice", PASSWORD).await);
}

#[tokio::test]
async fn a_refusal_does_not_repeat_what_was_sent() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let body = json!({"new_password": OTHER, "logout_devices": "battery staple"});
    let request = alice.request(Operation::ChangePassword, &[], body);
    let refusal = home.embedded.precheck(&request).await.unwrap().unwrap_err();
    assert!(!refusal.message.contains(OTHER), "{}", refusal.message);
}

#[tokio::test]
async fn a_deactivated_account_is_closed_for_good() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let phone = alice.on("PHONE").await;
    let bob = home.user("bob").await;
    let body = alice.perform(Operation::Deactivate, &[], json!({"erase": true})).await.ok();
    assert_eq!(body, json!({"id_server_unbind_result": "no-support"}));
    assert!(!alice.is_logged_in().await && !phone.is_logged_in().await);
    assert!(!home.is_password("alice", PASSWORD).await);
    assert!(bob.is_logged_in().await);
    assert_eq!(home.log(&alice.user).await.pop().unwrap(), (Action::Deactivated, None));
}

#[tokio::test]
async fn third_party_ids_are_refused_and_never_listed() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    for operation in [Operation::AddThirdParty, Operation::AddThirdPartyDeprecated] {
        let request = alice.request(operation, &[], json!({"sid": "s", "client_secret": "c"}));
        let refusal = home.embedded.precheck(&request).await.unwrap().unwrap_err();
        refused(&refusal, 403, "M_THREEPID_DENIED");
    }
    let listed = home.get("account/3pid", &alice.token).await.ok();
    assert_eq!(listed, json!({"threepids": []}));
    let path = "/_matrix/client/v3/account/3pid";
    let reply = home.send(Method::POST, path, Some(&alice.token), "{}").await;
    reply.refused(405, "M_UNRECOGNIZED");
}

#[tokio::test]
async fn whoami_names_the_user_and_the_device() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let body = home.get("account/whoami", &alice.token).await.ok();
    assert_eq!(body, json!({"user_id": alice.user, "device_id": alice.device}));
}

#[tokio::test]
async fn capabilities_say_what_can_be_changed() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let body = home.get("capabilities", &alice.token).await.ok();
    assert_eq!(body["capabilities"]["m.change_password"], json!({"enabled": true}));
    assert_eq!(body["capabilities"]["m.get_login_token"], json!({"enabled": true}));
    assert_eq!(body["capabilities"]["m.3pid_changes"], json!({"enabled": false}));
}
