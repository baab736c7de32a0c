//! App passwords: a login for a program, and nothing else.

use myelin_server::Settings;
use myelin_testing::race::race;
use serde_json::{Value, json};

use crate::kit::{Operation, TestApp, User, on_every_database};

on_every_database![
    an_app_password_logs_in_without_a_second_factor,
    an_app_password_logs_in_a_user_without_factors_too,
    an_app_password_needs_a_proof_with_the_second_factor,
    an_app_password_is_shown_once_and_kept_out_of_caches,
    an_app_password_of_another_user_looks_like_a_wrong_password,
    an_app_password_passes_no_stage_of_an_operation,
    an_app_password_passes_no_stage_of_a_login_session,
    no_client_can_name_the_stage_of_an_app_password,
    another_spelling_of_an_app_password_is_a_wrong_password,
    a_revoked_app_password_looks_like_a_wrong_password,
    another_users_app_password_is_neither_listed_nor_revoked,
    each_use_is_listed_and_in_the_audit_log,
    the_policy_forbids_making_and_using_app_passwords,
    a_user_who_has_to_have_a_factor_does_not_log_in_with_an_app_password_alone,
    a_new_password_ends_app_passwords,
    the_first_factor_ends_app_passwords_that_the_password_had_made,
    removing_the_factor_leaves_app_passwords,
    an_app_password_has_a_name,
    beyond_the_limit_no_app_password_is_made_and_no_code_spent,
    every_prefix_answers_alike,
];

const PATH: &str = "account/two-factor/app-passwords";

fn make(name: &str) -> Operation {
    Operation::new("POST", PATH, json!({"name": name}))
}

/// Makes an app password with the code of now.
async fn made(user: &User) -> (String, String) {
    let reply = if user.factors().await.protect() {
        user.prove(&make("Bot"), &user.code()).await.is(200)
    } else {
        user.prove_by_password(&make("Bot")).await.is(200)
    };
    (reply.string("id"), reply.string("password"))
}

async fn log_in(user: &User, password: &str) -> crate::kit::Reply {
    user.app.anonymous().post("login", &user.password_stage_with(password)).await
}

async fn listed(user: &User) -> Vec<Value> {
    let reply = user.client.get(PATH).await.is(200);
    reply.json()["app_passwords"].as_array().cloned().expect("a list")
}

async fn an_app_password_logs_in_without_a_second_factor(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let (_, password) = made(&alice).await;
    for _ in 0..2 {
        let reply = log_in(&alice, &password).await.is(200);
        assert_eq!(reply.string("user_id"), alice.id);
        let bot = alice.client.with_token(reply.string("access_token"));
        bot.get("account/whoami").await.is(200);
    }
    // The password itself still takes the second factor.
    alice.start_login().await;
}

async fn an_app_password_logs_in_a_user_without_factors_too(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let (_, password) = made(&alice).await;
    log_in(&alice, &password).await.is(200);
}

async fn an_app_password_needs_a_proof_with_the_second_factor(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    alice.client.post(PATH, &json!({"name": "Bot"})).await.challenges(&[]);
    let reply = alice.prove_by_password(&make("Bot")).await;
    reply.challenges(&["m.login.password"]);
    app.anonymous().post(PATH, &json!({"name": "Bot"})).await.refuses(401, "M_MISSING_TOKEN");
    assert!(listed(&alice).await.is_empty());
}

async fn an_app_password_is_shown_once_and_kept_out_of_caches(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let reply = alice.prove(&make("Bot"), &alice.code()).await.is(200);
    assert_eq!(reply.header("cache-control"), "no-store");
    let password = reply.string("password");
    assert!(password.starts_with("mapp-") && password.len() == 44, "{password}");
    for path in [PATH, "account/two-factor"] {
        assert!(!alice.client.get(path).await.text().contains(&password[5..]));
    }
    let logged = format!("{:?}", alice.events().await);
    assert!(!logged.contains(&password[5..]));
}

async fn an_app_password_of_another_user_looks_like_a_wrong_password(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (_app, _anon, bob) = app.with_user("bob").await;
    let (_, password) = made(&alice).await;
    let other = log_in(&bob, &password).await.refuses(403, "M_FORBIDDEN");
    let wrong = log_in(&bob, "no such password").await.refuses(403, "M_FORBIDDEN");
    let unknown = "mapp-0000-0000-0000-0000-0000-0000-0000-0000";
    let unknown = log_in(&alice, unknown).await.refuses(403, "M_FORBIDDEN");
    assert_eq!((&other.body, &unknown.body), (&wrong.body, &wrong.body));
    assert!(!bob.actions().await.contains(&"app_password_used"));
}

async fn an_app_password_passes_no_stage_of_an_operation(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let (_, password) = made(&alice).await;
    for operation in Operation::repeatable().into_iter().chain([make("Another")]) {
        let session = alice.start(&operation).await;
        let mut auth = alice.password_stage_with(&password);
        auth["session"] = session.into();
        let reply = alice.attempt(&operation, &auth).await.refuses(401, "M_FORBIDDEN");
        assert!(reply.completed().is_empty());
    }
}

async fn an_app_password_passes_no_stage_of_a_login_session(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (_, password) = made(&alice).await;
    let anon = app.anonymous();
    let session = anon.post("login", &json!({"auth": {}})).await.is(401).session();
    let mut auth = alice.password_stage_with(&password);
    auth["session"] = session.into();
    anon.post("login", &json!({"auth": auth})).await.refuses(403, "M_FORBIDDEN");
}

async fn no_client_can_name_the_stage_of_an_app_password(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (_, password) = made(&alice).await;
    for name in ["", "app_password", "m.login.app_password"] {
        let mut body = alice.password_stage_with(&password);
        body["type"] = name.into();
        app.anonymous().post("login", &body).await.refuses(400, "M_UNKNOWN");
        let session = alice.start(&make("Another")).await;
        body["session"] = session.into();
        alice.attempt(&make("Another"), &body).await.refuses(401, "M_FORBIDDEN");
    }
}

async fn another_spelling_of_an_app_password_is_a_wrong_password(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let (_, password) = made(&alice).await;
    let others = [
        password.to_uppercase(),
        password.replace('-', ""),
        format!("{password} "),
        password[5..].to_owned(),
        String::new(),
    ];
    for other in others {
        log_in(&alice, &other).await.refuses(403, "M_FORBIDDEN");
    }
}

async fn a_revoked_app_password_looks_like_a_wrong_password(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let (id, password) = made(&alice).await;
    let device = log_in(&alice, &password).await.is(200).string("access_token");
    let path = format!("{PATH}/{id}");
    let outcomes = race((0..8).map(|_| {
        let (client, path) = (alice.client.clone(), path.clone());
        async move { client.call("DELETE", &path, &json!({})).await.status.as_u16() }
    }))
    .await;
    assert_eq!(outcomes.iter().filter(|status| **status == 200).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|status| [200, 404].contains(status)), "{outcomes:?}");
    log_in(&alice, &password).await.refuses(403, "M_FORBIDDEN");
    // What is logged in stays: that is what devices are for.
    alice.client.with_token(device).get("account/whoami").await.is(200);
    assert!(alice.actions().await.contains(&"app_password_revoked"));
}

async fn another_users_app_password_is_neither_listed_nor_revoked(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (_app, _anon, bob) = app.with_user("bob").await;
    let (id, password) = made(&alice).await;
    assert!(listed(&bob).await.is_empty());
    for id in [id.as_str(), "p_AAAAAAAAAAAAAAAA", "p_x", "%00", "t_AAAAAAAAAAAAAAAA"] {
        let reply = bob.client.call("DELETE", &format!("{PATH}/{id}"), &json!({})).await;
        reply.refuses(404, "M_NOT_FOUND");
    }
    log_in(&alice, &password).await.is(200);
}

async fn each_use_is_listed_and_in_the_audit_log(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (id, password) = made(&alice).await;
    let before = listed(&alice).await;
    let made_ts = app.now().as_millis();
    assert_eq!(before, [json!({"id": id, "name": "Bot", "created_ts": made_ts})]);
    app.advance_steps(3);
    log_in(&alice, &password).await.is(200);
    let used = listed(&alice).await[0]["last_used_ts"].as_u64();
    assert_eq!(used, Some(app.now().as_millis()));
    let actions = alice.actions().await;
    let last: Vec<_> = actions.iter().rev().take(2).copied().collect();
    assert_eq!(last, ["logged_in", "app_password_used"]);
    assert!(actions.contains(&"app_password_created"));
}

async fn the_policy_forbids_making_and_using_app_passwords(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let (id, password) = made(&alice).await;
    let strict = app
        .planned(|plan| {
            plan.settings = Settings { app_passwords: false, ..plan.settings.clone() };
        })
        .await;
    let alice = alice.over(&strict);
    log_in(&alice, &password).await.refuses(403, "M_FORBIDDEN");
    alice.client.post(PATH, &json!({"name": "Bot"})).await.refuses(403, "M_FORBIDDEN");
    // What is there can be seen and revoked.
    assert_eq!(listed(&alice).await.len(), 1);
    alice.client.call("DELETE", &format!("{PATH}/{id}"), &json!({})).await.is(200);
}

async fn a_user_who_has_to_have_a_factor_does_not_log_in_with_an_app_password_alone(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let (_, password) = made(&alice).await;
    let strict = app
        .planned(|plan| plan.settings.policy.required_for = vec!["*".parse().expect("a pattern")])
        .await;
    let alice = alice.over(&strict);
    let reply = log_in(&alice, &password).await.refuses(403, "M_FORBIDDEN");
    assert!(reply.string("error").contains("second factor"));
}

async fn a_new_password_ends_app_passwords(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let (_, password) = made(&alice).await;
    let change = Operation::change_password("another quiet horse");
    alice.prove(&change, &alice.code_in(1)).await.is(200);
    log_in(&alice, &password).await.refuses(403, "M_FORBIDDEN");
    assert!(listed(&alice).await.is_empty());
}

async fn the_first_factor_ends_app_passwords_that_the_password_had_made(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let (_, password) = made(&alice).await;
    let alice = alice.set_up().await;
    log_in(&alice, &password).await.refuses(403, "M_FORBIDDEN");
}

async fn removing_the_factor_leaves_app_passwords(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let (_, password) = made(&alice).await;
    let remove = Operation::remove(alice.factor().authenticator.as_str());
    alice.prove(&remove, &alice.code_in(1)).await.is(200);
    log_in(&alice, &password).await.is(200);
}

async fn an_app_password_has_a_name(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    alice.client.post(PATH, &json!({})).await.refuses(400, "M_MISSING_PARAM");
    for name in [json!(""), json!("x".repeat(65)), json!("a\nb"), json!(" a")] {
        let reply = alice.client.post(PATH, &json!({"name": name})).await;
        reply.refuses(400, "M_INVALID_PARAM");
    }
    alice.client.post(PATH, &json!({"name": 7})).await.refuses(400, "M_BAD_JSON");
}

async fn beyond_the_limit_no_app_password_is_made_and_no_code_spent(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    for _ in 0..myelin_storage::APP_PASSWORDS {
        made(&alice).await;
    }
    let reply = alice.client.post(PATH, &json!({"name": "One more"})).await;
    reply.refuses(400, "M_LIMIT_EXCEEDED");
}

async fn every_prefix_answers_alike(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    for prefix in myelin_server::routes::PREFIXES {
        let path = format!("{prefix}{PATH}");
        alice.client.get(&path).await.is(200);
        alice.client.post(&path, &json!({"name": "Bot"})).await.challenges(&[]);
        let unknown = format!("{path}/p_AAAAAAAAAAAAAAAA");
        alice.client.call("DELETE", &unknown, &json!({})).await.refuses(404, "M_NOT_FOUND");
        app.anonymous().get(&path).await.refuses(401, "M_MISSING_TOKEN");
    }
}
