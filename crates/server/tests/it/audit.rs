//! Every change leaves one entry: who, what, when, from where, and no secret.

use std::net::IpAddr;

use myelin_storage::{Actor, Event};
use serde_json::json;

use crate::kit::{Operation, PASSWORD, Reply, TestApp, User, on_every_database, recovery, totp};

on_every_database![
    setting_up_and_logging_in_leave_an_entry_each,
    every_operation_leaves_its_entry,
    failures_leave_an_entry_each_until_the_wait,
    what_changes_nothing_leaves_no_entry,
    no_entry_holds_a_secret,
    a_reset_by_an_administrator_names_the_administrator,
];

/// The entries since the last look.
struct Log<'a> {
    user: &'a User,
    seen: usize,
}

impl<'a> Log<'a> {
    async fn of(user: &'a User) -> Self {
        Self { user, seen: user.events().await.len() }
    }

    /// Checks that these and no others are new, and that the last of them is
    /// about this reply.
    #[track_caller]
    fn is_new(&mut self, events: &[Event], expected: &[&str], reply: &Reply) {
        let new = &events[self.seen..];
        let actions: Vec<_> = new.iter().map(|event| event.action.as_str()).collect();
        assert_eq!(actions, expected);
        for event in new {
            assert_eq!(event.user, self.user.id);
            assert_eq!(event.at, self.user.app.now());
            assert_eq!(event.origin.actor, Actor::User);
            assert_eq!(event.origin.address, Some(IpAddr::from([198, 51, 100, 7])));
            assert!(event.origin.request_id.is_some());
        }
        let last = new.last().and_then(|event| event.origin.request_id.as_deref());
        assert_eq!(last, Some(reply.header("x-request-id")));
        self.seen = events.len();
    }
}

async fn events(user: &User) -> Vec<Event> {
    user.events().await.into_iter().map(|recorded| recorded.event).collect()
}

async fn setting_up_and_logging_in_leave_an_entry_each(app: TestApp) {
    let (app, anon, alice) = app.with_user("alice").await;
    assert_eq!(alice.actions().await, ["registered"]);
    let begun = alice.prove_by_password(&Operation::begin("Phone")).await.is(200);
    let alice = alice.holding(&begun);
    let mut log = Log { user: &alice, seen: 1 };
    log.is_new(&events(&alice).await, &["enrolment_begun"], &begun);
    assert_eq!(events(&alice).await[1].detail, Some(begun.string("id")));

    let wrong = alice.confirm(&begun.string("id"), &alice.wrong_code()).await.is(403);
    log.is_new(&events(&alice).await, &["totp_failed"], &wrong);
    let confirmed = alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    log.is_new(&events(&alice).await, &["authenticator_added"], &confirmed);
    let path = format!("account/two-factor/totp/{}", begun.string("id"));
    let renamed = alice.client.call("PUT", &path, &json!({"name": "Mine"})).await.is(200);
    log.is_new(&events(&alice).await, &["authenticator_renamed"], &renamed);

    app.advance_steps(1);
    let first = anon.post("login", &alice.password_stage()).await.is(401);
    log.is_new(&events(&alice).await, &["password_passed"], &first);
    let second = alice.finish_login(&first.session(), &alice.code()).await.is(200);
    log.is_new(&events(&alice).await, &["totp_passed", "logged_in"], &second);
    let first = anon.post("login", &alice.password_stage()).await.is(401);
    let code = &confirmed.strings("recovery_codes")[3];
    let second = alice.recover_login(&first.session(), code).await.is(200);
    let expected = ["password_passed", "recovery_passed", "logged_in"];
    log.is_new(&events(&alice).await, &expected, &second);
}

async fn every_operation_leaves_its_entry(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let mut log = Log::of(&alice).await;
    let id = alice.factor().authenticator.as_str();
    for (operation, entry) in [
        (Operation::delete_devices(&["NOSUCH"]), "devices_deleted"),
        (Operation::delete_device("NOSUCH"), "devices_deleted"),
        (Operation::login_token(), "login_token_issued"),
        (Operation::begin("Tablet"), "enrolment_begun"),
        (Operation::regenerate(), "recovery_regenerated"),
        (Operation::remove(id), "authenticator_removed"),
    ] {
        let reply = alice.prove(&operation, &alice.code()).await.is(200);
        let expected = ["password_passed", "totp_passed", entry];
        log.is_new(&events(&alice).await, &expected, &reply);
        app.advance_steps(1);
    }
    let pending = alice.factors().await.authenticators[0].id.to_string();
    let drop = format!("account/two-factor/totp/{pending}");
    let reply = alice.client.call("DELETE", &drop, &json!({})).await.is(200);
    log.is_new(&events(&alice).await, &["enrolment_dropped"], &reply);
    let change = Operation::change_password("another long password");
    let reply = alice.prove_by_password(&change).await.is(200);
    log.is_new(&events(&alice).await, &["password_changed"], &reply);
}

async fn failures_leave_an_entry_each_until_the_wait(app: TestApp) {
    let (_app, _anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    let mut log = Log::of(&alice).await;
    for _ in 0..4 {
        let reply = alice.finish_login(&session, &alice.wrong_code()).await;
        log.is_new(&events(&alice).await, &["totp_failed"], &reply);
        let reply = alice.recover_login(&session, "0000-0000-0000-0000").await;
        log.is_new(&events(&alice).await, &["recovery_failed"], &reply);
    }
    let reply = alice.finish_login(&session, &alice.wrong_code()).await;
    log.is_new(&events(&alice).await, &["totp_waiting"], &reply);
    let reply = alice.recover_login(&session, "0000-0000-0000-0000").await;
    log.is_new(&events(&alice).await, &["recovery_waiting"], &reply);
    for _ in 0..3 {
        alice.finish_login(&session, &alice.wrong_code()).await.waits();
    }
    assert_eq!(events(&alice).await.len(), log.seen);
}

async fn what_changes_nothing_leaves_no_entry(app: TestApp) {
    let (app, anon, alice) = app.with_protected_user("alice").await;
    let session = alice.start_login().await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let of_operation = alice.start(&operation).await;
    let before = events(&alice).await;
    anon.post("login", &alice.password_stage_with("wrong password")).await.is(403);
    alice.finish_login(&session, "nonsense").await.looks_wrong();
    alice.finish(&operation, &of_operation, &alice.code()).await.looks_wrong();
    alice.finish(&operation, &session, &alice.code()).await.is(403);
    alice.confirm("t_nonsense", &alice.code()).await.is(404);
    alice.attempt(&Operation::remove("t_nonsense"), &json!({})).await.is(404);
    app.advance(std::time::Duration::from_mins(10));
    alice.finish_login(&session, &alice.code()).await.is(401);
    assert_eq!(events(&alice).await, before);
}

async fn no_entry_holds_a_secret(app: TestApp) {
    let (app, anon, alice) = app.with_user("alice").await;
    let begun = alice.prove_by_password(&Operation::begin("Phone")).await.is(200);
    let alice = alice.holding(&begun);
    let mut secrets = vec![PASSWORD.to_owned(), begun.string("secret"), alice.wrong_code()];
    secrets.extend([alice.code(), alice.client.token().to_owned()]);
    alice.confirm(&begun.string("id"), &alice.wrong_code()).await.is(403);
    let confirmed = alice.confirm(&begun.string("id"), &alice.code()).await.is(200);
    secrets.extend(confirmed.strings("recovery_codes"));
    app.advance_steps(1);
    let session = alice.start_login().await;
    let wrong = json!({"auth": totp(&session, &alice.wrong_code())});
    anon.post("login", &wrong).await.is(401);
    let right = json!({"auth": recovery(&session, &confirmed.strings("recovery_codes")[0])});
    let reply = anon.post("login", &right).await.is(200);
    secrets.extend([session, reply.string("access_token"), alice.code(), alice.wrong_code()]);
    let reply = alice.prove(&Operation::login_token(), &alice.code()).await.is(200);
    secrets.push(reply.string("login_token"));
    app.advance_steps(1);
    secrets.push("another long password".to_owned());
    let change = Operation::change_password("another long password");
    alice.prove(&change, &alice.code()).await.is(200);
    secrets.push(alice.code());
    for event in events(&alice).await {
        let details = [&event.detail, &event.origin.request_id];
        for text in details.into_iter().flatten() {
            for secret in &secrets {
                assert!(!text.contains(secret.as_str()), "{event:?}");
            }
        }
    }
}

async fn a_reset_by_an_administrator_names_the_administrator(app: TestApp) {
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let origin = myelin_storage::Origin {
        actor: Actor::Admin("operator".to_owned()),
        address: None,
        request_id: None,
    };
    let action = myelin_storage::Action::TwoFactorReset;
    let event = Event { at: app.now(), user: alice.id.clone(), action, origin, detail: None };
    assert!(app.store.reset(&alice.id, event.clone()).await.expect("the store answers"));
    assert_eq!(events(&alice).await.last(), Some(&event));
    let resets = alice.actions().await.into_iter().filter(|done| *done == "two_factor_reset");
    assert_eq!(resets.count(), 1);
}
