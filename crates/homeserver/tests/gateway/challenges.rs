//! The homeserver's own User-Interactive Authentication stays between it and
//! the gateway: whoever knew its session could finish the operation there.

use axum::body::to_bytes;
use http::StatusCode;
use myelin_homeserver::{Error, Homeserver, OperationRequest, Performed, Silent};
use myelin_storage::Epoch;

use crate::script::{Scripted, context, deletion, proof, upload};

/// Every form of a 401 that holds a session, and some that nobody can read.
const CHALLENGES: [&str; 7] = [
    r#"{"flows":[{"stages":["m.login.password"]}],"session":"UPSTREAM","params":{}}"#,
    r#"{"flows":[{"stages":["org.myelin.assertion"]}],"session":"UPSTREAM"}"#,
    r#"{"flows":[],"session":"UPSTREAM","completed":["m.login.password"]}"#,
    r#"{"session":"UPSTREAM","errcode":"M_FORBIDDEN"}"#,
    r#"{"flows":null,"session":"UPSTREAM"}"#,
    r#"{"session":"UPSTREAM","session":"UPSTREAM"}"#,
    "<html>UPSTREAM</html>",
];

/// What a client would see.
async fn shown(performed: Result<Performed, Error>) -> String {
    let Ok(Performed::Answered(response)) = performed else { return String::new() };
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn requests() -> [OperationRequest; 2] {
    [deletion(), upload()]
}

#[tokio::test]
async fn no_session_of_the_homeservers_reaches_a_client() {
    for body in CHALLENGES {
        let server = Scripted::always(401, body).await;
        let adapters: [&dyn Homeserver; 2] = [&server.generic(), &server.synapse()];
        for (adapter, request) in adapters.iter().flat_map(|one| requests().map(|r| (one, r))) {
            let seen = shown(adapter.perform(proof(), Epoch(0), request, &context()).await).await;
            assert!(!seen.contains("UPSTREAM"), "{seen}");
        }
    }
}

#[tokio::test]
async fn nor_by_an_upload_that_needed_no_proof() {
    for body in CHALLENGES {
        let server = Scripted::homeserver(move |asked| match asked.line.as_str() {
            "POST keys/query" => (200, r#"{"device_keys":{"@alice:example.org":{}}}"#.to_owned()),
            _ => (401, body.to_owned()),
        })
        .await;
        let silent = server.generic().try_silently(&upload(), &context()).await;
        assert!(!matches!(silent, Ok(Silent::Done(_))), "{body}: {silent:?}");
    }
}

#[tokio::test]
async fn a_401_that_is_no_challenge_is_the_clients() {
    let body = r#"{"errcode":"M_UNKNOWN_TOKEN","error":"gone","soft_logout":true}"#;
    let server = Scripted::always(401, body).await;
    let performed =
        server.generic().perform(proof(), Epoch(0), deletion(), &context()).await.unwrap();
    let Performed::Answered(response) = performed else { panic!("{performed:?}") };
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_password_that_the_homeserver_refuses_is_wrong() {
    let server = Scripted::always(401, CHALLENGES[0]).await;
    let performed =
        server.generic().perform(proof(), Epoch(0), deletion(), &context()).await.unwrap();
    assert!(matches!(performed, Performed::WrongPassword), "{performed:?}");
    // In one shot: no session of the homeserver's was ever used.
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].body["auth"].get("session").is_none(), "{asked:?}");
    assert_eq!(asked[0].body["auth"]["identifier"]["user"], "@alice:example.org");
}
