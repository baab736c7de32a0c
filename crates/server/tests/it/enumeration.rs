//! A stranger learns nothing about who exists and who has a second factor.

use std::time::{Duration, Instant};

use http::HeaderMap;
use myelin_homeserver::embedded::PasswordParameters;
use serde_json::{Value, json};

use crate::kit::{Client, Reply, TestApp, User, on_every_database};

on_every_database![
    a_refused_login_has_the_same_bytes_for_everybody,
    a_refused_login_takes_the_same_time_for_everybody,
    a_challenge_for_nobody_tells_nothing_about_anybody,
];

/// A login with a wrong password under this name.
fn wrong_login(name: &str) -> Value {
    let identifier = json!({"type": "m.id.user", "user": name});
    json!({"type": "m.login.password", "identifier": identifier, "password": "wrong password"})
}

/// All that a client can see of a reply, but for the request's id.
fn seen(reply: &Reply) -> (u16, HeaderMap, String) {
    let mut headers = reply.headers.clone();
    assert!(headers.remove("x-request-id").is_some());
    (reply.status.as_u16(), headers, reply.text())
}

async fn a_refused_login_has_the_same_bytes_for_everybody(app: TestApp) {
    let (app, _anon, gone) = app.with_user("gone").await;
    gone.prove_by_password(&crate::kit::Operation::deactivate()).await.is(200);
    let (app, _anon, _plain) = app.with_user("plain").await;
    let (app, anon, guarded) = app.with_protected_user("guarded").await;
    let (_app, _anon, waiting) = app.with_protected_user("waiting").await;
    for _ in 0..5 {
        waiting.log_in(&waiting.wrong_code()).await;
    }
    let expected = seen(&anon.post("login", &wrong_login("nobody")).await);
    assert_eq!(expected.0, 403);
    let names = [
        "plain",
        "guarded",
        "waiting",
        "gone",
        "GUARDED",
        "@guarded:example.org",
        "@guarded:elsewhere.org",
        "not a name",
        "@:",
        "",
        &"x".repeat(5000),
    ];
    for name in names {
        assert_eq!(seen(&anon.post("login", &wrong_login(name)).await), expected, "{name}");
        let inside = json!({"auth": wrong_login(name)});
        assert_eq!(seen(&anon.post("login", &inside).await), expected, "{name}");
    }
    // The right password of a user who is gone tells nothing either.
    let right = gone.password_stage();
    assert_eq!(seen(&anon.post("login", &right).await), expected);
    drop(guarded);
}

#[expect(clippy::disallowed_methods, reason = "the time that requests take is what is tested")]
async fn timed(client: &Client, body: &Value) -> Duration {
    let begin = Instant::now();
    client.post("login", body).await.refuses(403, "M_FORBIDDEN");
    begin.elapsed()
}

async fn a_refused_login_takes_the_same_time_for_everybody(app: TestApp) {
    // Passwords as they are hashed in earnest.
    let app = app.planned(|plan| plan.password_hash = PasswordParameters::default()).await;
    User::register(&app, "plain").await;
    User::register(&app, "guarded").await.protected(2).await;
    let names = ["nobody", "plain", "guarded", "not a name"];
    let mut times = vec![Vec::new(); names.len()];
    // In turns, so that whatever else the machine does meets all alike.
    for _ in 0..11 {
        for (name, times) in names.iter().zip(&mut times) {
            times.push(timed(&app.anonymous(), &wrong_login(name)).await);
        }
    }
    let medians: Vec<_> = times
        .into_iter()
        .map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        })
        .collect();
    let (fastest, slowest) = (medians.iter().min(), medians.iter().max());
    let (fastest, slowest) = fastest.zip(slowest).expect("there are names");
    // Without a hash an answer takes a tenth of the time, or less.
    assert!(*slowest < *fastest * 2, "{names:?} took {medians:?}");
}

async fn a_challenge_for_nobody_tells_nothing_about_anybody(app: TestApp) {
    let (_app, anon, _alice) = app.with_protected_user("alice").await;
    let without_session = |reply: &Reply| {
        let mut json = reply.json();
        json["session"] = Value::Null;
        json
    };
    let expected = without_session(&anon.post("login", &json!({"auth": {}})).await.is(401));
    for name in ["alice", "nobody"] {
        let identifier = json!({"type": "m.id.user", "user": name});
        let body = json!({"auth": {}, "identifier": identifier, "user": name});
        let reply = anon.post("login", &body).await.challenges(&[]);
        assert_eq!(without_session(&reply), expected);
        // A code without a password gets the same, whoever is meant.
        let auth = json!({"type": "m.login.2fa.totp", "session": reply.session(),
                          "token": "123456", "identifier": identifier});
        let reply = anon.post("login", &json!({"auth": auth})).await.looks_wrong();
        assert_eq!(without_session(&reply)["flows"], expected["flows"]);
    }
}
