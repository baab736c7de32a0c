use myelin_homeserver::{Homeserver, Operation, Silent};
use myelin_storage::Action;
use serde_json::{Value, json};

use crate::harness::{Client, Home, refused};

const UPLOAD: Operation = Operation::UploadSigningKeys;

fn key(client: &Client<'_>, usage: &str, public: &str) -> Value {
    let name = format!("ed25519:{public}");
    json!({"user_id": client.user, "usage": [usage], "keys": {name: public}})
}

fn master(client: &Client<'_>, public: &str) -> Value {
    json!({"master_key": key(client, "master", public)})
}

async fn stored(home: &Home, client: &Client<'_>) -> Option<Value> {
    let text = home.database.accounts.cross_signing(&client.user).await.unwrap();
    text.map(|text| serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn the_first_upload_needs_no_proof() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let body = json!({
        "master_key": key(&alice, "master", "AAAA"),
        "self_signing_key": key(&alice, "self_signing", "BBBB"),
        "user_signing_key": key(&alice, "user_signing", "CCCC"),
    });
    let silent = alice.try_silently(UPLOAD, body.clone()).await;
    assert!(matches!(silent, Silent::Done(response) if response.status() == 200));
    assert_eq!(stored(&home, &alice).await, Some(body));
    let last = home.log(&alice.user).await.pop().unwrap();
    let fields = "master_key, self_signing_key, user_signing_key".to_owned();
    assert_eq!(last, (Action::CrossSigningUploaded, Some(fields)));
}

#[tokio::test]
async fn an_upload_without_new_keys_needs_no_proof_and_changes_nothing() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let mut body = master(&alice, "AAAA");
    body["self_signing_key"] = key(&alice, "self_signing", "BBBB");
    alice.try_silently(UPLOAD, body.clone()).await;
    let log = home.log(&alice.user).await;
    for again in [body.clone(), master(&alice, "AAAA"), json!({})] {
        let silent = alice.try_silently(UPLOAD, again.clone()).await;
        assert!(matches!(silent, Silent::Done(_)), "{again}");
    }
    assert_eq!(stored(&home, &alice).await, Some(body));
    assert_eq!(home.log(&alice.user).await, log);
}

#[tokio::test]
async fn any_other_upload_needs_proof() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let first = master(&alice, "AAAA");
    alice.try_silently(UPLOAD, first.clone()).await;
    let mut signed = first.clone();
    signed["master_key"]["signatures"] = json!({&alice.user: {"ed25519:X": "sig"}});
    for other in [
        master(&alice, "BBBB"),
        signed,
        json!({"self_signing_key": key(&alice, "self_signing", "BBBB")}),
    ] {
        let silent = alice.try_silently(UPLOAD, other.clone()).await;
        assert!(matches!(silent, Silent::NeedsProof), "{other}");
    }
    assert_eq!(stored(&home, &alice).await, Some(first));
}

#[tokio::test]
async fn of_two_first_uploads_at_once_one_is_silent() {
    let home = Home::open().await;
    for name in ["alice", "bob", "carol", "dave"] {
        let user = home.user(name).await;
        let (one, other) = tokio::join!(
            user.try_silently(UPLOAD, master(&user, "AAAA")),
            user.try_silently(UPLOAD, master(&user, "BBBB")),
        );
        let done = [one, other].iter().filter(|silent| matches!(silent, Silent::Done(_))).count();
        assert_eq!(done, 1);
    }
}

#[tokio::test]
async fn proven_keys_are_added_and_a_new_master_key_replaces_all() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    alice.try_silently(UPLOAD, master(&alice, "AAAA")).await;
    let more = json!({"self_signing_key": key(&alice, "self_signing", "BBBB")});
    assert_eq!(alice.perform(UPLOAD, &[], more).await.ok(), json!({}));
    let both = stored(&home, &alice).await.unwrap();
    assert_eq!(both["master_key"], master(&alice, "AAAA")["master_key"]);
    assert!(both["self_signing_key"].is_object());
    alice.perform(UPLOAD, &[], master(&alice, "CCCC")).await.ok();
    assert_eq!(stored(&home, &alice).await, Some(master(&alice, "CCCC")));
}

#[tokio::test]
async fn keys_that_are_not_the_users_are_refused_before_any_proof() {
    let home = Home::open().await;
    let (alice, bob) = (home.user("alice").await, home.user("bob").await);
    let mut two = master(&alice, "AAAA");
    two["master_key"]["keys"]["ed25519:BBBB"] = json!("BBBB");
    for (body, errcode) in [
        (master(&bob, "AAAA"), "M_INVALID_PARAM"),
        (json!({"master_key": key(&alice, "self_signing", "AAAA")}), "M_INVALID_PARAM"),
        (two, "M_INVALID_PARAM"),
        (json!({"master_key": {"user_id": alice.user}}), "M_BAD_JSON"),
        (json!({"master_key": "AAAA"}), "M_BAD_JSON"),
        (json!({"self_signing_key": key(&alice, "self_signing", "B")}), "M_MISSING_PARAM"),
        (json!({}), "M_MISSING_PARAM"),
    ] {
        let request = alice.request(UPLOAD, &[], body.clone());
        let refusal = home.embedded.precheck(&request).await.unwrap();
        refused(&refusal.expect_err(&body.to_string()), 400, errcode);
        let silent = alice.try_silently(UPLOAD, body.clone()).await;
        assert!(matches!(silent, Silent::NeedsProof), "{body}");
    }
    assert_eq!(stored(&home, &alice).await, None);
}
