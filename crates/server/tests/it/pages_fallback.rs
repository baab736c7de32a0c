//! The fallback pages: a stage is passed there, and the client's own request
//! performs the operation.

use serde_json::{Value, json};

use crate::{
    kit::{Operation, PASSWORD, Page, Reply, TestApp, User, on_every_database},
    pages_kit::with_pages,
};

on_every_database![
    both_factors_on_the_page_let_the_request_through_once,
    a_code_on_the_page_follows_a_password_in_the_client,
    a_recovery_code_is_as_good,
    a_native_login_can_take_its_code_from_the_page,
    no_code_is_looked_at_before_the_password_is_right,
    nobody_confirms_for_somebody_else,
    a_session_that_is_not_there_or_not_due_is_a_clear_page,
    the_page_performs_nothing,
    a_page_that_was_approved_is_not_another_requests,
    the_page_names_what_is_confirmed,
    the_page_names_the_devices_that_are_signed_out,
    a_client_that_asks_again_gets_through_once_and_with_the_same_keys_only,
    factors_are_changed_by_what_was_approved_on_the_page,
];

fn path(stage: &str, session: &str) -> String {
    format!("/_matrix/client/r0/auth/{stage}/fallback/web?session={session}")
}

async fn resume(user: &User, operation: &Operation, session: &str) -> Reply {
    user.attempt(operation, &json!({"session": session})).await
}

/// Confirms with both factors.
async fn approve(user: &User, session: &str) -> Page {
    let mut browser = user.app.browser();
    let page = browser.get(&path("m.login.sso", session)).await.is(200);
    browser.submit(&page, &[("password", PASSWORD), ("code", &user.code())]).await
}

async fn both_factors_on_the_page_let_the_request_through_once(app: TestApp) {
    let (_app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start(&operation).await;
    let page = approve(&alice, &session).await.is(200).says("Return to your app");
    let script = page.between("<script src=\"", "\"");
    let script = page_script(&alice, &script).await;
    assert!(script.contains("onAuthDone") && script.contains("postMessage(\"authDone\", \"*\")"));
    let policy = page.reply.header("content-security-policy");
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.html().contains("<script>"), "no script in the page itself");
    assert_eq!(page.reply.header("cross-origin-opener-policy"), "");
    // Opened again it is done still, and asks for nothing.
    let mut browser = alice.app.browser();
    browser.get(&path("m.login.sso", &session)).await.is(200).says("Return to your app");
    resume(&alice, &operation, &session).await.is(200);
    let again = resume(&alice, &operation, &session).await.is(401);
    assert_ne!(again.session(), session);
}

async fn page_script(user: &User, path: &str) -> String {
    let reply = user.app.browser().get(path).await.is(200).reply;
    assert!(reply.header("cache-control").contains("immutable"));
    assert!(reply.header("content-type").starts_with("text/javascript"));
    reply.text()
}

async fn a_code_on_the_page_follows_a_password_in_the_client(app: TestApp) {
    let (_app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start_confirmed(&operation).await;
    let mut browser = alice.app.browser();
    let page = browser.get(&path("m.login.2fa.totp", &session)).await.is(200);
    assert!(!page.html().contains("type=\"password\""));
    let page = browser.submit(&page, &[("code", &alice.wrong_code())]).await.is(403).says("UTC");
    browser.submit(&page, &[("code", &alice.code())]).await.is(200).says("Confirmed");
    resume(&alice, &operation, &session).await.is(200);
}

async fn a_recovery_code_is_as_good(app: TestApp) {
    let (_app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let mut browser = alice.app.browser();
    let session = alice.start_confirmed(&operation).await;
    let page = browser.get(&path("m.login.2fa.recovery", &session)).await.is(200);
    browser.submit(&page, &[("code", &alice.recovery_code(0))]).await.is(200);
    resume(&alice, &operation, &session).await.is(200);
    // The last one, too.
    let session = alice.start_confirmed(&operation).await;
    let page = browser.get(&path("m.login.2fa.recovery", &session)).await.is(200);
    browser.submit(&page, &[("code", &alice.recovery_code(1))]).await.is(200);
    resume(&alice, &operation, &session).await.is(200);
    // On the page that asks for both, it is a choice.
    let alice = alice.protected(1).await;
    let session = alice.start(&operation).await;
    let page = browser.get(&path("m.login.sso", &session)).await.is(200);
    let other = page.link("recovery code instead");
    let other = path("m.login.sso", "").replace("?session=", &other);
    let page = browser.get(&other).await.is(200);
    let fields = [("password", PASSWORD), ("code", &alice.recovery_code(0))];
    browser.submit(&page, &fields).await.is(200).says("Confirmed");
    resume(&alice, &operation, &session).await.is(200);
}

async fn a_native_login_can_take_its_code_from_the_page(app: TestApp) {
    let (app, anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let session = alice.start_login().await;
    let mut browser = app.browser();
    let page = browser.get(&path("m.login.2fa.totp", &session)).await.is(200).says("sign in");
    browser.submit(&page, &[("code", &alice.code())]).await.is(200);
    anon.post("login", &json!({"auth": {"session": session}})).await.is(200);
}

async fn no_code_is_looked_at_before_the_password_is_right(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let session = alice.start(&Operation::delete_devices(&["NOSUCH"])).await;
    let mut browser = app.browser();
    let page = browser.get(&path("m.login.sso", &session)).await;
    for code in [alice.code(), alice.wrong_code()] {
        let fields = [("password", "not this one"), ("code", code.as_str())];
        browser.submit(&page, &fields).await.is(403).says("password is not right");
    }
    assert_eq!(alice.failures().await, (0, 0));
    let fields = [("password", PASSWORD), ("code", &alice.wrong_code())];
    browser.submit(&page, &fields).await.is(403).says("That code did not work");
    assert_eq!(alice.failures().await, (1, 0));
    // The right code was not spent by a wrong password.
    let fields = [("password", PASSWORD), ("code", &alice.code())];
    browser.submit(&page, &fields).await.is(200);
}

async fn nobody_confirms_for_somebody_else(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mallory = User::register(&app, "mallory").await.protected(2).await;
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let session = alice.start(&operation).await;
    let mut browser = app.browser();
    let page = browser.get(&path("m.login.sso", &session)).await.says("@alice:example.org");
    // Everybody has the same password here; the code is Mallory's, and so is
    // whatever else is typed.
    for fields in [
        vec![("password", PASSWORD), ("code", &*mallory.code())],
        vec![("password", PASSWORD), ("code", &*mallory.code()), ("username", "mallory")],
    ] {
        browser.submit(&page, &fields).await.is(403);
    }
    resume(&alice, &operation, &session).await.is(401);
    // With a session of somebody else, an approved one too, a token does nothing.
    approve(&alice, &session).await.is(200);
    resume(&mallory, &operation, &session).await.refuses(403, "M_FORBIDDEN");
    resume(&alice, &operation, &session).await.is(200);
}

async fn a_session_that_is_not_there_or_not_due_is_a_clear_page(app: TestApp) {
    let (app, anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    let operation = Operation::delete_devices(&["NOSUCH"]);
    let fresh = alice.start(&operation).await;
    let registration = anon.post("register", &json!({"username": "x"})).await.session();
    let page = crate::pages_kit::UNKNOWN;
    alice.type_password(&mut browser, page).await.is(200);
    let sign_in = browser.cookies["__Host-myelin-sign-in"].clone();
    for (stage, session) in [
        ("m.login.sso", ""),
        ("m.login.sso", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("m.login.sso", "%3Cscript%3E"),
        ("m.login.sso", registration.as_str()),
        // A sign-in of the pages is nobody's request.
        ("m.login.2fa.totp", sign_in.as_str()),
        // The password comes first.
        ("m.login.2fa.totp", fresh.as_str()),
    ] {
        let page = browser.get(&path(stage, session)).await.is(410);
        assert!(page.html().contains("Go back to your app"), "{session}");
        assert!(!page.html().contains("<form"), "{session}");
    }
    app.advance(std::time::Duration::from_mins(11));
    browser.get(&path("m.login.sso", &fresh)).await.is(410);
}

async fn the_page_performs_nothing(app: TestApp) {
    let (_app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let operation = Operation::delete_device(&alice.device);
    let session = alice.start(&operation).await;
    approve(&alice, &session).await.is(200);
    alice.client.get("account/whoami").await.is(200);
    resume(&alice, &operation, &session).await.is(200);
    alice.client.get("account/whoami").await.is(401);
}

async fn a_page_that_was_approved_is_not_another_requests(app: TestApp) {
    let (_app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let session = alice.start(&Operation::delete_devices(&["NOSUCH"])).await;
    approve(&alice, &session).await.is(200);
    let other = Operation::delete_devices(&[&alice.device]);
    resume(&alice, &other, &session).await.refuses(403, "M_FORBIDDEN");
    let native = json!({"auth": {"session": session}});
    alice.app.anonymous().post("login", &native).await.refuses(403, "M_FORBIDDEN");
    alice.client.get("account/whoami").await.is(200);
}

async fn the_page_names_what_is_confirmed(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    for (operation, name) in [
        (Operation::delete_devices(&["NOSUCH"]), "sign out devices"),
        (Operation::delete_device("NOSUCH"), "sign out a device"),
        (Operation::change_password("another long password"), "change your password"),
        (Operation::deactivate(), "deactivate your account for good"),
        (Operation::login_token(), "sign in on another device"),
        (Operation::begin("Tablet"), "add an authenticator"),
        (Operation::remove(alice.factor().authenticator.as_str()), "remove an authenticator"),
        (Operation::regenerate(), "replace your recovery codes"),
    ] {
        let reply = alice.attempt(&operation, &json!({})).await.is(401);
        assert_eq!(reply.json()["flows"][0]["stages"], json!(["m.login.sso"]) as Value);
        let page = browser.get(&path("m.login.sso", &reply.session())).await.is(200);
        page.says(&format!("id=\"operation\">{name}<")).says("id=\"account\">@alice:example.org<");
    }
}

async fn the_page_names_the_devices_that_are_signed_out(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    let many: Vec<_> = (0..12).map(|n| format!("D{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for (operation, shown) in [
        (Operation::delete_device("NOSUCH"), "NOSUCH"),
        (Operation::delete_devices(&["OLD", "LOST"]), "OLD, LOST"),
        (Operation::delete_devices(&many), "D0, D1, D2, D3, D4, D5, D6, D7, D8, D9, …"),
        (Operation::delete_devices(&["\u{202e}<b>"]), "?&#60;b&#62;"),
        (Operation::delete_devices(&[&"x".repeat(300)]), &*"x".repeat(64)),
    ] {
        let session = alice.start(&operation).await;
        let page = browser.get(&path("m.login.sso", &session)).await.is(200);
        page.says(&format!("id=\"device\">{shown}<"));
    }
    let session = alice.start(&Operation::regenerate()).await;
    let page = browser.get(&path("m.login.sso", &session)).await.is(200);
    assert!(!page.html().contains("id=\"device\""), "{}", page.html());
}

/// An upload of this master key.
fn upload(user: &User, key: &str) -> Operation {
    let keys = json!({(format!("ed25519:{key}")): key});
    let master = json!({"user_id": user.id, "usage": ["master"], "keys": keys});
    Operation::new("POST", "keys/device_signing/upload", json!({"master_key": master}))
}

async fn a_client_that_asks_again_gets_through_once_and_with_the_same_keys_only(app: TestApp) {
    let (_app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    alice.attempt(&upload(&alice, "AAAA"), &json!({})).await.is(200);
    let session = alice.start(&upload(&alice, "BBBB")).await;
    approve(&alice, &session).await.is(200);
    alice.attempt(&upload(&alice, "CCCC"), &json!({})).await.is(401);
    alice.attempt(&upload(&alice, "BBBB"), &json!({})).await.is(200);
    alice.attempt(&upload(&alice, "AAAA"), &json!({})).await.is(401);
    alice.attempt(&Operation::delete_devices(&["NOSUCH"]), &json!({})).await.is(401);
}

async fn factors_are_changed_by_what_was_approved_on_the_page(app: TestApp) {
    let (_app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let session = alice.start(&Operation::regenerate()).await;
    approve(&alice, &session).await.is(200);
    let reply = resume(&alice, &Operation::regenerate(), &session).await.is(200);
    assert_eq!(reply.strings("recovery_codes").len(), 10);
    resume(&alice, &Operation::regenerate(), &session).await.is(401);
}
