//! Before another homeserver: what is the client's own stays, and what is proven
//! is proven here.

use serde_json::json;
use tokio::runtime::Handle;

use crate::kit::{Operation, TestApp, Upstream, on_every_database, recovery, totp};

on_every_database![
    every_answer_says_once_who_may_read_it,
    a_login_that_fails_ends_no_device_of_before,
    a_login_is_undone_where_the_account_changes_while_it_is_made,
    the_last_recovery_code_finishes_an_operation,
    a_password_counts_where_the_homeserver_asks_for_none,
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
        runtime.block_on(store.end_sessions(&user)).expect("it answers");
    });
    let before = upstream.devices().await;
    alice.finish_login(&session, &alice.code()).await.refuses(403, "M_FORBIDDEN");
    assert_eq!(upstream.devices().await, before);
    assert!(!alice.actions().await.contains(&"logged_in"));
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
