//! Before another homeserver: what is the client's own stays, and what is proven
//! is proven here.

use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

use axum::response::IntoResponse as _;
use http::StatusCode;
use serde_json::json;
use tokio::runtime::Handle;

use crate::kit::{Operation, PASSWORD, TestApp, Upstream, User, on_every_database, recovery, totp};

on_every_database![
    every_answer_says_once_who_may_read_it,
    a_login_that_fails_ends_no_device_of_before,
    a_login_is_undone_where_the_account_changes_while_it_is_made,
    a_login_is_made_where_codes_are_guessed_meanwhile,
    a_password_that_may_have_changed_ends_what_was_proven,
    a_password_that_has_not_changed_ends_nothing,
    a_change_of_the_password_has_its_consequences_where_nobody_waits_for_it,
    the_last_recovery_code_finishes_an_operation,
    a_password_counts_where_the_homeserver_asks_for_none,
    without_a_token_only_a_mailbox_or_a_phone_resets_a_password,
];

async fn every_answer_says_once_who_may_read_it(app: TestApp) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (_app, anon, alice) = app.with_user("alice").await;
    for (what, reply) in [
        ("ours", anon.get("login").await.is(200)),
        ("forwarded", anon.get("/_matrix/client/versions").await.is(200)),
        ("forwarded with a token", alice.client.get("devices").await.is(200)),
        ("added to", alice.client.get("capabilities").await.is(200)),
        ("performed", alice.prove_by_password(&Operation::login_token()).await.is(200)),
        ("refused there", anon.get("nothing").await.is(404)),
        ("refused here", anon.get("login/").await.is(404)),
    ] {
        let said = |name| reply.headers.get_all(name).iter().collect::<Vec<_>>();
        let origins = said("access-control-allow-origin");
        assert_eq!(origins, ["*"], "{what}");
        let exposed = said("access-control-expose-headers");
        assert!(exposed.iter().any(|value| *value == "retry-after"), "{what}: {exposed:?}");
    }
}

async fn a_login_that_fails_ends_no_device_of_before(app: TestApp) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (app, anon, alice) = app.with_user("alice").await;
    let mut again = alice.password_stage();
    again["device_id"] = alice.device.as_str().into();
    let (database, runtime) = (app.database.clone(), Handle::current());
    upstream.after_the_next_login(move || {
        runtime.block_on(database.execute("ALTER TABLE factors RENAME TO factors_away"));
    });
    anon.post("login", &again).await.refuses(503, "M_UNKNOWN");
    app.database.execute("ALTER TABLE factors_away RENAME TO factors").await;
    assert_eq!(upstream.devices().await, 1);
    let login = anon.post("login", &again).await.is(200);
    assert_eq!(login.string("device_id"), alice.device);
    assert_eq!(upstream.devices().await, 1);
}

async fn a_login_is_undone_where_the_account_changes_while_it_is_made(app: TestApp) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    let (store, user, runtime) = (app.store.clone(), alice.id.clone(), Handle::current());
    upstream.after_the_next_login(move || {
        runtime.block_on(store.end_sessions(&user, None)).expect("it answers");
    });
    let before = upstream.devices().await;
    alice.finish_login(&session, &alice.code()).await.refuses(403, "M_FORBIDDEN");
    assert_eq!(upstream.devices().await, before);
    assert!(!alice.actions().await.contains(&"logged_in"));
}

async fn a_login_is_made_where_codes_are_guessed_meanwhile(app: TestApp) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let [session, other] = [alice.start_login().await, alice.start_login().await];
    let alice = Arc::new(alice);
    let (guessing, runtime) = (Arc::clone(&alice), Handle::current());
    upstream.after_the_next_login(move || {
        runtime.block_on(async {
            guessing.finish_login(&other, &guessing.wrong_code()).await.looks_wrong();
        });
    });
    alice.finish_login(&session, &alice.code()).await.is(200);
    assert_eq!(alice.failures().await.0, 1);
}

/// Someone who has begun to change the password, and come as far as the last stage.
async fn new_password_begun(app: &TestApp) -> (Upstream, User, Operation, String) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::change_password("a new password");
    let session = alice.start(&operation).await;
    alice.finish(&operation, &session, &alice.code()).await;
    (upstream, alice, operation, session)
}

async fn a_password_that_may_have_changed_ends_what_was_proven(app: TestApp) {
    let (upstream, alice, operation, session) = new_password_begun(&app).await;
    let login = alice.start_login().await;
    upstream.in_place_of_the_next("/account/password", |_| "It works!".into_response());
    alice.confirm_password(&operation, &session).await.refuses(503, "M_UNKNOWN");
    let auth = recovery(&login, &alice.recovery_code(0));
    alice.client.post("login", &json!({"auth": auth})).await.refuses(401, "M_FORBIDDEN");
    let actions = alice.actions().await;
    assert!(actions.contains(&"sessions_ended") && !actions.contains(&"password_changed"));
}

/// By these, whoever has a token could end what the owner is doing, again and again.
async fn a_password_that_has_not_changed_ends_nothing(app: TestApp) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (_app, _anon, alice) = app.with_user("alice").await;
    let before = alice.factors().await.epoch;
    let operation = Operation::change_password("a new password");
    let body = |session: String, password| {
        let mut auth = alice.password_stage_with(password);
        auth["session"] = session.into();
        operation.with_auth(&auth)
    };
    let guess = body(alice.start(&operation).await, "a guess");
    alice.client.post("account/password", &guess).await.refuses(401, "M_FORBIDDEN");
    let guess = body(alice.start(&operation).await, "a guess").to_string();
    let two_hosts = alice.client.request("POST", "account/password");
    let two_hosts = two_hosts.header("host", "one.example").header("host", "two.example");
    alice.client.send(two_hosts, guess).await.refuses(400, "M_UNKNOWN");
    upstream.in_place_of_the_next("/account/password", |_| {
        (StatusCode::BAD_REQUEST, "too large").into_response()
    });
    let right = body(alice.start(&operation).await, PASSWORD);
    alice.client.post("account/password", &right).await.refuses(400, "M_UNKNOWN");
    upstream.in_place_of_the_next("/account/password", |_| "It works!".into_response());
    let guess = body(alice.start(&operation).await, "a guess");
    alice.client.post("account/password", &guess).await.refuses(503, "M_UNKNOWN");
    assert_eq!(alice.factors().await.epoch, before);
    assert!(!alice.actions().await.contains(&"sessions_ended"));
}

async fn a_change_of_the_password_has_its_consequences_where_nobody_waits_for_it(app: TestApp) {
    let (upstream, alice, operation, session) = new_password_begun(&app).await;
    let [hung_up, go_on] = [(); 2].map(|()| Arc::new(Barrier::new(2)));
    let alice = Arc::new(alice);
    let leaves = Arc::clone(&alice);
    let barriers = [&hung_up, &go_on].map(Arc::clone);
    upstream.in_place_of_the_next("/account/password", move |response| {
        for barrier in barriers {
            barrier.wait();
        }
        response
    });
    let asking = tokio::spawn(async move { leaves.confirm_password(&operation, &session).await });
    tokio::task::block_in_place(|| hung_up.wait());
    asking.abort();
    assert!(asking.await.is_err_and(|error| error.is_cancelled()));
    tokio::task::block_in_place(|| go_on.wait());
    let consequences = async {
        while !alice.actions().await.contains(&"password_changed") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), consequences).await.expect("they come");
}

async fn the_last_recovery_code_finishes_an_operation(app: TestApp) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    for index in 0..2 {
        let session = alice.start(&operation).await;
        let auth = recovery(&session, &alice.recovery_code(index));
        alice.attempt(&operation, &auth).await.challenges(&["m.login.2fa.recovery"]);
        alice.confirm_password(&operation, &session).await.is(200);
    }
    // Nobody else is offered what nobody has any more.
    let challenge = alice.attempt(&operation, &json!({})).await.challenges(&[]);
    assert!(!challenge.text().contains("m.login.2fa.recovery"), "{challenge:?}");
}

/// The deprecated way to add an address has no authentication of its own.
async fn a_password_counts_where_the_homeserver_asks_for_none(app: TestApp) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (app, _anon, bob) = app.with_user("bob").await;
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let credentials = json!({"client_secret": "s", "sid": "1", "id_server": "i"});
    let add = Operation::new("POST", "account/3pid", json!({"three_pid_creds": credentials}));
    for user in [&bob, &alice] {
        let mut auth = user.password_stage_with("a guess");
        auth["session"] = user.start(&add).await.into();
        user.attempt(&add, &auth).await.refuses(401, "M_FORBIDDEN");
    }
    let session = alice.start(&add).await;
    // The password has to come first here, as it does where it is checked here.
    alice.attempt(&add, &totp(&session, &alice.code())).await.refuses(401, "M_FORBIDDEN");
}

async fn without_a_token_only_a_mailbox_or_a_phone_resets_a_password(app: TestApp) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (_app, anon, alice) = app.with_user("alice").await;
    for (path, refused, handed_on) in [
        ("account/password", "m.login.dummy", "m.login.email.identity"),
        ("account/password", "m.login.token", "m.login.msisdn"),
        ("register", "m.login.token", "m.login.terms"),
    ] {
        let with = |stage: &str| {
            let mut auth = alice.password_stage();
            auth["type"] = stage.into();
            json!({"new_password": "theirs", "username": "mallory", "auth": auth})
        };
        for stage in ["m.login.password", "m.login.sso", "m.login.2fa.totp", "x", refused] {
            let reply = anon.post(path, &with(stage)).await.refuses(403, "M_FORBIDDEN");
            assert_eq!(reply.string("error"), "This stage is not offered here.", "{stage}");
        }
        // It gets there: this is what becomes of the answer.
        let end = if path == "register" { "/register" } else { "/account/password" };
        upstream.in_place_of_the_next(end, |_| axum::Json(json!({"seen": true})).into_response());
        let reply = anon.post(path, &with(handed_on)).await.is(200);
        assert_eq!(reply.json()["seen"], true, "{handed_on}");
    }
}
