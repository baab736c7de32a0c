use http::Method;
use myelin_homeserver::{Device, Homeserver, Operation};
use myelin_storage::{Action, Epoch};
use ruma::user_id;
use serde_json::json;

use crate::harness::{Client, Home, NOW, TOKEN_LIFETIME, context, proof, refused};

fn refreshable() -> Device {
    Device { refresh_token: true, ..Device::default() }
}

#[tokio::test]
async fn a_login_names_the_user_and_the_device() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let device = Device {
        device_id: Some("PHONE".into()),
        initial_display_name: Some("My phone".to_owned()),
        refresh_token: false,
    };
    let reply = home.log_in(&alice.user, device).await;
    assert!(reply.is_kept_by_nobody);
    let body = reply.ok();
    assert_eq!((&body["user_id"], &body["device_id"]), (&json!(alice.user), &json!("PHONE")));
    assert!(body.get("refresh_token").is_none() && body.get("expires_in_ms").is_none());
    assert!(body["access_token"].as_str().unwrap().starts_with("mya_"));
    let phone = Client::new(&home, &body);
    assert_eq!(home.resolve(&phone.token).await.unwrap(), phone.identity());
    let last = home.log(&alice.user).await.pop().unwrap();
    assert_eq!(last, (Action::LoggedIn, Some("PHONE".to_owned())));
}

#[tokio::test]
async fn a_login_on_a_device_that_exists_ends_its_older_token() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let older = alice.on("PHONE").await;
    let newer = alice.on("PHONE").await;
    assert!(!older.is_logged_in().await);
    assert!(newer.is_logged_in().await && alice.is_logged_in().await);
}

#[tokio::test]
async fn a_device_that_nobody_can_have_is_refused() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    for id in [String::new(), "x".repeat(256), "a\nb".to_owned()] {
        let device = Device { device_id: Some(id.into()), ..Device::default() };
        home.log_in(&alice.user, device).await.refused(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn nobody_logs_in_to_an_account_that_is_closed_or_missing() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    alice.perform(Operation::Deactivate, &[], json!({})).await.ok();
    home.log_in(&alice.user, Device::default()).await.refused(403, "M_USER_DEACTIVATED");
    let bob = user_id!("@bob:example.org");
    home.log_in(bob, Device::default()).await.refused(403, "M_USER_DEACTIVATED");
}

#[tokio::test]
async fn a_proof_without_a_user_logs_nobody_in() {
    let home = Home::open().await;
    let context = context();
    let login = home.embedded.log_in(proof(None), Device::default(), Epoch(0), &context);
    assert!(login.await.is_err());
}

#[tokio::test]
async fn a_proof_from_before_a_change_logs_nobody_in() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let before = home.database.store.lookup_factors(&alice.user).await.unwrap().epoch;
    home.database.store.end_sessions(&alice.user, None).await.unwrap();
    let login = home.log_in_as_of(&alice.user, Device::default(), before).await;
    login.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_token_that_is_not_known_is_refused_for_good() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let cut = &alice.token[..alice.token.len() - 1];
    for token in ["", "mya_", "mya_unknown", "nonsense", cut] {
        let refusal = home.resolve(token).await.unwrap_err();
        refused(&refusal, 401, "M_UNKNOWN_TOKEN");
        assert!(!refusal.soft_logout);
    }
}

#[tokio::test]
async fn an_expired_token_asks_for_a_refresh() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let login = home.log_in(&alice.user, refreshable()).await.ok();
    let phone = Client::new(&home, &login);
    home.clock.set(NOW + TOKEN_LIFETIME - std::time::Duration::from_millis(1));
    assert!(phone.is_logged_in().await);
    home.clock.set(NOW + TOKEN_LIFETIME);
    let refusal = home.resolve(&phone.token).await.unwrap_err();
    refused(&refusal, 401, "M_UNKNOWN_TOKEN");
    let reply = home.get("account/whoami", &phone.token).await;
    assert_eq!(reply.body["soft_logout"], true);
    reply.refused(401, "M_UNKNOWN_TOKEN");
    assert!(alice.is_logged_in().await, "a token without a refresh token does not expire");
}

#[tokio::test]
async fn a_refresh_token_is_good_for_one_new_pair() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let login = home.log_in(&alice.user, refreshable()).await.ok();
    let phone = Client::new(&home, &login);
    home.clock.advance(TOKEN_LIFETIME);
    let spend = json!({"refresh_token": login["refresh_token"]});
    let reply = home.post("refresh", None, spend.clone()).await;
    assert!(reply.is_kept_by_nobody);
    let pair = reply.ok();
    assert_eq!(pair["expires_in_ms"], u64::try_from(TOKEN_LIFETIME.as_millis()).unwrap());
    assert_ne!(pair["refresh_token"], login["refresh_token"]);
    let renewed = home.resolve(pair["access_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(renewed, phone.identity());
    assert!(!phone.is_logged_in().await);
    home.post("refresh", None, spend).await.refused(401, "M_UNKNOWN_TOKEN");
    let next = json!({"refresh_token": pair["refresh_token"]});
    home.post("refresh", None, next).await.ok();
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_pair_works() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let login = home.log_in(&alice.user, refreshable()).await.ok();
    let spend = json!({"refresh_token": login["refresh_token"]});
    let (one, other) = tokio::join!(
        home.post("refresh", None, spend.clone()),
        home.post("refresh", None, spend.clone()),
    );
    let mut working = 0;
    for reply in [one, other] {
        let pair = reply.ok();
        let access = home.resolve(pair["access_token"].as_str().unwrap()).await.is_ok();
        let next = json!({"refresh_token": pair["refresh_token"]});
        let refreshed = home.post("refresh", None, next).await.status == 200;
        assert_eq!(access, refreshed);
        working += usize::from(access);
    }
    assert_eq!(working, 1);
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_is_made_again() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let login = home.log_in(&alice.user, refreshable()).await.ok();
    home.clock.advance(TOKEN_LIFETIME);
    let spend = json!({"refresh_token": login["refresh_token"]});
    let lost = home.post("refresh", None, spend.clone()).await.ok();
    let pair = home.post("refresh", None, spend.clone()).await.ok();
    assert!(home.resolve(lost["access_token"].as_str().unwrap()).await.is_err());
    assert!(home.resolve(pair["access_token"].as_str().unwrap()).await.is_ok());
    home.post("refresh", None, spend).await.refused(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn an_access_token_refreshes_nothing_and_a_refresh_token_names_nobody() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let login = home.log_in(&alice.user, refreshable()).await.ok();
    let swapped = json!({"refresh_token": login["access_token"]});
    home.post("refresh", None, swapped).await.refused(401, "M_UNKNOWN_TOKEN");
    assert!(home.resolve(login["refresh_token"].as_str().unwrap()).await.is_err());
}

#[tokio::test]
async fn a_refresh_without_a_token_is_a_missing_parameter() {
    let home = Home::open().await;
    home.post("refresh", None, json!({})).await.refused(400, "M_MISSING_PARAM");
    home.post("refresh", None, json!({"refresh_token": 1})).await.refused(400, "M_BAD_JSON");
    let path = "/_matrix/client/v3/refresh";
    home.send(Method::POST, path, None, "").await.refused(400, "M_NOT_JSON");
}

#[tokio::test]
async fn a_logout_takes_the_refresh_token_too() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let login = home.log_in(&alice.user, refreshable()).await.ok();
    let token = login["access_token"].as_str();
    assert_eq!(home.post("logout", token, json!({})).await.ok(), json!({}));
    let spend = json!({"refresh_token": login["refresh_token"]});
    home.post("refresh", None, spend).await.refused(401, "M_UNKNOWN_TOKEN");
    assert!(alice.is_logged_in().await);
}
