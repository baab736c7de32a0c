//! What is tried on pages: framing, forged forms, markup, open redirects,
//! fixation.

use serde_json::json;

use crate::{
    kit::{Browser, Operation, PASSWORD, Page, TestApp, User, encoded, on_every_database},
    pages_kit::{KNOWN, UNKNOWN, start, with_pages},
};

on_every_database![
    every_page_has_its_protection_and_is_small,
    no_form_works_without_its_token,
    nothing_that_is_sent_becomes_markup,
    no_redirect_leads_where_it_must_not,
    the_host_header_changes_nothing,
    a_cookie_that_was_there_before_is_not_taken_over,
    only_a_plain_form_is_read,
    programs_of_other_origins_cannot_read_pages,
    a_logo_can_do_nothing,
    without_pages_there_are_none,
];

/// Every kind of page, each in a browser that can go on from there.
async fn every_page(app: &TestApp, alice: &User, bob: &User) -> Vec<(Browser, Page)> {
    let mut pages = Vec::new();
    let mut show = |browser: &Browser, page: Page| pages.push((browser.clone(), page));
    let mut browser = app.browser();
    let page = browser.get(&start(UNKNOWN)).await.is(200);
    show(&browser, page);
    let page = alice.type_password(&mut browser, UNKNOWN).await.is(200);
    show(&browser, browser.clone().get("/account/sign-in?with=recovery").await.is(200));
    show(&browser, browser.clone().submit(&page, &[("code", "1")]).await.is(403));
    let confirm = browser.clone().submit(&page, &[("code", &alice.code())]).await.is(200);
    show(&browser, page);
    show(&browser, confirm);
    let back = browser.clone().get("/account/sign-in").await.is(200);
    let back = browser.submit(&back, &[]).await.is(200);
    show(&browser, back);
    let mut browser = app.browser();
    let intro = bob.type_password(&mut browser, KNOWN).await.is(200);
    let before = browser.clone();
    let picture = browser.submit(&intro, &[]).await.is(200);
    show(&before, intro);
    let before = browser.clone();
    let codes = crate::pages_kit::code_of(&picture, app);
    let codes = browser.submit(&picture, &[("code", &codes)]).await.is(200);
    show(&before, picture);
    show(&browser, codes);
    let session = alice.start(&Operation::delete_devices(&["NOSUCH"])).await;
    let address = format!("/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}");
    let page = browser.get(&address).await.is(200);
    show(&browser, page);
    for (address, status) in [
        (start("javascript:alert(1)"), 400),
        ("/_matrix/static/client/login/".to_owned(), 200),
        ("/_matrix/client/v3/auth/m.login.sso/fallback/web?session=x".to_owned(), 410),
    ] {
        let page = browser.get(&address).await.is(status);
        show(&browser, page);
    }
    pages
}

async fn set(app: &TestApp) -> (TestApp, User, User) {
    let app = with_pages(app).await;
    let required = "@bob:*";
    let app = app
        .planned(|plan| plan.settings.policy.required_for = vec![required.parse().expect("one")])
        .await;
    let (app, _anon, alice) = app.with_protected_user("alice").await;
    let bob = User::register(&app, "bob").await;
    (app, alice, bob)
}

async fn every_page_has_its_protection_and_is_small(app: TestApp) {
    let (app, alice, bob) = set(&app).await;
    let style = {
        let page = app.browser().get(&start(KNOWN)).await;
        app.browser().get(&page.between("rel=\"stylesheet\" href=\"", "\"")).await.is(200)
    };
    for (_, page) in every_page(&app, &alice, &bob).await {
        let reply = &page.reply;
        let policy = reply.header("content-security-policy");
        for part in ["default-src 'none';", "frame-ancestors 'none';", "base-uri 'none'"] {
            assert!(policy.contains(part), "{}: {policy}", page.path);
        }
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(reply.header(name), value, "{}", page.path);
        }
        let html = page.html();
        for part in [" style=", " on", "<style", "<script"] {
            let found = html.split('<').any(|tag| {
                format!("<{tag}").split('>').next().is_some_and(|tag| tag.contains(part))
            });
            // `on…=` is a handler.
            assert!(!found || part == " on", "{part} in {html}");
        }
        let size = html.len() + style.reply.body.len();
        assert!(size < 30 * 1024, "{} has {size} bytes", page.path);
        for form in 0..html.matches("<form").count() {
            assert!(page.form(form).1.iter().any(|(name, _)| name == "csrf"), "{html}");
        }
    }
}

async fn no_form_works_without_its_token(app: TestApp) {
    let (app, alice, bob) = set(&app).await;
    let mut tried = 0;
    for (browser, page) in every_page(&app, &alice, &bob).await {
        for index in 0..page.html().matches("<form").count() {
            tried += 1;
            let (action, hidden) = page.form(index);
            let rest = hidden.iter().filter(|(name, _)| name != "csrf");
            let rest: Vec<_> = rest.map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let with = |token| [&rest[..], &[("csrf", token)]].concat();
            let stranger = app.browser().get(&start(KNOWN)).await.form(0).1;
            let stranger = &stranger.iter().find(|(name, _)| name == "csrf").expect("one").1;
            for fields in [rest.clone(), with(""), with(stranger)] {
                browser.clone().send(&action, &fields).await.is(403).says("out of date");
            }
            let own = &hidden.iter().find(|(name, _)| name == "csrf").expect("one").1;
            // The right token, from another place or without the cookies.
            let mut elsewhere = browser.clone();
            elsewhere.headers.push(("sec-fetch-site", "cross-site"));
            elsewhere.send(&action, &with(own)).await.is(403).says("out of date");
            elsewhere.headers = vec![("origin", "https://evil.example")];
            elsewhere.send(&action, &with(own)).await.is(403).says("out of date");
            elsewhere = app.browser();
            elsewhere.send(&action, &with(own)).await.is(403).says("out of date");
        }
    }
    assert!(tried > 8, "{tried}");
    assert!(!bob.actions().await.contains(&"login_token_issued"));
}

async fn nothing_that_is_sent_becomes_markup(app: TestApp) {
    let (app, alice, bob) = set(&app).await;
    let evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{1337*7331}}";
    let mut pages = Vec::new();
    let mut browser = app.browser();
    let escaped = encoded(&[
        ("redirectUrl", "https://other.example/?\"'><script>alert(1)</script>"),
        ("ui_locales", evil),
        ("with", evil),
    ]);
    pages.push(browser.get(&format!("/_matrix/client/v3/login/sso/redirect?{escaped}")).await);
    let tail = percent_encoding::utf8_percent_encode(evil, percent_encoding::NON_ALPHANUMERIC);
    let idp = format!("/_matrix/client/v3/login/sso/redirect/{tail}");
    pages.push(browser.get(&format!("{idp}?{escaped}")).await);
    let page = browser.get(&start(KNOWN)).await;
    pages.push(browser.submit(&page, &[("user", evil), ("password", evil)]).await.is(403));
    let page = alice.type_password(&mut browser, KNOWN).await;
    pages.push(browser.submit(&page, &[("code", evil)]).await.is(403));
    let (action, mut form) = page.form(0);
    form.iter_mut().find(|(name, _)| name == "step").expect("a step").1 = evil.into();
    let fields: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    pages.push(browser.send(&action, &fields).await.is(400));
    let session = encoded(&[("session", evil), ("with", evil)]);
    for stage in ["m.login.sso", "m.login.2fa.totp", "m.login.2fa.recovery"] {
        let address = format!("/_matrix/client/v3/auth/{stage}/fallback/web?{session}");
        pages.push(browser.get(&address).await);
    }
    let mut browser = app.browser();
    let intro = bob.type_password(&mut browser, KNOWN).await.is(200);
    let picture = browser.submit(&intro, &[]).await;
    pages.push(browser.submit(&picture, &[("code", evil)]).await);
    for page in pages {
        let html = page.html();
        assert!(!html.contains("<script") && !html.contains("<img"), "{}: {html}", page.path);
        assert!(!html.contains("9801547"), "{html}");
    }
}

async fn no_redirect_leads_where_it_must_not(app: TestApp) {
    let (app, alice, _bob) = set(&app).await;
    let mut browser = app.browser();
    for to in [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "/account",
        "//evil.example",
        "http://evil.example/",
        "https://chat.example.org@evil.example/",
        "file:///etc/passwd",
        "intent://x#Intent;end",
    ] {
        browser.get(&start(to)).await.is(400).says("cannot be used");
    }
    for query in ["", "?redirecturl=element://x", "?redirectUrl=a:b&redirectUrl=element://x"] {
        let page = browser.get(&format!("/_matrix/client/v3/login/sso/redirect{query}")).await;
        assert_eq!(page.reply.status, 400, "{query}");
    }
    // Nor where the form says another address than the page did.
    let page = browser.get(&start(KNOWN)).await;
    let (action, mut form) = page.form(0);
    form.iter_mut().find(|(n, _)| n == "redirect_url").expect("one").1 = "javascript:x".into();
    let mut fields: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    fields.extend([("user", alice.name.as_str()), ("password", PASSWORD)]);
    browser.send(&action, &fields).await.is(400).says("cannot be used");
    // What only looks like a known client is asked about, by its true name.
    let page = alice.sign_in(&mut browser, "https://chat.example.org.evil.example/").await;
    page.is(200).says("<dd class=\"host\">chat.example.org.evil.example</dd>");
}

async fn the_host_header_changes_nothing(app: TestApp) {
    let (app, alice, _bob) = set(&app).await;
    let mut browser = app.browser();
    let evil = [("host", "evil.example"), ("x-forwarded-host", "evil.example")];
    browser.headers = evil.to_vec();
    let page = alice.type_password(&mut browser, UNKNOWN).await.is(200);
    assert!(!page.html().contains("evil.example"));
    let page = browser.submit(&page, &[("code", &alice.code())]).await.is(200);
    assert!(!page.html().contains("evil.example"));
    let session = alice.start(&Operation::delete_devices(&["NOSUCH"])).await;
    let address = format!("/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}");
    let page = browser.get(&address).await.is(200);
    assert!(!page.html().contains("evil.example"));
    let led = browser.get("/account").await.is(303).reply;
    assert!(!led.header("location").contains("evil.example"), "{}", led.header("location"));
}

async fn a_cookie_that_was_there_before_is_not_taken_over(app: TestApp) {
    let (app, alice, _bob) = set(&app).await;
    // A stranger begins, and gives the victim's browser the cookies.
    let mut stranger = app.browser();
    let mallory = User::register(&app, "mallory").await.protected(1).await;
    mallory.type_password(&mut stranger, UNKNOWN).await.is(200);
    let mut victim = app.browser();
    victim.cookies = stranger.cookies.clone();
    alice.sign_in(&mut victim, UNKNOWN).await.is(200).says("@alice:example.org");
    let name = "__Host-myelin-sign-in";
    assert_ne!(victim.cookies[name], stranger.cookies[name]);
    let page = stranger.get("/account/sign-in").await.is(200);
    assert!(!page.html().contains("alice"), "{}", page.html());
    // A made-up name is no session either.
    let mut guess = app.browser();
    guess.cookies.insert(name.to_owned(), "A".repeat(32));
    guess.get("/account/sign-in").await.is(410);
}

async fn only_a_plain_form_is_read(app: TestApp) {
    let (app, _alice, _bob) = set(&app).await;
    let mut browser = app.browser();
    let page = browser.get(&start(KNOWN)).await;
    let (action, form) = page.form(0);
    let fields: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let twice = [&fields[..], &[("user", "a"), ("user", "b")]].concat();
    browser.send(&action, &twice).await.is(400);
    let many: Vec<_> = (0..40).map(|n| (n.to_string(), String::new())).collect();
    let many: Vec<_> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    browser.send(&action, &[&fields[..], &many].concat()).await.is(400);
    let long = "x".repeat(20_000);
    browser.send(&action, &[&fields[..], &[("user", &*long)]].concat()).await.is(413);
    browser.headers = vec![("content-type", "application/json")];
    let json = json!({"csrf": form[0].1}).to_string();
    browser.request("POST", &action, Some(json)).await.is(400);
}

async fn programs_of_other_origins_cannot_read_pages(app: TestApp) {
    let (app, _alice, _bob) = set(&app).await;
    let mut browser = app.browser();
    browser.headers = vec![("origin", "https://evil.example")];
    let page = browser.get(&start(KNOWN)).await.is(200);
    assert_eq!(page.reply.header("access-control-allow-origin"), "");
    let style = browser.get(&page.between("rel=\"stylesheet\" href=\"", "\"")).await.is(200);
    assert_eq!(style.reply.header("access-control-allow-origin"), "");
    let types = browser.get("/_matrix/client/v3/login").await.is(200);
    assert_eq!(types.reply.header("access-control-allow-origin"), "*");
}

async fn a_logo_can_do_nothing(app: TestApp) {
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let app = with_pages(&app).await;
    let logo = myelin_server::Logo::new(svg.to_vec()).expect("a logo");
    let app = app.planned(|plan| plan.settings.pages.logo = Some(logo)).await;
    let mut browser = app.browser();
    let page = browser.get(&start(KNOWN)).await;
    let logo = browser.get(&page.between("<img src=\"", "\"")).await.is(200).reply;
    assert_eq!(logo.header("content-type"), "image/svg+xml");
    assert!(logo.header("content-security-policy").starts_with("sandbox; default-src 'none'"));
    assert_eq!(logo.header("x-content-type-options"), "nosniff");
    browser.get("/account/assets/logo-0000000000000000.svg").await.is(404);
}

async fn without_pages_there_are_none(app: TestApp) {
    let mut browser = app.browser();
    for path in [&*start(KNOWN), "/account/sign-in", "/_matrix/static/client/login/"] {
        browser.get(path).await.is(404);
    }
}
