use myelin_homeserver::{Homeserver, Operation, Silent};
use myelin_storage::Epoch;
use serde_json::json;

use crate::harness::{Home, PASSWORD, answered, context, proof, refused, request};

#[tokio::test]
async fn a_proof_for_someone_else_performs_nothing() {
    let home = Home::open().await;
    let (alice, bob) = (home.user("alice").await, home.user("bob").await);
    for (operation, path, body) in [
        (Operation::ChangePassword, vec![], json!({"new_password": "battery staple"})),
        (Operation::Deactivate, vec![], json!({})),
        (Operation::DeleteDevice, vec![alice.device.as_str()], json!({})),
        (Operation::DeleteDevices, vec![], json!({"devices": [alice.device]})),
        (Operation::UploadSigningKeys, vec![], json!({})),
    ] {
        for proven in [Some(&*bob.user), None] {
            let request = alice.request(operation, &path, body.clone());
            let result = home.embedded.perform(proof(proven), Epoch(0), request, &context()).await;
            assert!(result.is_err(), "{operation:?} with the proof of {proven:?}");
        }
    }
    assert!(alice.is_logged_in().await && home.is_password("alice", PASSWORD).await);
}

#[tokio::test]
async fn a_registration_takes_no_proof_of_a_user() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let body = json!({"username": "carol", "password": PASSWORD});
    let request = request(Operation::Register, None, &[], body);
    let result =
        home.embedded.perform(proof(Some(&alice.user)), Epoch(0), request, &context()).await;
    assert!(result.is_err());
    assert!(!home.is_password("carol", PASSWORD).await);
}

#[tokio::test]
async fn an_operation_without_a_token_is_refused() {
    let home = Home::open().await;
    for operation in [
        Operation::ChangePassword,
        Operation::Deactivate,
        Operation::AddThirdParty,
        Operation::AddThirdPartyDeprecated,
        Operation::DeleteDevice,
        Operation::DeleteDevices,
        Operation::UploadSigningKeys,
    ] {
        let request = request(operation, None, &["X"], json!({}));
        let refusal = home.embedded.precheck(&request).await.unwrap().unwrap_err();
        refused(&refusal, 401, "M_MISSING_TOKEN");
        let performed =
            home.embedded.perform(proof(None), Epoch(0), request, &context()).await.unwrap();
        assert_eq!(answered(performed).status(), 401);
    }
}

#[tokio::test]
async fn nothing_but_cross_signing_keys_passes_silently() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    for (operation, body) in [
        (Operation::Register, json!({"username": "bob", "password": PASSWORD})),
        (Operation::ChangePassword, json!({"new_password": "battery staple"})),
        (Operation::Deactivate, json!({})),
        (Operation::DeleteDevices, json!({"devices": [alice.device]})),
        (Operation::AddThirdParty, json!({})),
    ] {
        let silent = alice.try_silently(operation, body).await;
        assert!(matches!(silent, Silent::NeedsProof), "{operation:?}");
    }
    assert!(alice.is_logged_in().await && home.is_password("alice", PASSWORD).await);
}

#[tokio::test]
async fn a_debug_print_shows_neither_body_nor_query() {
    let mut request = request(Operation::Register, None, &[], json!({"password": "secret words"}));
    request.head.uri = http::Uri::from_static("/?access_token=secret");
    assert!(!format!("{request:?}").contains("secret"), "{request:?}");
}

#[tokio::test]
async fn what_was_proven_before_another_change_does_not_change_the_account() {
    let home = Home::open().await;
    let alice = home.user("alice").await;
    let phone = alice.on("PHONE").await;
    let old = home.database.store.lookup_factors(&alice.user).await.unwrap().epoch;
    home.database.store.end_sessions(&alice.user, None).await.unwrap();
    for (operation, body) in [
        (Operation::ChangePassword, json!({"new_password": "battery staple"})),
        (Operation::Deactivate, json!({})),
    ] {
        let request = alice.request(operation, &[], body);
        let performed =
            home.embedded.perform(proof(Some(&alice.user)), old, request, &context()).await;
        assert_eq!(answered(performed.unwrap()).status(), 403, "{operation:?}");
    }
    assert!(home.is_password("alice", PASSWORD).await && phone.is_logged_in().await);
}
