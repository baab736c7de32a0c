//! Setting up an authenticator: pending protects nothing, confirmed at once
//! protects everything, and the secret is shown once.

use std::time::Duration;

use myelin_testing::race::race;
use serde_json::json;

use crate::kit::{Operation, Reply, TestApp, User, on_every_database};

on_every_database![
    a_pending_authenticator_protects_nothing_and_unlocks_nothing,
    beginning_again_replaces_the_pending_one,
    beginning_again_leaves_active_ones_alone,
    an_abandoned_set_up_ends_after_ten_minutes,
    another_user_cannot_confirm,
    a_confirmed_authenticator_cannot_be_confirmed_again,
    of_many_confirmations_at_once_one_wins,
    the_fifth_wrong_code_destroys_a_pending_authenticator,
    no_endpoint_shows_a_secret_or_a_code_again,
    the_first_factor_brings_recovery_codes_and_later_ones_do_not,
    a_sixth_authenticator_is_refused,
    the_uri_and_the_secret_are_the_same,
    names_have_1_to_64_characters,
    a_second_authenticator_works_beside_the_first,
];

async fn begin(user: &User) -> Reply {
    user.prove_by_password(&Operation::begin("Phone")).await.is(200)
}

async fn a_pending_authenticator_protects_nothing_and_unlocks_nothing(app: TestApp) {
    let (_app, anon, alice) = app.with_user("alice").await;
    let begun = begin(&alice).await;
    let alice = alice.holding(&begun);
    anon.post("login", &alice.password_stage()).await.is(200);
    alice.prove_by_password(&Operation::delete_devices(&["NOSUCH"])).await.is(200);
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start(&operation).await;
    alice.finish(&operation, &session, &alice.code()).await.looks_wrong();
    let status = alice.client.get("account/two-factor").await.is(200).json();
    assert_eq!(status, json!({"providers": {}, "required": false}));
}

async fn beginning_again_replaces_the_pending_one(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let first = begin(&alice).await;
    let second = begin(&alice).await;
    assert_ne!(first.string("secret"), second.string("secret"));
    let alice = alice.holding(&first);
    let old = alice.code();
    alice.confirm(&first.string("id"), &old).await.refuses(404, "M_NOT_FOUND");
    let alice = alice.holding(&second);
    alice.confirm(&second.string("id"), &old).await.refuses(403, "M_FORBIDDEN");
    alice.confirm(&second.string("id"), &alice.code()).await.is(200);
}

async fn beginning_again_leaves_active_ones_alone(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    for steps in 0..2 {
        alice.prove(&Operation::begin("Other"), &alice.code_in(steps)).await.is(200);
    }
    app.advance_steps(2);
    alice.log_in(&alice.code()).await.is(200);
    let listed = alice.client.get("account/two-factor").await.is(200).json();
    let listed = &listed["providers"]["m.login.2fa.totp"]["authenticators"];
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
}

async fn an_abandoned_set_up_ends_after_ten_minutes(app: TestApp) {
    let (app, anon, alice) = app.with_user("alice").await;
    let begun = begin(&alice).await;
    assert_eq!(begun.json()["expires_in_ms"], 600_000);
    let alice = alice.holding(&begun);
    app.advance(Duration::from_mins(10));
    alice.confirm(&begun.string("id"), &alice.code()).await.refuses(404, "M_NOT_FOUND");
    anon.post("login", &alice.password_stage()).await.is(200);
    let begun = begin(&alice).await;
    let alice = alice.holding(&begun);
    app.advance(Duration::from_millis(599_999));
    alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
}

async fn another_user_cannot_confirm(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let (_app, _anon, mallory) = app.with_user("mallory").await;
    let begun = begin(&alice).await;
    let id = begun.string("id");
    let alice = alice.holding(&begun);
    for code in [alice.code(), alice.wrong_code()] {
        mallory.confirm(&id, &code).await.refuses(404, "M_NOT_FOUND");
    }
    for unknown in ["t_unknown", "x", "..%2F..", &"A".repeat(4000)] {
        alice.confirm(unknown, &alice.code()).await.refuses(404, "M_NOT_FOUND");
    }
    assert_eq!(alice.factors().await.authenticators[0].confirm_failures, 0);
    alice.confirm(&id, &alice.code()).await.is(200);
}

async fn a_confirmed_authenticator_cannot_be_confirmed_again(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let alice = alice.set_up().await;
    app.advance_steps(1);
    let id = alice.factor().authenticator.as_str();
    for code in [alice.code(), alice.wrong_code()] {
        alice.confirm(id, &code).await.refuses(404, "M_NOT_FOUND");
    }
    assert_eq!(alice.failures().await, (0, 0));
    alice.log_in(&alice.code()).await.is(200);
}

async fn of_many_confirmations_at_once_one_wins(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let begun = begin(&alice).await;
    let alice = alice.holding(&begun);
    let path = format!("account/two-factor/totp/{}/confirm", begun.string("id"));
    let contenders = (-1..=1).cycle().take(12).map(|steps| {
        let (client, path) = (alice.client.clone(), path.clone());
        let body = json!({"token": alice.code_in(steps)});
        async move { client.post(&path, &body).await }
    });
    let replies = race(contenders.collect::<Vec<_>>()).await;
    let (won, lost): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert_eq!(won.len(), 1);
    assert_eq!(won[0].strings("recovery_codes").len(), 10);
    for reply in lost {
        reply.refuses(404, "M_NOT_FOUND");
    }
    // The codes that were shown are the codes that count.
    alice.log_in_by_recovery(&won[0].strings("recovery_codes")[0]).await.is(200);
    let added = alice.actions().await.into_iter().filter(|a| *a == "authenticator_added");
    assert_eq!(added.count(), 1);
}

async fn the_fifth_wrong_code_destroys_a_pending_authenticator(app: TestApp) {
    let (_app, anon, alice) = app.with_user("alice").await;
    let begun = begin(&alice).await;
    let id = begun.string("id");
    let alice = alice.holding(&begun);
    for _ in 0..5 {
        alice.confirm(&id, &alice.wrong_code()).await.refuses(403, "M_FORBIDDEN");
        // What can be no code is no guess.
        alice.confirm(&id, "nonsense").await;
    }
    alice.confirm(&id, &alice.code()).await.refuses(404, "M_NOT_FOUND");
    assert!(alice.factors().await.authenticators.is_empty());
    anon.post("login", &alice.password_stage()).await.is(200);
}

async fn no_endpoint_shows_a_secret_or_a_code_again(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let begun = begin(&alice).await;
    let (id, secret) = (begun.string("id"), begun.string("secret"));
    let alice = alice.holding(&begun);
    let wrong = alice.confirm(&id, &alice.wrong_code()).await;
    let confirmed = alice.confirm(&id, &alice.code()).await.is(200);
    let codes = confirmed.strings("recovery_codes");
    app.advance_steps(1);
    let again = alice.confirm(&id, &alice.code()).await;
    let path = format!("account/two-factor/totp/{id}");
    let renamed = alice.client.call("PUT", &path, &json!({"name": "Mine"})).await.is(200);
    let replies = [
        wrong,
        again,
        renamed,
        alice.client.get("account/two-factor").await,
        alice.client.get(&path).await,
        alice.client.get("account/two-factor/totp").await,
        alice.client.get("account/two-factor/recovery").await,
        alice.client.get(&format!("{path}/confirm")).await,
        alice.client.get("account/whoami").await,
        alice.attempt(&Operation::begin("x"), &json!({})).await,
        alice.prove(&Operation::begin("x"), &alice.code()).await.is(200),
    ];
    for reply in replies {
        let text = reply.text();
        assert!(!text.contains(&secret) && !text.contains("hash"), "{text}");
        assert!(!codes.iter().any(|code| text.contains(code)), "{text}");
    }
}

async fn the_first_factor_brings_recovery_codes_and_later_ones_do_not(app: TestApp) {
    let (app, _anon, alice) = app.with_user("alice").await;
    let alice = alice.set_up().await;
    app.advance_steps(1);
    let begun = alice.prove(&Operation::begin("Tablet"), &alice.code()).await.is(200);
    let first = alice.recovery_code(0);
    let alice = alice.holding(&begun);
    let reply = alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    assert_eq!(reply.json(), json!({}));
    alice.log_in_by_recovery(&first).await.is(200);
}

async fn a_sixth_authenticator_is_refused(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let mut alice = alice;
    for number in 2..=5 {
        let set_up = Operation::begin(&format!("Device {number}"));
        let begun = alice.prove(&set_up, &alice.code()).await.is(200);
        app.advance_steps(1);
        alice = alice.holding(&begun);
        alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
        app.advance_steps(1);
    }
    let sixth = Operation::begin("Sixth");
    alice.attempt(&sixth, &json!({})).await.refuses(400, "M_LIMIT_EXCEEDED");
    let id = alice.factor().authenticator.as_str().to_owned();
    alice.prove(&Operation::remove(&id), &alice.code()).await.is(200);
    alice.attempt(&sixth, &json!({})).await.challenges(&[]);
}

async fn the_uri_and_the_secret_are_the_same(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    let begun = begin(&alice).await;
    let secret = begun.string("secret");
    let expected = format!(
        "otpauth://totp/Example:alice%40example.org?secret={secret}&issuer=Example\
         &algorithm=SHA1&digits=6&period=30"
    );
    assert_eq!(begun.string("uri"), expected);
    assert_eq!(secret.len(), 32);
    let json = begun.json();
    assert_eq!((&json["digits"], &json["period"]), (&6.into(), &30.into()));
    assert_eq!(json["algorithm"], "SHA1");
}

async fn names_have_1_to_64_characters(app: TestApp) {
    let (_app, _anon, alice) = app.with_user("alice").await;
    for wrong in [json!(""), json!("x".repeat(65)), json!(7), json!(["x"])] {
        let begin = Operation::new("POST", "account/two-factor/totp", json!({"name": wrong}));
        alice.attempt(&begin, &json!({})).await.is(400);
    }
    let longest = "ä".repeat(64);
    let begun = alice.prove_by_password(&Operation::begin(&longest)).await.is(200);
    let alice = alice.holding(&begun);
    alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    let path = format!("account/two-factor/totp/{}", begun.string("id"));
    for wrong in [json!({}), json!({"name": ""}), json!({"name": "x".repeat(65)})] {
        alice.client.call("PUT", &path, &wrong).await.is(400);
    }
    alice.client.call("PUT", &path, &json!({"name": "<b>Phone</b>"})).await.is(200);
    let status = alice.client.get("account/two-factor").await.is(200).json();
    let listed = &status["providers"]["m.login.2fa.totp"]["authenticators"][0];
    assert_eq!(listed["name"], "<b>Phone</b>");
}

async fn a_second_authenticator_works_beside_the_first(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let begun = alice.prove(&Operation::begin("Tablet"), &alice.code()).await.is(200);
    app.advance_steps(1);
    let first = alice.code();
    let alice = alice.holding(&begun);
    alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    alice.log_in(&first).await.is(200);
    app.advance_steps(1);
    alice.log_in(&alice.code()).await.is(200);
    alice.log_in(&first).await.looks_wrong();
}
