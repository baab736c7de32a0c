//! Before another homeserver: where the database fails between a check and
//! what it leads to, nobody gets in, nothing is spent, and no device stays.

use std::sync::{Arc, Mutex};

use myelin_testing::postgres::Cluster;
use serde_json::json;

use crate::kit::{
    Client, Database, Operation, Reply, TestApp, Upstream, User, on_every_database, recovery, totp,
};

on_every_database![
    a_code_whose_spending_fails_lets_nobody_in_and_stays_good,
    a_recovery_code_whose_spending_fails_stays_good,
    an_operation_whose_code_cannot_be_spent_does_not_happen,
];

/// A gateway, its homeserver, and a user with a second factor.
async fn gateway(app: &TestApp) -> (Upstream, TestApp, User) {
    let upstream = Upstream::start().await;
    let app = app.in_front_of(&upstream).await;
    let (app, _anonymous, alice) = app.with_protected_user("alice").await;
    (upstream, app, alice)
}

/// Lets every transaction fail that writes to the audit log: after the check,
/// and after the code was marked as spent.
async fn break_in_the_middle(app: &TestApp) {
    app.database.execute("ALTER TABLE audit RENAME TO audit_away").await;
}

async fn mend(app: &TestApp) {
    app.database.execute("ALTER TABLE audit_away RENAME TO audit").await;
}

/// What a client learns of any trouble: nothing but that.
#[track_caller]
fn is_trouble(reply: Reply) {
    let text = "The server cannot answer this right now. Try again later.";
    assert_eq!(reply.refuses(503, "M_UNKNOWN").string("error"), text);
}

async fn a_code_whose_spending_fails_lets_nobody_in_and_stays_good(app: TestApp) {
    let (upstream, app, alice) = gateway(&app).await;
    let session = alice.start_login().await;
    let devices = upstream.devices().await;
    break_in_the_middle(&app).await;
    is_trouble(alice.finish_login(&session, &alice.code()).await);
    assert_eq!(upstream.devices().await, devices);
    mend(&app).await;
    alice.finish_login(&session, &alice.code()).await.is(200);
    assert_eq!(upstream.devices().await, devices + 1);
    alice.log_in(&alice.code()).await.looks_wrong();
    assert_eq!(upstream.devices().await, devices + 1);
}

async fn a_recovery_code_whose_spending_fails_stays_good(app: TestApp) {
    let (upstream, app, alice) = gateway(&app).await;
    let session = alice.start_login().await;
    let devices = upstream.devices().await;
    break_in_the_middle(&app).await;
    is_trouble(alice.recover_login(&session, &alice.recovery_code(0)).await);
    assert_eq!(upstream.devices().await, devices);
    mend(&app).await;
    alice.recover_login(&session, &alice.recovery_code(0)).await.is(200);
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.looks_wrong();
    assert_eq!(upstream.devices().await, devices + 1);
}

async fn an_operation_whose_code_cannot_be_spent_does_not_happen(app: TestApp) {
    let (upstream, app, alice) = gateway(&app).await;
    let operation = Operation::delete_device(&alice.device);
    let session = alice.start(&operation).await;
    break_in_the_middle(&app).await;
    is_trouble(alice.finish(&operation, &session, &alice.code()).await);
    mend(&app).await;
    // The code was not spent, and the password has still to come.
    let done = alice.finish(&operation, &session, &alice.code()).await;
    done.challenges(&["m.login.2fa.totp"]);
    break_in_the_middle(&app).await;
    is_trouble(alice.confirm_password(&operation, &session).await);
    assert_eq!(upstream.devices().await, 1);
    mend(&app).await;
    alice.confirm_password(&operation, &session).await.is(200);
    assert_eq!(upstream.devices().await, 0);
}

/// Stops the database when the homeserver has found the next password right.
fn stop_after_the_password(upstream: &Upstream, cluster: &Arc<Mutex<Cluster>>) {
    let cluster = Arc::clone(cluster);
    upstream.after_the_next_login(move || cluster.lock().expect("no panic").crash());
}

/// Starts it again. Of the connections of before, each may cost one request.
async fn restart(cluster: &Arc<Mutex<Cluster>>, alice: &User) {
    tokio::task::block_in_place(|| cluster.lock().expect("no panic").restart());
    for _ in 0..alice.app.plan.connections {
        drop(alice.app.store.lookup_factors(&alice.id).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stops_after_the_password_leaves_no_login_behind() {
    let name = "a_database_that_stops_after_the_password_leaves_no_login_behind";
    let Some(cluster) = Cluster::start_or_skip(name) else { return };
    let app = TestApp::on(Database::at(cluster.url().to_owned())).await;
    let cluster = Arc::new(Mutex::new(cluster));
    let (upstream, app, alice) = gateway(&app).await;
    let (app, anonymous, bob) = app.with_user("bob").await;
    let login = alice.start_login().await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start(&operation).await;
    alice.finish(&operation, &session, &alice.code_in(-1)).await;
    let devices = upstream.devices().await;

    // Bob, who has no second factor, is logged in at the homeserver already.
    stop_after_the_password(&upstream, &cluster);
    is_trouble(anonymous.post("login", &bob.password_stage()).await);
    assert_eq!(upstream.devices().await, devices);
    while_it_is_stopped(&anonymous, &alice, &login).await;
    is_trouble(alice.confirm_password(&operation, &session).await);
    assert_eq!(upstream.devices().await, devices);

    restart(&cluster, &alice).await;
    stop_after_the_password(&upstream, &cluster);
    is_trouble(anonymous.post("login", &alice.password_stage()).await);
    assert_eq!(upstream.devices().await, devices);

    restart(&cluster, &alice).await;
    assert_eq!(alice.failures().await, (0, 0));
    alice.confirm_password(&operation, &session).await.is(200);
    alice.finish_login(&login, &alice.code()).await.is(200);
    alice.log_in(&alice.code()).await.looks_wrong();
    alice.log_in_by_recovery(&alice.recovery_code(0)).await.is(200);
    app.anonymous().post("login", &bob.password_stage()).await.is(200);
    assert_eq!(upstream.devices().await, devices + 3);
}

/// No code is looked at, and none is spent.
async fn while_it_is_stopped(anonymous: &Client, alice: &User, login: &str) {
    for body in [
        json!({"auth": totp(login, &alice.code())}),
        json!({"auth": recovery(login, &alice.recovery_code(0))}),
        json!({"auth": {"session": login}}),
        alice.password_stage(),
    ] {
        is_trouble(anonymous.post("login", &body).await);
    }
}
