//! Taking a factor away needs a factor.

use serde_json::json;

use crate::kit::{Operation, TestApp, on_every_database};

on_every_database![
    removal_with_the_password_only_is_refused,
    regeneration_with_the_password_only_is_refused,
    beginning_with_the_password_only_is_refused_where_a_factor_exists,
    another_users_authenticator_cannot_be_removed_or_renamed,
    with_the_last_authenticator_the_recovery_codes_go,
    a_removed_authenticators_codes_are_worthless,
    a_pending_authenticator_goes_without_proof,
    after_removal_the_password_alone_is_enough_again,
];

async fn removal_with_the_password_only_is_refused(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let remove = Operation::remove(alice.factor().authenticator.as_str());
    let reply = alice.prove_by_password(&remove).await;
    let session = reply.challenges(&["m.login.password"]).session();
    let reply = alice.attempt(&remove, &json!({"session": session})).await;
    reply.challenges(&["m.login.password"]);
    assert_eq!(alice.factors().await.authenticators.len(), 1);
}

async fn regeneration_with_the_password_only_is_refused(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let reply = alice.prove_by_password(&Operation::regenerate()).await;
    reply.challenges(&["m.login.password"]);
    alice.client.get("account/two-factor/recovery").await.is(405);
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
}

async fn beginning_with_the_password_only_is_refused_where_a_factor_exists(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let reply = alice.prove_by_password(&Operation::begin("Attacker's phone")).await;
    reply.challenges(&["m.login.password"]);
    assert_eq!(alice.factors().await.authenticators.len(), 1);
}

async fn another_users_authenticator_cannot_be_removed_or_renamed(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (_app, _anon, mallory) = app.with_protected_user("mallory").await;
    let id = alice.factor().authenticator.as_str();
    let remove = Operation::remove(id);
    mallory.attempt(&remove, &json!({})).await.refuses(404, "M_NOT_FOUND");
    let reply = mallory.client.call("PUT", &remove.path, &json!({"name": "Mine"})).await;
    reply.refuses(404, "M_NOT_FOUND");
    for unknown in ["t_nonsense", "%00", "a%2Fb"] {
        let path = format!("account/two-factor/totp/{unknown}");
        let reply = alice.client.call("PUT", &path, &json!({"name": "Mine"})).await;
        reply.refuses(404, "M_NOT_FOUND");
        let reply = alice.attempt(&Operation::remove(unknown), &json!({})).await;
        reply.refuses(404, "M_NOT_FOUND");
    }
    assert_eq!(alice.factors().await.authenticators[0].name.as_str(), "Authenticator");
}

async fn with_the_last_authenticator_the_recovery_codes_go(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let remove = Operation::remove(alice.factor().authenticator.as_str());
    alice.prove(&remove, &alice.code()).await.is(200);
    let status = alice.client.get("account/two-factor").await.is(200).json();
    assert_eq!(status, json!({"providers": {}, "required": false}));
    // Set up again: the old recovery codes do not come back.
    let old = alice.recovery_code(0);
    let alice = alice.set_up().await;
    alice.log_in_by_recovery(&old).await.looks_wrong();
}

async fn a_removed_authenticators_codes_are_worthless(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let old = alice.factor().authenticator.as_str().to_owned();
    let begun = alice.prove(&Operation::begin("New"), &alice.code()).await.is(200);
    app.advance_steps(1);
    let (removed, of_old) = (Operation::remove(&old), [alice.code(), alice.code_in(1)]);
    let alice = alice.holding(&begun);
    alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    alice.prove(&removed, &of_old[0]).await.is(200);
    alice.log_in(&of_old[1]).await.looks_wrong();
    assert_eq!(alice.failures().await, (1, 0));
    app.advance_steps(1);
    alice.log_in(&alice.code()).await.is(200);
}

async fn a_pending_authenticator_goes_without_proof(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let begun = alice.prove_by_password(&Operation::begin("Phone")).await.is(200);
    let remove = Operation::remove(&begun.string("id"));
    let reply = alice.client.call("DELETE", &remove.path, &json!({})).await.is(200);
    assert_eq!(reply.json(), json!({}));
    let alice = alice.holding(&begun);
    alice.confirm(&begun.string("id"), &alice.code()).await.refuses(404, "M_NOT_FOUND");
}

async fn after_removal_the_password_alone_is_enough_again(app: TestApp) {
    let (_app, anon, alice) = app.with_protected_user("alice").await;
    let remove = Operation::remove(alice.factor().authenticator.as_str());
    alice.prove_by_recovery(&remove, &alice.recovery_code(0)).await.is(200);
    anon.post("login", &alice.password_stage()).await.is(200);
    alice.prove_by_password(&Operation::delete_devices(&["NOSUCH"])).await.is(200);
}
