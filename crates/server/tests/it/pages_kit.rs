//! What the tests of the pages share.

use data_encoding::BASE32_NOPAD;
use myelin_ambient::SystemEntropy;
use myelin_testing::SeededUser;
use myelin_two_factor::{AuthenticatorId, TotpSecret};
use serde_json::json;

use crate::kit::{Browser, PASSWORD, Page, Reply, TestApp, User, encoded};

/// A client that the administrator knows.
pub(crate) const KNOWN: &str = "https://chat.example.org/";
/// One that nobody knows.
pub(crate) const UNKNOWN: &str = "https://other.example/app?x=1&loginToken=old#/home";

/// An instance with pages, on a public address.
pub(crate) async fn with_pages(app: &TestApp) -> TestApp {
    app.planned(|plan| {
        let url = |text: &str| text.parse::<url::Url>().expect("a URL");
        plan.settings.has_pages = true;
        plan.settings.public_url = url("https://matrix.example.org");
        plan.settings.pages.known_clients = vec![url(KNOWN).origin()];
    })
    .await
}

/// Where a client sends a person to sign in.
pub(crate) fn start(redirect_url: &str) -> String {
    format!("/_matrix/client/v3/login/sso/redirect?{}", encoded(&[("redirectUrl", redirect_url)]))
}

impl TestApp {
    /// A browser without cookies.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.anonymous())
    }
}

impl User {
    /// Types name and password.
    pub(crate) async fn type_password(&self, browser: &mut Browser, to: &str) -> Page {
        let page = browser.get(&start(to)).await.is(200);
        browser.submit(&page, &[("user", self.name.as_str()), ("password", PASSWORD)]).await
    }

    /// Signs in on the page, up to the question where it leads.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, to: &str) -> Page {
        let page = self.type_password(browser, to).await.is(200);
        browser.submit(&page, &[("code", &self.code())]).await
    }
}

/// The address that a finished sign-in leads to.
#[track_caller]
pub(crate) fn address(page: &Page) -> String {
    let link = page.link("id=\"continue\"");
    let refresh = page.between("content=\"0; url=", "\"").replace("&#38;", "&");
    assert_eq!(refresh, link, "both ways lead to the same place");
    link
}

/// The login token in an address.
#[track_caller]
pub(crate) fn token(address: &str) -> String {
    let (_, rest) = address.split_once("loginToken=").expect("a token");
    rest.split(['&', '#']).next().expect("a token").to_owned()
}

/// Logs in with a login token.
pub(crate) async fn redeem(app: &TestApp, token: &str) -> Reply {
    app.anonymous().post("login", &json!({"type": "m.login.token", "token": token})).await
}

/// The code that an app shows which has been given the secret on this page.
pub(crate) fn code_of(page: &Page, app: &TestApp) -> String {
    let text = page.between("id=\"secret\">", "<").replace(' ', "");
    let bytes = BASE32_NOPAD.decode(text.as_bytes()).expect("base32");
    let phone = SeededUser {
        user: "@somebody:example.org".try_into().expect("a user ID"),
        authenticator: AuthenticatorId::generate(&SystemEntropy),
        secret: TotpSecret::from_bytes(bytes.try_into().expect("160 bits")),
        codes: Vec::new(),
        sessions: Vec::new(),
    };
    phone.code(myelin_testing::fixture::step_at(app.now())).expose().to_owned()
}
