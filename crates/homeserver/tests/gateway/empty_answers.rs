//! A homeserver that answers `200 {}`, or anything else that is not what was
//! asked for, lets nobody in and opens nothing.

use http::Method;
use myelin_homeserver::{Error, Homeserver, Operation, Performed, Silent};
use myelin_storage::Epoch;
use serde_json::json;

use crate::script::{
    Scripted, alice, check, context, deletion, device, evidence, login_of, operation, proof, token,
    upload,
};

/// Answers of which none is an answer to anything that is asked.
const EMPTY: [&str; 6] = ["{}", "[]", "null", "<html></html>", "", r#"{"a":1,"a":2}"#];

#[tokio::test]
async fn no_login_comes_of_an_empty_answer() {
    for body in EMPTY {
        let server = Scripted::always(200, body).await;
        let adapters: [&dyn Homeserver; 2] = [&server.generic(), &server.synapse()];
        for adapter in adapters {
            assert!(check(adapter).await.is_err(), "{body}");
            let login = adapter.log_in_at_once(&evidence(), &device(), &context()).await;
            assert!(login.is_err(), "{body}: {login:?}");
        }
        let minted = server.synapse().log_in(proof(), device(), Epoch(0), &context()).await;
        assert!(minted.is_err(), "{body}: {minted:?}");
    }
}

#[tokio::test]
async fn an_empty_answer_after_a_checked_password_is_no_login() {
    for body in EMPTY {
        let server = Scripted::homeserver(move |asked| match asked.line.as_str() {
            "POST login" if asked.body["device_id"] == "PHONE" => (200, body.to_owned()),
            "POST login" => login_of("@alice:example.org", "of-the-check"),
            _ => (200, "{}".to_owned()),
        })
        .await;
        let generic = server.generic();
        check(&generic).await.unwrap();
        let login = generic.log_in(proof(), device(), Epoch(0), &context()).await;
        assert!(matches!(login, Err(Error::Unexpected(_))), "{body}: {login:?}");
    }
}

#[tokio::test]
async fn a_token_is_nobodys_by_an_empty_answer() {
    for body in EMPTY {
        let server = Scripted::always(200, body).await;
        let adapters: [&dyn Homeserver; 2] = [&server.generic(), &server.synapse()];
        for adapter in adapters {
            let resolved = adapter.resolve(&token(), &context()).await;
            assert!(resolved.is_err(), "{body}: {resolved:?}");
            assert!(adapter.check().await.is_err(), "{body}");
        }
    }
}

#[tokio::test]
async fn an_operation_is_not_done_by_what_is_no_json() {
    let password = || {
        let body = json!({"new_password": "another long password"});
        operation(Operation::ChangePassword, Method::POST, "account/password", body)
    };
    for (status, body) in [(200, "<html></html>"), (200, ""), (200, "[]"), (502, "<html></html>")] {
        let server = Scripted::always(status, body).await;
        let adapters: [&dyn Homeserver; 2] = [&server.generic(), &server.synapse()];
        for adapter in adapters {
            for request in [password(), deletion(), upload()] {
                let done = adapter.perform(proof(), Epoch(0), request, &context()).await;
                assert!(matches!(done, Err(Error::Unexpected(_))), "{status} {body}: {done:?}");
            }
            let relayed = adapter.relay(&password(), None, &context()).await;
            assert!(matches!(relayed, Err(Error::Unexpected(_))), "{status} {body}: {relayed:?}");
        }
    }
    let server = Scripted::always(200, "{}").await;
    let done = server.generic().perform(proof(), Epoch(0), password(), &context()).await;
    assert!(matches!(done, Ok(Performed::Answered(_))), "{done:?}");
}

/// Whether an upload is taken for one that needs no proof, where the homeserver
/// says this of the keys.
async fn passes(keys: &'static str) -> Result<bool, Error> {
    let server = Scripted::homeserver(move |asked| match asked.line.as_str() {
        "POST keys/query" => (200, keys.to_owned()),
        _ => (200, "{}".to_owned()),
    })
    .await;
    let silent = server.generic().try_silently(&upload(), &context()).await?;
    let uploads = server.asked().iter().filter(|asked| asked.line.ends_with("/upload")).count();
    let done = matches!(silent, Silent::Done(_));
    assert_eq!(uploads, usize::from(done), "{keys}");
    Ok(done)
}

#[tokio::test]
async fn an_empty_answer_does_not_say_that_there_are_no_keys_yet() {
    for keys in EMPTY {
        assert!(passes(keys).await.is_err(), "{keys}");
    }
    for keys in [
        // Of somebody else, or of nobody: Dendrite answers so where it fails.
        r#"{"device_keys":{},"master_keys":null,"failures":{}}"#,
        r#"{"device_keys":{"@bob:example.org":{}},"master_keys":{}}"#,
        r#"{"master_keys":{}}"#,
        r#"{"device_keys":{"@alice:example.org":[]},"master_keys":{}}"#,
        r#"{"device_keys":{"@alice:example.org":{}},"master_keys":[]}"#,
        r#"{"device_keys":{"@alice:example.org":{}},"master_keys":{"@alice:example.org":"x"}}"#,
    ] {
        assert!(passes(keys).await.is_err(), "{keys}");
    }
}

#[tokio::test]
async fn the_first_keys_pass_where_a_homeserver_says_that_there_are_none() {
    for keys in [
        // Synapse; Dendrite; Tuwunel, which leaves out what is empty.
        r#"{"device_keys":{"@alice:example.org":{}},"failures":{},"master_keys":{}}"#,
        r#"{"device_keys":{"@alice:example.org":{}},"failures":{},"master_keys":null}"#,
        r#"{"device_keys":{"@alice:example.org":{}}}"#,
    ] {
        assert!(passes(keys).await.unwrap(), "{keys}");
    }
    let other = concat!(
        r#"{"device_keys":{"@alice:example.org":{}},"#,
        r#""master_keys":{"@alice:example.org":{"keys":{"ed25519:Y":"Y"}}}}"#
    );
    assert!(!passes(other).await.unwrap());
}

#[tokio::test]
async fn the_owner_of_a_token_is_whom_the_homeserver_names() {
    let body = r#"{"user_id":"@alice:example.org","device_id":"D"}"#;
    let server = Scripted::always(200, body).await;
    let resolved = server.generic().resolve(&token(), &context()).await.unwrap();
    let myelin_homeserver::Resolved::Identity(identity) = resolved else { panic!("{resolved:?}") };
    assert_eq!(identity.user, alice());
}
