//! What nobody can do to another's account page.

use std::time::Duration;

use crate::{
    kit::{Browser, Operation, Page, TestApp, User, on_every_database},
    pages_account::{ACCOUNT, change, changes, enter, fresh, protected},
    pages_kit::with_pages,
};

on_every_database![
    nothing_of_another_user_can_be_changed,
    names_are_shown_and_not_run,
    no_form_of_the_account_page_works_without_its_token,
    every_account_page_has_its_protection_and_is_small,
    the_session_ends_when_it_is_idle_and_at_its_end,
    a_session_that_was_signed_out_is_worthless,
    a_new_password_ends_the_session,
    a_cookie_that_was_planted_is_not_taken_over,
];

async fn nothing_of_another_user_can_be_changed(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    let mallory = User::register(&app, "mallory").await.protected(1).await;
    let mut of_mallory = app.browser();
    enter(&mallory, &mut of_mallory).await;
    fresh(&app);
    let code = alice.code();
    change(&mut browser, "app-password", &[("name", "Bot"), ("code", &code)]).await.is(200);
    let id = app.store.app_passwords(&alice.id).await.expect("it answers")[0].id.to_string();
    let authenticator = alice.factor().authenticator.to_string();
    let own = mallory.factor().authenticator.to_string();
    let page = of_mallory.get(&format!("/account/change?do=rename&id={own}")).await.is(200);
    let (action, hidden) = page.form(0);
    let csrf = &hidden.iter().find(|(name, _)| name == "csrf").expect("a token").1;
    for (what, id) in [("rename", &authenticator), ("remove", &authenticator), ("revoke", &id)] {
        of_mallory.get(&format!("/account/change?do={what}&id={id}")).await.is(404);
        let code = mallory.code();
        let fields =
            [("csrf", csrf.as_str()), ("do", what), ("id", id), ("name", "Mine"), ("code", &code)];
        of_mallory.send(&action, &fields).await.is(404);
    }
    // Nor with the code of somebody else.
    change(&mut of_mallory, "codes", &[("code", &alice.code_in(1))]).await.is(403);
    assert_eq!(alice.factors().await.authenticators[0].name.as_str(), "Authenticator");
    assert_eq!(app.store.app_passwords(&alice.id).await.expect("it answers").len(), 1);
}

async fn names_are_shown_and_not_run(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    let name = "\"><script>alert(1)</script>'";
    let id = alice.factor().authenticator.to_string();
    fresh(&app);
    let fields = [("name", name), ("code", &alice.code())];
    change(&mut browser, &format!("rename&id={id}"), &fields).await.is(200);
    fresh(&app);
    let fields = [("name", name), ("code", &alice.code())];
    let made = change(&mut browser, "app-password", &fields).await.is(200);
    let wrong = change(&mut browser, "add", &[("name", name), ("code", "1")]).await.is(403);
    let overview = browser.get("/account").await.is(200);
    let rename = browser.get(&format!("/account/change?do=rename&id={id}")).await.is(200);
    for page in [made, wrong, overview, rename] {
        let html = page.html();
        assert!(html.contains("alert(1)") && !html.contains("<script>"), "{html}");
    }
}

/// Every kind of account page, each in a browser that can go on from there.
async fn every_page(app: &TestApp, alice: &User, browser: &mut Browser) -> Vec<(Browser, Page)> {
    let mut pages = Vec::new();
    let before = browser.clone();
    for (what, _) in changes(alice).await {
        let page = browser.get(&format!("/account/change?do={what}")).await.is(200);
        pages.push((before.clone(), page));
    }
    let page = browser.get("/account/change?do=codes&with=recovery").await.is(200);
    let wrong = browser.submit(&page, &[("code", "1")]).await.is(403);
    pages.extend([(before.clone(), page), (before, wrong)]);
    fresh(app);
    let fields = [("name", "Weather bot"), ("code", &alice.code())];
    let made = change(browser, "app-password", &fields).await.is(200);
    pages.push((browser.clone(), made));
    fresh(app);
    let fields = [("name", "Tablet"), ("code", &alice.code())];
    let picture = change(browser, "add", &fields).await.is(200);
    let wrong = browser.submit(&picture, &[("code", "000000")]).await.is(403);
    pages.extend([(browser.clone(), picture), (browser.clone(), wrong)]);
    fresh(app);
    let codes = change(browser, "codes", &[("code", &alice.code())]).await.is(200);
    pages.push((browser.clone(), codes));
    let overview = browser.get("/account").await.is(200);
    pages.push((browser.clone(), overview));
    pages
}

async fn no_form_of_the_account_page_works_without_its_token(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    let mut other = app.browser();
    let foreign = other.get(&crate::pages_kit::start(ACCOUNT)).await.between("value=\"", "\"");
    let mut tried = 0;
    for (browser, page) in every_page(&app, &alice, &mut browser).await {
        for index in 0..page.html().matches("<form").count() {
            tried += 1;
            let (action, hidden) = page.form(index);
            for token in [None, Some(""), Some(foreign.as_str())] {
                let kept = hidden.iter().filter(|(name, _)| name != "csrf");
                let mut fields: Vec<_> = kept.map(|(n, v)| (n.as_str(), v.as_str())).collect();
                fields.extend(token.map(|token| ("csrf", token)));
                let code = alice.code_in(1);
                fields.extend([("code", code.as_str()), ("saved", "yes")]);
                browser.clone().send(&action, &fields).await.is(403).says("out of date");
            }
            let mut evil = browser.clone();
            evil.headers.push(("sec-fetch-site", "cross-site"));
            let all: Vec<_> = hidden.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            evil.send(&action, &all).await.is(403);
        }
    }
    assert!(tried >= 12, "{tried} forms");
    browser.get("/account").await.is(200);
}

async fn every_account_page_has_its_protection_and_is_small(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    for _ in 0..3 {
        fresh(&app);
        let fields = [("name", "Bot"), ("code", &alice.code())];
        change(&mut browser, "app-password", &fields).await.is(200);
    }
    let style = {
        let page = browser.get("/account").await;
        browser.get(&page.between("rel=\"stylesheet\" href=\"", "\"")).await.is(200)
    };
    for (_, page) in every_page(&app, &alice, &mut browser).await {
        let (reply, html) = (&page.reply, page.html());
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(policy.contains("script-src"), html.contains("<script"), "{policy}");
        assert!(!html.contains("<script>") && !html.contains(" style="), "{html}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(reply.header(name), value, "{}", page.path);
        }
        let size = html.len() + style.reply.body.len() + 1024;
        assert!(size < 30 * 1024, "{} has {size} bytes", page.path);
    }
}

async fn the_session_ends_when_it_is_idle_and_at_its_end(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    app.advance(Duration::from_mins(29));
    browser.get("/account").await.is(200);
    app.advance(Duration::from_mins(31));
    browser.get("/account").await.is(303);
    enter(&alice, &mut browser).await;
    for _ in 0..5 {
        app.advance(Duration::from_mins(23));
        browser.get("/account").await.is(200);
    }
    app.advance(Duration::from_mins(6));
    browser.get("/account").await.is(303);
}

async fn a_session_that_was_signed_out_is_worthless(app: TestApp) {
    let (_app, _alice, mut browser, page) = protected(app).await;
    let mut thief = browser.clone();
    let last = page.html().matches("<form").count() - 1;
    let out = browser.submit_nth(&page, last, &[]).await;
    out.is(303);
    thief.get("/account").await.is(303);
}

async fn a_new_password_ends_the_session(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    fresh(&app);
    let operation = Operation::change_password("another quiet horse");
    alice.prove(&operation, &alice.code()).await.is(200);
    browser.get("/account").await.is(303);
}

async fn a_cookie_that_was_planted_is_not_taken_over(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    let planted = "A".repeat(32);
    browser.cookies.insert("__Host-myelin-account".to_owned(), planted.clone());
    browser.get("/account").await.is(303);
    enter(&alice, &mut browser).await;
    assert_ne!(browser.cookies["__Host-myelin-account"], planted);
    let mut thief = app.browser();
    thief.cookies.insert("__Host-myelin-account".to_owned(), planted);
    thief.get("/account").await.is(303);
}
