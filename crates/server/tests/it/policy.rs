//! Whom the policy requires to have a second factor.

use serde_json::json;

use crate::kit::{Operation, PASSWORD, TestApp, on_every_database};

on_every_database![
    a_required_user_without_a_factor_is_shown_the_page,
    a_required_user_with_a_factor_logs_in,
    a_required_user_without_a_factor_gets_no_login_token,
    a_login_token_of_before_the_policy_lets_nobody_in,
    a_required_user_cannot_remove_the_last_factor,
    an_exempt_user_is_free,
    the_status_says_who_is_required,
];

/// An instance that requires a second factor of everyone but bots.
async fn strict(app: &TestApp) -> TestApp {
    app.planned(|plan| {
        plan.settings.policy.required_for = vec!["@*:example.org".parse().expect("a pattern")];
        plan.settings.policy.exempt = vec!["@bot*:example.org".parse().expect("a pattern")];
        plan.settings.public_url = "https://matrix.example.org".parse().expect("a URL");
    })
    .await
}

async fn a_required_user_without_a_factor_is_shown_the_page(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let alice = alice.over(&strict(&app).await);
    let login = alice.app.anonymous().post("login", &alice.password_stage()).await;
    let login = login.refuses(403, "M_FORBIDDEN");
    assert!(login.text().contains("https://matrix.example.org/account"), "{login:?}");
    // In bytes like any wrong password, for who does not know it.
    let wrong = alice.password_stage_with("a guess");
    let wrong = alice.app.anonymous().post("login", &wrong).await.refuses(403, "M_FORBIDDEN");
    assert!(!wrong.text().contains("account"));
    let devices = alice.client.get("devices").await.is(200).json()["devices"].clone();
    assert_eq!(devices.as_array().map(Vec::len), Some(1));
}

async fn a_required_user_with_a_factor_logs_in(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let alice = alice.over(&strict(&app).await);
    alice.log_in(&alice.code()).await.is(200);
}

async fn a_required_user_without_a_factor_gets_no_login_token(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let alice = alice.over(&strict(&app).await);
    let reply = alice.attempt(&Operation::login_token(), &json!({})).await;
    let reply = reply.refuses(403, "M_FORBIDDEN");
    assert!(reply.text().contains("https://matrix.example.org/account"), "{reply:?}");
}

async fn a_login_token_of_before_the_policy_lets_nobody_in(app: TestApp) {
    let (app, anon, alice) = app.with_user("alice").await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let issued = alice.prove_by_password(&Operation::login_token()).await.is(200);
        tokens.push(json!({"type": "m.login.token", "token": issued.string("login_token")}));
    }
    anon.post("login", &tokens[0]).await.is(200);
    let strict = strict(&app).await;
    strict.anonymous().post("login", &tokens[1]).await.refuses(403, "M_FORBIDDEN");
    let devices = alice.client.get("devices").await.is(200).json()["devices"].clone();
    assert_eq!(devices.as_array().map(Vec::len), Some(2));
}

async fn a_required_user_cannot_remove_the_last_factor(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let alice = alice.over(&strict(&app).await);
    let remove = Operation::remove(alice.factor().authenticator.as_str());
    alice.attempt(&remove, &json!({})).await.refuses(403, "M_FORBIDDEN");
    alice.prove(&Operation::begin("Second"), &alice.code()).await.is(200);
    // A pending one does not count as a factor.
    alice.attempt(&remove, &json!({})).await.refuses(403, "M_FORBIDDEN");
    assert!(alice.factors().await.protect());
}

async fn an_exempt_user_is_free(app: TestApp) {
    let (app, _anon, bot) = app.with_user("bot1").await;
    let bot = bot.over(&strict(&app).await);
    let login = bot.app.anonymous().post("login", &bot.password_stage_with(PASSWORD)).await;
    login.is(200);
}

async fn the_status_says_who_is_required(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let strict = strict(&app).await;
    let required = alice.client.get("account/two-factor").await.is(200).json()["required"].clone();
    assert_eq!(required, false);
    let alice = alice.over(&strict);
    let required = alice.client.get("account/two-factor").await.is(200).json()["required"].clone();
    assert_eq!(required, true);
}
