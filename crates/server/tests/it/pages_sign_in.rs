//! Signing in on the page, for a client that a token leads back to.

use std::time::Duration;

use myelin_server::NativeLogin;
use serde_json::json;

use crate::{
    kit::{Browser, Operation, Page, TestApp, User, on_every_database},
    pages_kit::{KNOWN, UNKNOWN, address, code_of, redeem, start, token, with_pages},
};

on_every_database![
    both_factors_lead_back_with_a_token_that_works_once,
    a_token_is_over_after_seconds,
    of_two_who_use_a_token_one_gets_in,
    a_known_client_is_not_asked_about,
    an_app_on_this_device_is_asked_about_by_its_name,
    without_a_second_factor_the_password_is_enough,
    a_recovery_code_signs_in_once,
    a_wrong_code_names_the_clock_and_too_many_make_one_wait,
    a_wrong_password_says_the_same_of_everybody,
    whoever_has_to_have_a_factor_sets_it_up_before_any_token,
    a_set_up_that_is_not_finished_leads_nowhere,
    a_flow_is_void_once_a_factor_is_set_up_elsewhere,
    a_restart_loses_no_sign_in,
    the_login_types_name_the_page,
    native_login_can_be_turned_off,
    the_page_speaks_german,
];

async fn both_factors_lead_back_with_a_token_that_works_once(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    let page = alice.sign_in(&mut browser, UNKNOWN).await.is(200);
    let page = page.says("other.example").says("@alice:example.org");
    assert!(!page.html().contains("loginToken=my"), "there is no token yet");
    let back = browser.submit(&page, &[]).await.is(200);
    let address = address(&back);
    assert!(address.starts_with("https://other.example/app?x=1&loginToken=myl_"), "{address}");
    assert!(address.ends_with("#/home"), "{address}");
    let reply = redeem(&app, &token(&address)).await.is(200);
    assert_eq!(reply.string("user_id"), "@alice:example.org");
    redeem(&app, &token(&address)).await.refuses(403, "M_FORBIDDEN");
    // Nor does the page lead anywhere once more.
    browser.submit(&page, &[]).await.is(403);
    browser.get("/account/sign-in").await.is(410);
    let actions = alice.actions().await;
    let done = ["password_passed", "totp_passed", "login_token_issued", "logged_in"];
    assert!(actions.ends_with(&done), "{actions:?}");
}

async fn a_token_is_over_after_seconds(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let back = alice.sign_in(&mut app.browser(), KNOWN).await;
    let token = token(&address(&back));
    app.advance(Duration::from_secs(31));
    redeem(&app, &token).await.refuses(403, "M_FORBIDDEN");
}

async fn of_two_who_use_a_token_one_gets_in(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let other = app.second_instance().await;
    let token = token(&address(&alice.sign_in(&mut app.browser(), KNOWN).await));
    let (one, two) = tokio::join!(redeem(&app, &token), redeem(&other, &token));
    let mut found = [one.status.as_u16(), two.status.as_u16()];
    found.sort_unstable();
    assert_eq!(found, [200, 403]);
}

async fn a_known_client_is_not_asked_about(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let back = alice.sign_in(&mut app.browser(), KNOWN).await.is(200);
    assert!(address(&back).starts_with("https://chat.example.org/?loginToken="));
}

async fn an_app_on_this_device_is_asked_about_by_its_name(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    for (to, name, back) in [
        ("element://connect", "element:", "element://connect?loginToken="),
        ("http://localhost:33/sso", "http://localhost:33", "http://localhost:33/sso?loginToken="),
    ] {
        app.advance_steps(1);
        let mut browser = app.browser();
        let page = alice.sign_in(&mut browser, to).await.is(200);
        let page = page.says(&format!("<dd class=\"host\">{name}</dd>"));
        let found = address(&browser.submit(&page, &[]).await);
        assert!(found.starts_with(back), "{found}");
    }
}

async fn without_a_second_factor_the_password_is_enough(app: TestApp) {
    let (app, _anon, bob) = with_pages(&app).await.with_user("bob").await;
    let mut browser = app.browser();
    let back = bob.type_password(&mut browser, KNOWN).await.is(200);
    redeem(&app, &token(&address(&back))).await.is(200);
    let asked = bob.type_password(&mut browser, UNKNOWN).await.is(200).says("other.example");
    let back = browser.submit(&asked, &[]).await;
    redeem(&app, &token(&address(&back))).await.is(200);
}

async fn a_recovery_code_signs_in_once(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let code = alice.recovery_code(0).to_lowercase();
    let last = alice.recovery_code(1);
    for (code, status) in [(&code, 200), (&code, 403), (&last, 200)] {
        let mut browser = app.browser();
        let page = alice.type_password(&mut browser, KNOWN).await.is(200);
        let page = browser.get(&page.link("Use a recovery code")).await.is(200);
        let back = browser.submit(&page, &[("code", code)]).await.is(status);
        assert_eq!(back.html().contains("loginToken="), status == 200);
    }
    assert_eq!(alice.failures().await, (0, 0), "a spent code is no guess");
}

async fn a_wrong_code_names_the_clock_and_too_many_make_one_wait(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    let mut page = alice.type_password(&mut browser, KNOWN).await.is(200);
    for _ in 0..4 {
        page = browser.submit(&page, &[("code", &alice.wrong_code())]).await.is(403);
        page = page.says("role=\"alert\"").says("UTC").says("automatic time");
    }
    page = browser.submit(&page, &[("code", &alice.wrong_code())]).await.is(429);
    page = browser.submit(&page.says("Wait 30 s"), &[("code", &alice.code())]).await.is(429);
    assert_eq!(alice.failures().await, (5, 0));
    app.advance_steps(1);
    // Spaces do not matter.
    let code = alice.code();
    let spaced = format!(" {} {} ", &code[..3], &code[3..]);
    let back = browser.submit(&page, &[("code", &spaced)]).await.is(200);
    redeem(&app, &token(&address(&back))).await.is(200);
}

async fn a_wrong_password_says_the_same_of_everybody(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let bob = User::register(&app, "bob").await;
    let mut seen = Vec::new();
    for name in [alice.name.as_str(), bob.name.as_str(), "nobody", "@x:elsewhere.example"] {
        let mut browser = app.browser();
        let page = browser.get(&start(KNOWN)).await;
        let fields = [("user", name), ("password", "not this one")];
        let page = browser.submit(&page, &fields).await.is(403);
        let (_, hidden) = page.form(0);
        seen.push(page.html().replace(&hidden[0].1, "").replace(name, ""));
        assert!(!browser.cookies.contains_key("__Host-myelin-sign-in"));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

/// An instance that requires a second factor of everybody.
async fn requiring(app: &TestApp) -> TestApp {
    let app = with_pages(app).await;
    app.planned(|plan| {
        plan.settings.policy.required_for = vec!["*".parse().expect("a pattern")];
    })
    .await
}

/// From the password to the picture.
async fn begin_set_up(browser: &mut Browser, user: &User, to: &str) -> Page {
    let page = user.type_password(browser, to).await.is(200);
    browser.submit(&page.says("Set up two-factor sign-in"), &[]).await.is(200)
}

async fn whoever_has_to_have_a_factor_sets_it_up_before_any_token(app: TestApp) {
    let (app, anon, bob) = requiring(&app).await.with_user("bob").await;
    let refused = anon.post("login", &bob.password_stage()).await.refuses(403, "M_FORBIDDEN");
    assert!(refused.string("error").contains("https://matrix.example.org/account"));
    let mut browser = app.browser();
    let page = begin_set_up(&mut browser, &bob, KNOWN).await.says("<svg class=\"qr\"");
    let code = code_of(&page, &app);
    let wrong = browser.submit(&page, &[("code", "00000")]).await.is(403);
    assert!(!wrong.html().contains("id=\"secret\""), "a secret is shown once");
    let codes = browser.submit(&wrong, &[("code", &code)]).await.is(200);
    assert_eq!(codes.html().matches("<li>").count(), 10);
    assert!(!codes.html().contains("loginToken="));
    let unticked = browser.submit(&codes, &[]).await.is(400);
    assert!(!unticked.html().contains("<li>"), "recovery codes are shown once");
    let back = browser.submit(&unticked, &[("saved", "yes")]).await.is(200);
    redeem(&app, &token(&address(&back))).await.is(200);
    let actions = bob.actions().await;
    let done = ["enrolment_begun", "authenticator_added", "login_token_issued", "logged_in"];
    assert!(actions.ends_with(&done), "{actions:?}");
    // The code that confirmed it is spent.
    let page = bob.type_password(&mut app.browser(), KNOWN).await.is(200);
    assert!(page.html().contains("Enter your code"));
}

async fn a_set_up_that_is_not_finished_leads_nowhere(app: TestApp) {
    let (app, _anon, bob) = requiring(&app).await.with_user("bob").await;
    let mut browser = app.browser();
    let page = begin_set_up(&mut browser, &bob, KNOWN).await;
    let (action, mut form) = page.form(0);
    for step in ["go", "saved", "code", "recovery"] {
        form.iter_mut().find(|(name, _)| name == "step").expect("a step").1 = step.into();
        let mut fields: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        fields.extend([("saved", "yes"), ("code", "123456")]);
        let reply = browser.clone().send(&action, &fields).await;
        assert!(!reply.html().contains("loginToken="), "{step}: {}", reply.html());
        assert!(reply.reply.status.is_client_error(), "{step}: {}", reply.html());
    }
    assert!(!bob.factors().await.protect());
    assert!(!bob.actions().await.contains(&"login_token_issued"));
}

async fn a_flow_is_void_once_a_factor_is_set_up_elsewhere(app: TestApp) {
    let (app, _anon, bob) = with_pages(&app).await.with_user("bob").await;
    let mut browser = app.browser();
    // The password is passed and was enough; only the question is open.
    let page = bob.type_password(&mut browser, UNKNOWN).await.is(200);
    let bob = bob.set_up().await;
    browser.submit(&page, &[]).await.is(410);
    // The same where a code was asked for, and the factors have changed.
    app.advance_steps(2);
    let page = bob.type_password(&mut browser, UNKNOWN).await.is(200);
    bob.prove(&Operation::regenerate(), &bob.code()).await.is(200);
    app.advance_steps(1);
    browser.submit(&page, &[("code", &bob.code())]).await.is(410);
}

async fn a_restart_loses_no_sign_in(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    let page = alice.type_password(&mut browser, KNOWN).await.is(200);
    let other = app.second_instance().await;
    let mut moved = other.browser();
    moved.cookies = browser.cookies.clone();
    let back = moved.submit(&page, &[("code", &alice.code())]).await.is(200);
    redeem(&app, &token(&address(&back))).await.is(200);
}

async fn the_login_types_name_the_page(app: TestApp) {
    let types = |app: TestApp| async move {
        let reply = app.anonymous().get("login").await.is(200);
        let flows = reply.json()["flows"].as_array().expect("flows").clone();
        let of = |flow: &serde_json::Value| flow["type"].as_str().expect("a type").to_owned();
        flows.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(types(app.clone()).await, ["m.login.password", "m.login.token"]);
    let app = with_pages(&app).await;
    assert_eq!(types(app.clone()).await, ["m.login.password", "m.login.sso", "m.login.token"]);
    let app = app.planned(|plan| plan.settings.native_login = NativeLogin::Nobody).await;
    assert_eq!(types(app).await, ["m.login.sso", "m.login.token"]);
}

async fn native_login_can_be_turned_off(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let bob = User::register(&app, "bob").await;
    let with_auth = json!({"auth": bob.password_stage()});
    for (native, alices, bobs) in [
        (NativeLogin::Everyone, 401, 200),
        (NativeLogin::WithoutSecondFactor, 403, 200),
        (NativeLogin::Nobody, 403, 403),
    ] {
        let app = app.planned(|plan| plan.settings.native_login = native).await;
        let anon = app.anonymous();
        anon.post("login", &alice.password_stage()).await.is(alices);
        anon.post("login", &bob.password_stage()).await.is(bobs);
        anon.post("login", &with_auth).await.is(bobs);
        // The page is open to all.
        let back = bob.type_password(&mut app.browser(), KNOWN).await.is(200);
        redeem(&app, &token(&address(&back))).await.is(200);
    }
}

async fn the_page_speaks_german(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    browser.headers.push(("accept-language", "de-CH, en;q=0.5"));
    browser.get(&start(KNOWN)).await.says("<html lang=\"de\">").says("Passwort");
    let english = format!("{}&ui_locales=fr+en-GB", start(KNOWN));
    let page = browser.get(&english).await.says("<html lang=\"en\">");
    let fields = [("user", alice.name.as_str()), ("password", crate::kit::PASSWORD)];
    // What was asked for in the address stays.
    browser.submit(&page, &fields).await.is(200).says("Enter your code");
}
