use http::Method;
use myelin_homeserver::{Homeserver, Operation};
use myelin_storage::Action;
use serde_json::json;

use crate::harness::{Home, refused};

#[tokio::test]
async fn a_user_sees_the_own_devices_only() {
    let home = Home::open().await;
    let alice = home.user("alice").await.on("PHONE").await;
    let bob = home.user("bob").await.on("TABLET").await;
    let listed = home.get("devices", &alice.token).await.ok();
    let devices = listed["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    assert!(devices.iter().any(|device| device["device_id"] == "PHONE"));
    assert!(home.get("devices/PHONE", &alice.token).await.ok()["last_seen_ts"].is_u64());
    for unknown in ["TABLET", "phone", "%00", &"x".repeat(256)] {
        let reply = home.get(&format!("devices/{unknown}"), &alice.token).await;
        reply.refused(404, "M_NOT_FOUND");
    }
    home.get("devices/TABLET", &bob.token).await.ok();
}

#[tokio::test]
async fn a_device_can_be_named() {
    let home = Home::open().await;
    let alice = home.user("alice").await.on("PHONE").await;
    let name = async || home.get("devices/PHONE", &alice.token).await.ok()["display_name"].clone();
    let body = json!({"display_name": "My phone"});
    assert_eq!(home.put("devices/PHONE", &alice.token, body).await.ok(), json!({}));
    assert_eq!(name().await, "My phone");
    for body in [json!({}), json!({"display_name": null}), json!({"other": 1})] {
        home.put("devices/PHONE", &alice.token, body).await.ok();
        assert_eq!(name().await, "My phone");
    }
    for (body, errcode) in [
        (json!({"display_name": 1}), "M_BAD_JSON"),
        (json!({"display_name": "x".repeat(257)}), "M_INVALID_PARAM"),
        (json!({"display_name": "a\u{0}"}), "M_INVALID_PARAM"),
    ] {
        home.put("devices/PHONE", &alice.token, body).await.refused(400, errcode);
    }
}

#[tokio::test]
async fn a_device_of_someone_else_cannot_be_named_or_deleted() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let bob = home.user("bob").await.on("TABLET").await;
    let body = json!({"display_name": "mine"});
    home.put("devices/TABLET", &alice.token, body).await.refused(404, "M_NOT_FOUND");
    alice.perform(Operation::DeleteDevice, &["TABLET"], json!({})).await.ok();
    alice.perform(Operation::DeleteDevices, &[], json!({"devices": ["TABLET"]})).await.ok();
    assert!(bob.is_logged_in().await);
}

#[tokio::test]
async fn a_deleted_device_is_logged_out_and_the_others_are_not() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let phone = alice.on("PHONE").await;
    let tablet = alice.on("TABLET").await;
    let body = alice.perform(Operation::DeleteDevice, &["PHONE"], json!({})).await.ok();
    assert_eq!(body, json!({}));
    assert!(!phone.is_logged_in().await);
    assert!(alice.is_logged_in().await && tablet.is_logged_in().await);
    let last = home.log(&alice.user).await.pop().unwrap();
    assert_eq!(last, (Action::DevicesDeleted, Some("PHONE".to_owned())));
}

#[tokio::test]
async fn several_devices_are_deleted_at_once() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let (phone, tablet) = (alice.on("PHONE").await, alice.on("TABLET").await);
    let body = json!({"devices": ["TABLET", "PHONE", "PHONE", "UNKNOWN", "a\u{0}b", ""]});
    alice.perform(Operation::DeleteDevices, &[], body).await.ok();
    assert!(!phone.is_logged_in().await && !tablet.is_logged_in().await);
    assert!(alice.is_logged_in().await);
}

#[tokio::test]
async fn an_empty_list_deletes_nothing_and_logs_nothing() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let before = home.log(&alice.user).await;
    alice.perform(Operation::DeleteDevices, &[], json!({"devices": []})).await.ok();
    assert!(alice.is_logged_in().await);
    assert_eq!(home.log(&alice.user).await, before);
}

#[tokio::test]
async fn a_list_that_is_none_is_refused_before_any_proof() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({"devices": "PHONE"}), "M_BAD_JSON"),
        (json!({"devices": [1]}), "M_BAD_JSON"),
        (json!({"devices": null}), "M_BAD_JSON"),
    ] {
        let request = alice.request(Operation::DeleteDevices, &[], body.clone());
        let refusal = home.embedded.precheck(&request).await.unwrap();
        refused(&refusal.expect_err(&body.to_string()), 400, errcode);
    }
}

#[tokio::test]
async fn a_logout_ends_this_device_only() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let phone = alice.on("PHONE").await;
    for endpoint in ["logout", "logout/all"] {
        for body in ["no JSON", "[]", r#"{"a":1,"a":2}"#] {
            let path = format!("/_matrix/client/v3/{endpoint}");
            let reply = home.send(Method::POST, &path, Some(&phone.token), body).await;
            assert_eq!(reply.status.as_u16(), 400, "{endpoint} {body}: {reply:?}");
        }
    }
    // Some clients send no body.
    let path = "/_matrix/client/v3/logout";
    home.send(Method::POST, path, Some(&phone.token), "").await.ok();
    assert!(!phone.is_logged_in().await && alice.is_logged_in().await);
    let reply = home.send(Method::POST, path, Some(&phone.token), "").await;
    reply.refused(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn a_logout_everywhere_ends_every_device_of_the_user() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let phone = alice.on("PHONE").await;
    let bob = home.user("bob").await;
    assert_eq!(home.post("logout/all", Some(&phone.token), json!({})).await.ok(), json!({}));
    assert!(!phone.is_logged_in().await && !alice.is_logged_in().await);
    assert!(bob.is_logged_in().await);
    let last = home.log(&alice.user).await.pop().unwrap();
    assert_eq!(last, (Action::DevicesDeleted, Some("all".to_owned())));
}

#[tokio::test]
async fn a_device_cannot_be_deleted_past_the_gate() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    for prefix in ["r0", "v3", "unstable"] {
        let path = format!("/_matrix/client/{prefix}/devices/{}", alice.device);
        let reply = home.send(Method::DELETE, &path, Some(&alice.token), "{}").await;
        reply.refused(405, "M_UNRECOGNIZED");
    }
    assert!(alice.is_logged_in().await);
}
