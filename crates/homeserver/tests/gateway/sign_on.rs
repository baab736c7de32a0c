//! The homeserver's own single sign-on, as far as it concerns the gate.

use myelin_homeserver::{Error, Homeserver as _, IdentityProvider};
use serde_json::{Value, json};

use crate::script::{Scripted, alice, context, login_of};

fn provider(id: &str, name: &str) -> IdentityProvider {
    IdentityProvider::new(id, name).expect("it is one")
}

#[tokio::test]
async fn only_what_is_one_segment_of_a_path_is_a_provider() {
    let flows = json!({"flows": [
        {"type": "m.login.password", "identity_providers": [{"id": "no", "name": "No"}]},
        {"type": "m.login.sso", "identity_providers": [
            {"id": "oidc-corp", "name": "Corp <b>"},
            {"id": "oidc"},
            {"id": "cas", "name": "CAS"},
            {"id": "saml", "name": "SAML"},
            {"id": "../admin", "name": "x"},
            {"id": "..", "name": "x"},
            {"id": "a?b", "name": "x"},
            {"id": "", "name": "x"},
            {"id": 7, "name": "x"},
            "oidc",
        ]},
        {"type": "m.login.sso"},
    ]});
    let synapse = Scripted::homeserver(move |_| (200, flows.to_string())).await;
    let found = synapse.synapse().identity_providers(&context()).await.expect("it answers");
    assert_eq!(found, [provider("oidc-corp", "Corp <b>"), provider("oidc", "oidc")]);
}

#[tokio::test]
async fn a_sign_on_leads_elsewhere_or_nowhere() {
    let back = "https://matrix.example.org/account/sign-on/return?state=s".parse().expect("a URL");
    for (status, body) in [(200, "<html>"), (404, "{}"), (302, ""), (500, "")] {
        let synapse = Scripted::always(status, body).await;
        let led = synapse.synapse().sign_on(&provider("corp", ""), &back, &context()).await;
        assert!(matches!(led, Err(Error::Unexpected(_))), "{status}: {led:?}");
        assert_eq!(synapse.asked()[0].line, "GET login/sso/redirect/corp");
    }
}

/// What the module says of a login token that this provider led to.
fn named_by(provider: &Value) -> (u16, String) {
    let body = json!({
        "errcode": "M_FORBIDDEN",
        "error": "a probe",
        "org.myelin.user_id": alice(),
        "org.myelin.auth_provider_id": provider,
    });
    (403, body.to_string())
}

#[tokio::test]
async fn a_login_token_of_another_way_than_single_sign_on_counts_for_nothing() {
    for provider in [json!(null), json!("cas"), json!("saml"), json!("oidcx"), json!(7)] {
        let said = provider.clone();
        let synapse = Scripted::homeserver(move |_| named_by(&said)).await;
        let checked = synapse.synapse().check_login_token("theirs", &context()).await;
        assert!(checked.expect("it answers").is_err(), "{provider}");
    }
}

#[tokio::test]
async fn a_login_token_names_a_user_and_leaves_no_login() {
    let synapse = Scripted::homeserver(|_| named_by(&json!("oidc-corp"))).await;
    let checked = synapse.synapse().check_login_token("theirs", &context()).await;
    assert_eq!(checked.expect("it answers").as_deref(), Ok(alice()));
    let [asked] = &*synapse.asked() else { panic!("one request") };
    assert_eq!(asked.line, "POST login");
    assert_eq!(asked.body, json!({"type": "m.login.token", "token": "theirs"}));
}

#[tokio::test]
async fn a_login_token_that_names_nobody_of_this_server_leads_nowhere() {
    let wrong = json!({"errcode": "M_FORBIDDEN", "error": "Invalid login token"}).to_string();
    let synapse = Scripted::homeserver(move |_| (403, wrong.clone())).await;
    let checked = synapse.synapse().check_login_token("made up", &context()).await;
    assert!(checked.expect("it answers").is_err());
    for user in [json!("@alice:evil.example"), json!("alice"), json!(null)] {
        let body = json!({"errcode": "M_FORBIDDEN", "error": "x", "org.myelin.user_id": user});
        let synapse = Scripted::homeserver(move |_| (403, body.to_string())).await;
        let checked = synapse.synapse().check_login_token("theirs", &context()).await;
        assert!(matches!(checked, Err(Error::Unexpected(_))), "{user}: {checked:?}");
    }
}

#[tokio::test]
async fn a_synapse_that_logs_in_at_once_has_no_module_and_is_not_believed() {
    let synapse = Scripted::homeserver(|asked| match asked.line.as_str() {
        "POST login" => login_of("@alice:example.org", "a-token"),
        _ => (200, "{}".to_owned()),
    })
    .await;
    let checked = synapse.synapse().check_login_token("theirs", &context()).await;
    assert!(matches!(checked, Err(Error::Unexpected(_))), "{checked:?}");
    assert_eq!(synapse.logged_out(), ["a-token"]);
}
