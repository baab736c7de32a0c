//! The account page: it shows with both factors, and changes with a fresh proof.

use crate::{
    kit::{Browser, PASSWORD, Page, TestApp, User, on_every_database},
    pages_kit::{code_of, with_pages},
};

on_every_database![
    both_factors_lead_to_the_account_page_and_no_token_is_made,
    nobody_sees_the_account_page_without_signing_in,
    an_app_password_does_not_sign_in_to_the_account_page,
    without_a_factor_one_is_set_up_and_the_session_goes_on,
    no_change_is_made_with_the_session_alone,
    a_proof_is_good_for_one_change,
    new_codes_that_could_not_be_made_cost_none,
    of_two_changes_with_one_code_one_is_made,
    what_cannot_be_done_spends_no_code,
    an_authenticator_is_renamed_and_removed,
    the_last_authenticator_stays_where_the_policy_says_so,
    new_recovery_codes_are_shown_once_and_end_the_old,
    few_recovery_codes_are_warned_about,
    an_app_password_is_made_shown_once_and_revoked,
    all_devices_are_signed_out_and_other_browsers_too,
    events_are_told_in_plain_words_with_time_and_address,
    the_account_page_speaks_german,
];

pub(crate) const ACCOUNT: &str = "https://matrix.example.org/account";

/// Signs in to the account page with the code of now.
pub(crate) async fn enter(user: &User, browser: &mut Browser) -> Page {
    user.sign_in(browser, ACCOUNT).await.is(200).says("Your account")
}

/// Asks for a change and sends its form.
pub(crate) async fn change(browser: &mut Browser, what: &str, fields: &[(&str, &str)]) -> Page {
    let page = browser.get(&format!("/account/change?do={what}")).await.is(200);
    browser.submit(&page, fields).await
}

pub(crate) async fn protected(app: TestApp) -> (TestApp, User, Browser, Page) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    let page = enter(&alice, &mut browser).await;
    (app, alice, browser, page)
}

/// Moves on until no code of now was used.
pub(crate) fn fresh(app: &TestApp) {
    app.advance_steps(2);
}

async fn both_factors_lead_to_the_account_page_and_no_token_is_made(app: TestApp) {
    let (_app, alice, mut browser, page) = protected(app).await;
    page.says("@alice:example.org").says("Authenticator").says("2 of 2 left.");
    browser.get("/account").await.is(200);
    let actions = alice.actions().await;
    let done = ["password_passed", "totp_passed", "signed_in"];
    assert!(actions.ends_with(&done), "{actions:?}");
    browser.get("/account/sign-in").await.is(410);
}

async fn nobody_sees_the_account_page_without_signing_in(app: TestApp) {
    let (app, _anon, alice) = with_pages(&app).await.with_protected_user("alice").await;
    let mut browser = app.browser();
    for path in ["/account", "/account/change?do=devices"] {
        let page = browser.get(path).await.is(303);
        let to = page.reply.header("location").to_owned();
        assert!(to.starts_with("/_matrix/client/v3/login/sso/redirect?redirectUrl="), "{to}");
        browser.get(&to).await.is(200).says("Sign in");
    }
    // With the password alone it is no other.
    alice.type_password(&mut browser, ACCOUNT).await.is(200);
    browser.get("/account").await.is(303);
}

async fn an_app_password_does_not_sign_in_to_the_account_page(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    fresh(&app);
    let code = alice.code();
    let made = change(&mut browser, "app-password", &[("name", "Bot"), ("code", &code)]).await;
    let password = made.between("id=\"app-password\">", "<");
    let mut other = app.browser();
    let page = other.get(&crate::pages_kit::start(ACCOUNT)).await;
    let page = other.submit(&page, &[("user", "alice"), ("password", &password)]).await.is(403);
    page.says("That did not work.");
}

async fn without_a_factor_one_is_set_up_and_the_session_goes_on(app: TestApp) {
    let (app, _anon, bob) = with_pages(&app).await.with_user("bob").await;
    let mut browser = app.browser();
    let page = bob.type_password(&mut browser, ACCOUNT).await.is(200);
    page.says("Only your password protects this account.");
    let wrong = change(&mut browser, "add", &[("name", "Phone"), ("password", "wrong")]).await;
    wrong.is(403).says("That did not work.");
    let fields = [("name", "Phone"), ("password", PASSWORD)];
    let picture = change(&mut browser, "add", &fields).await.is(200).says("<svg class=\"qr\"");
    let again = browser.submit(&picture, &[("code", "000000")]).await.is(403);
    assert!(!again.html().contains("id=\"secret\""), "the secret is shown once");
    let code = code_of(&picture, &app);
    let codes = browser.submit(&picture, &[("code", &code)]).await.is(200);
    assert_eq!(codes.between("<ul class=\"codes\"", "</ul>").matches("<li>").count(), 10);
    let page = browser.submit_nth(&codes, 1, &[("saved", "yes")]).await.is(200);
    page.says("Phone").says("10 of 10 left.");
    assert!(bob.factors().await.protect());
    // The code that has confirmed it proves nothing more.
    let replay = change(&mut browser, "codes", &[("code", &code)]).await;
    replay.is(403);
}

/// A change of each kind: what is asked for, and what the form takes besides
/// the proof.
pub(crate) async fn changes(user: &User) -> Vec<(String, Vec<(&'static str, &'static str)>)> {
    let id = user.factors().await.authenticators[0].id.to_string();
    let mut changes = vec![
        ("add".to_owned(), vec![("name", "Tablet")]),
        (format!("rename&id={id}"), vec![("name", "Other")]),
        (format!("remove&id={id}"), vec![]),
        ("codes".to_owned(), vec![]),
        ("app-password".to_owned(), vec![("name", "Bot")]),
        ("devices".to_owned(), vec![]),
    ];
    for one in user.app.store.app_passwords(&user.id).await.expect("it answers") {
        changes.push((format!("revoke&id={}", one.id), vec![]));
    }
    changes
}

async fn no_change_is_made_with_the_session_alone(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    fresh(&app);
    let code = alice.code();
    change(&mut browser, "app-password", &[("name", "Bot"), ("code", &code)]).await.is(200);
    let before = format!("{:?}", alice.factors().await.authenticators);
    let codes = alice.factors().await.codes.expect("there are some").generated;
    for (what, fields) in changes(&alice).await {
        let with_password = [("password", PASSWORD)];
        let used = [("code", code.as_str())];
        for proof in [&[][..], &with_password, &[("code", "")], &used] {
            let all: Vec<_> = fields.iter().chain(proof).copied().collect();
            change(&mut browser, &what, &all).await.is(403);
        }
        let recovery = format!("{what}&with=recovery");
        let all: Vec<_> = fields.iter().chain(&[("code", "0000-0000")]).copied().collect();
        change(&mut browser, &recovery, &all).await.is(403);
    }
    assert_eq!(format!("{:?}", alice.factors().await.authenticators), before);
    assert_eq!(alice.factors().await.codes.expect("there are some").generated, codes);
    assert_eq!(alice.app.store.app_passwords(&alice.id).await.expect("ok").len(), 1);
    alice.client.get("account/whoami").await.is(200);
}

async fn a_proof_is_good_for_one_change(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    fresh(&app);
    let code = alice.code();
    change(&mut browser, "app-password", &[("name", "Bot"), ("code", &code)]).await.is(200);
    change(&mut browser, "codes", &[("code", &code)]).await.is(403);
    let recovery = alice.recovery_code(0);
    let fields = [("name", "Bot"), ("code", recovery.as_str())];
    change(&mut browser, "app-password&with=recovery", &fields).await.is(200);
    change(&mut browser, "codes&with=recovery", &[("code", &recovery)]).await.is(403);
}

async fn new_codes_that_could_not_be_made_cost_none(app: TestApp) {
    let (app, _alice, mut browser, page) = protected(app).await;
    let renew = "do=codes";
    page.says(renew);
    app.database.execute("UPDATE authenticators SET status = 'disabled'").await;
    let page = browser.get("/account").await.is(200).says("2 of 2 left.");
    assert!(!page.html().contains(renew));
    browser.get("/account/change?do=codes&with=recovery").await.is(404);
}

async fn of_two_changes_with_one_code_one_is_made(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    fresh(&app);
    let code = alice.code();
    let page = browser.get("/account/change?do=app-password").await.is(200);
    let fields = [("name", "Bot"), ("code", code.as_str())];
    let (mut one, mut two, mut three) = (browser.clone(), browser.clone(), browser);
    let (one, two, three) = tokio::join!(
        one.submit(&page, &fields),
        two.submit(&page, &fields),
        three.submit(&page, &fields)
    );
    let mut found = [&one, &two, &three].map(|page| page.reply.status.as_u16());
    found.sort_unstable();
    assert_eq!(found, [200, 403, 403]);
    assert_eq!(app.store.app_passwords(&alice.id).await.expect("it answers").len(), 1);
}

async fn what_cannot_be_done_spends_no_code(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    fresh(&app);
    let code = alice.code();
    for name in ["", "  ", "a\u{7}b", &"x".repeat(65)] {
        let fields = [("name", name), ("code", code.as_str())];
        let page = change(&mut browser, "app-password", &fields).await.is(400);
        page.says("That name cannot be used.");
    }
    browser.get("/account/change?do=nonsense").await.is(404);
    change(&mut browser, "app-password", &[("name", "Bot"), ("code", &code)]).await.is(200);
}

async fn an_authenticator_is_renamed_and_removed(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    let id = alice.factor().authenticator.to_string();
    fresh(&app);
    let fields = [("name", "Blue phone"), ("code", &alice.code())];
    let page = change(&mut browser, &format!("rename&id={id}"), &fields).await.is(200);
    page.says("Blue phone");
    fresh(&app);
    let page = browser.get(&format!("/account/change?do=remove&id={id}")).await.is(200);
    let page = browser.submit(&page.says("Blue phone"), &[("code", &alice.code())]).await.is(200);
    page.says("Only your password protects this account.");
    assert!(!alice.factors().await.protect());
    assert!(alice.factors().await.codes.is_none());
}

async fn the_last_authenticator_stays_where_the_policy_says_so(app: TestApp) {
    let (app, alice, signed_in, _) = protected(app).await;
    let strict = app
        .planned(|plan| plan.settings.policy.required_for = vec!["*".parse().expect("a pattern")])
        .await;
    let mut browser = strict.browser();
    browser.cookies = signed_in.cookies;
    let page = browser.get("/account").await.is(200);
    assert!(!page.html().contains("do=remove"));
    let id = alice.factor().authenticator.as_str();
    browser.get(&format!("/account/change?do=remove&id={id}")).await.is(403);
}

async fn new_recovery_codes_are_shown_once_and_end_the_old(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    fresh(&app);
    let page = change(&mut browser, "codes", &[("code", &alice.code())]).await.is(200);
    let shown = page.between("id=\"recovery-codes\">", "</ul>");
    assert_eq!(shown.matches("<li>").count(), 10);
    let first = page.between("<li>", "</li>");
    // Not ticked: they are still there.
    let again = browser.submit_nth(&page, 1, &[]).await.is(400);
    assert_eq!(again.between("id=\"recovery-codes\">", "</ul>"), shown);
    let file = browser.submit_nth(&again, 0, &[]).await.is(200);
    assert_eq!(file.reply.header("content-type"), "text/plain; charset=utf-8");
    let disposition = file.reply.header("content-disposition");
    assert_eq!(disposition, "attachment; filename=\"recovery-codes.txt\"");
    assert_eq!(file.html().matches("\r\n").count(), 12);
    assert!(file.html().contains(&first) && file.html().contains("@alice:example.org"));
    let page = browser.submit_nth(&again, 1, &[("saved", "yes")]).await.is(200);
    assert!(!page.says("10 of 10 left.").html().contains(&first));
    let old = alice.recovery_code(0);
    alice.log_in_by_recovery(&old).await.looks_wrong();
    alice.log_in_by_recovery(&first).await.is(200);
}

async fn few_recovery_codes_are_warned_about(app: TestApp) {
    let (app, alice, mut browser, page) = protected(app).await;
    page.says("2 of 2 left. Make new ones before you run out.");
    fresh(&app);
    change(&mut browser, "codes", &[("code", &alice.code())]).await.is(200);
    let page = browser.get("/account").await.is(200).says("10 of 10 left.");
    assert!(!page.html().contains("before you run out"));
}

async fn an_app_password_is_made_shown_once_and_revoked(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    fresh(&app);
    let fields = [("name", "Weather bot"), ("code", &alice.code())];
    let page = change(&mut browser, "app-password", &fields).await.is(200);
    let password = page.between("id=\"app-password\">", "<");
    let log_in =
        || async { app.anonymous().post("login", &alice.password_stage_with(&password)).await };
    log_in().await.is(200);
    let page = browser.get("/account").await.is(200).says("Weather bot").says("Last used");
    assert!(!page.html().contains(&password));
    let link = page.link("Remove: Weather bot");
    fresh(&app);
    let page = browser.get(&link).await.is(200).says("Weather bot");
    let page = browser.submit(&page, &[("code", &alice.code())]).await.is(200);
    assert!(!page.html().contains("Weather bot"));
    log_in().await.refuses(403, "M_FORBIDDEN");
}

async fn all_devices_are_signed_out_and_other_browsers_too(app: TestApp) {
    let (app, alice, mut browser, _) = protected(app).await;
    fresh(&app);
    let mut other = app.browser();
    enter(&alice, &mut other).await;
    let bob = User::register(&app, "bob").await;
    fresh(&app);
    let page = change(&mut browser, "devices", &[("code", &alice.code())]).await.is(200);
    page.says("Your account");
    alice.client.get("account/whoami").await.refuses(401, "M_UNKNOWN_TOKEN");
    bob.client.get("account/whoami").await.is(200);
    browser.get("/account").await.is(200);
    other.get("/account").await.is(303);
}

async fn events_are_told_in_plain_words_with_time_and_address(app: TestApp) {
    let (_app, _alice, mut browser, page) = protected(app).await;
    let page = page.says("Somebody signed in to this page").says("A code was accepted");
    page.says(" UTC · from 198.51.100.7");
    change(&mut browser, "codes", &[("code", "000000")]).await.is(403);
    browser.get("/account").await.is(200).says("A wrong code was entered");
}

async fn the_account_page_speaks_german(app: TestApp) {
    let (_app, _alice, mut browser, _) = protected(app).await;
    browser.headers.push(("accept-language", "de"));
    browser.get("/account").await.is(200).says("Ihr Konto").says("Letzte Ereignisse");
    let page = browser.get("/account/change?do=devices").await.is(200);
    page.says("Alle Geräte abmelden");
    assert_eq!(browser.get("/account").await.reply.header("content-language"), "de");
}
