//! What was proven before a change is worth nothing after it.

use myelin_storage::{Action, Actor, Event, Origin};
use serde_json::json;

use crate::kit::{Operation, TestApp, Upstream, User, on_every_database};

on_every_database![
    a_changed_password_voids_sessions,
    a_confirmed_authenticator_voids_sessions,
    a_removed_authenticator_voids_sessions,
    regenerated_recovery_codes_void_sessions,
    a_reset_voids_sessions,
    a_deactivated_account_leaves_no_session,
    an_operation_begun_without_a_factor_needs_one_once_it_exists,
    a_login_token_does_not_outlive_a_change_of_factors,
    a_set_up_does_not_outlive_a_changed_password,
    an_ordinary_login_leaves_other_sessions_alone,
];

/// Sessions that have passed the password: of a login, and of an operation.
struct Half {
    operation: Operation,
    login: String,
    session: String,
}

impl Half {
    async fn of(user: &User) -> Self {
        let operation = Operation::delete_devices(&["NOSUCH"]);
        let login = user.start_login().await;
        let session = user.start_confirmed(&operation).await;
        Self { operation, login, session }
    }

    async fn is_void(&self, user: &User, code: &str) {
        let reply = user.finish_login(&self.login, code).await.refuses(401, "M_FORBIDDEN");
        assert_ne!(reply.session(), self.login);
        assert!(reply.completed().is_empty());
        let reply = user.finish(&self.operation, &self.session, code).await;
        let reply = reply.refuses(401, "M_FORBIDDEN");
        assert_ne!(reply.session(), self.session);
        assert!(reply.completed().is_empty());
    }
}

async fn a_changed_password_voids_sessions(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let half = Half::of(&alice).await;
    let change = Operation::change_password("another long password");
    alice.prove(&change, &alice.code()).await.is(200);
    half.is_void(&alice, &alice.code_in(1)).await;
}

async fn a_confirmed_authenticator_voids_sessions(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let begun = alice.prove(&Operation::begin("Tablet"), &alice.code()).await.is(200);
    let half = Half::of(&alice).await;
    let next = alice.code_in(1);
    let alice = alice.holding(&begun);
    alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    app.advance_steps(1);
    half.is_void(&alice, &next).await;
}

async fn a_removed_authenticator_voids_sessions(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let begun = alice.prove(&Operation::begin("Tablet"), &alice.code()).await.is(200);
    let remove = Operation::remove(alice.factor().authenticator.as_str());
    let alice = alice.holding(&begun);
    alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    let half = Half::of(&alice).await;
    app.advance_steps(1);
    alice.prove(&remove, &alice.code()).await.is(200);
    half.is_void(&alice, &alice.code_in(1)).await;
}

async fn regenerated_recovery_codes_void_sessions(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let half = Half::of(&alice).await;
    alice.prove(&Operation::regenerate(), &alice.code()).await.is(200);
    half.is_void(&alice, &alice.code_in(1)).await;
}

async fn a_reset_voids_sessions(app: TestApp) {
    let (app, anon, alice) = app.with_protected_user("alice").await;
    let half = Half::of(&alice).await;
    let event = Event {
        at: app.now(),
        user: alice.id.clone(),
        action: Action::TwoFactorReset,
        origin: Origin { actor: Actor::Admin("root".to_owned()), address: None, request_id: None },
        detail: None,
    };
    assert!(app.store.reset(&alice.id, event).await.expect("the store answers"));
    half.is_void(&alice, &alice.code()).await;
    anon.post("login", &alice.password_stage()).await.is(200);
}

async fn a_deactivated_account_leaves_no_session(app: TestApp) {
    let (app, anon, alice) = app.with_protected_user("alice").await;
    let login = alice.start_login().await;
    alice.prove(&Operation::deactivate(), &alice.code()).await.is(200);
    let reply = alice.finish_login(&login, &alice.code_in(1)).await.refuses(401, "M_FORBIDDEN");
    assert!(reply.completed().is_empty());
    anon.post("login", &alice.password_stage()).await.refuses(403, "M_FORBIDDEN");
    alice.client.get("account/whoami").await.refuses(401, "M_UNKNOWN_TOKEN");
    assert_eq!(app.database.rows("authenticators").await, 0);
    assert_eq!(app.database.rows("recovery_codes").await, 0);
}

async fn an_operation_begun_without_a_factor_needs_one_once_it_exists(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let operations = [
        Operation::delete_devices(&["NOSUCH"]),
        Operation::begin("Attacker's phone"),
        Operation::change_password("another long password"),
        Operation::deactivate(),
    ];
    let mut sessions = Vec::new();
    for operation in &operations {
        sessions.push(alice.start(operation).await);
    }
    let login = app.anonymous().post("login", &json!({"auth": {}})).await.is(401).session();
    let alice = alice.set_up().await;
    for (operation, session) in operations.iter().zip(sessions) {
        alice.confirm_password(operation, &session).await.is(401);
    }
    let mut auth = alice.password_stage();
    auth["session"] = login.into();
    let reply = app.anonymous().post("login", &json!({"auth": auth})).await;
    reply.challenges(&["m.login.password"]);
    assert_eq!(alice.factors().await.authenticators.len(), 1);
}

async fn a_login_token_does_not_outlive_a_change_of_factors(app: TestApp) {
    let (_app, anon, alice) = app.with_user("alice").await;
    let reply = alice.prove_by_password(&Operation::login_token()).await.is(200);
    let token = reply.string("login_token");
    let alice = alice.set_up().await;
    let body = json!({"type": "m.login.token", "token": token});
    anon.post("login", &body).await.refuses(403, "M_FORBIDDEN");
    // One that was issued after both factors lets in, once.
    alice.app.advance_steps(1);
    let reply = alice.prove(&Operation::login_token(), &alice.code()).await.is(200);
    let body = json!({"type": "m.login.token", "token": reply.string("login_token")});
    anon.post("login", &body).await.is(200);
    anon.post("login", &body).await.refuses(403, "M_FORBIDDEN");
}

async fn a_set_up_does_not_outlive_a_changed_password(app: TestApp) {
    let upstream = Upstream::start().await;
    for app in [app.in_front_of(&upstream).await, app] {
        let (_app, anon, bob) = app.with_user("bob").await;
        let begun = bob.prove_by_password(&Operation::begin("Not mine")).await.is(200);
        let new = "another long password";
        bob.prove_by_password(&Operation::change_password(new)).await.is(200);
        let bob = bob.holding(&begun);
        bob.confirm(&begun.string("id"), &bob.code()).await.refuses(404, "M_NOT_FOUND");
        anon.post("login", &bob.password_stage_with(new)).await.is(200);
    }
}

async fn an_ordinary_login_leaves_other_sessions_alone(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let half = Half::of(&alice).await;
    alice.log_in(&alice.code_in(-1)).await.is(200);
    alice.finish_login(&half.login, &alice.code()).await.is(200);
    alice.finish(&half.operation, &half.session, &alice.code_in(1)).await.is(200);
}
