//! The device of a password check is gone when the check is done.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use myelin_homeserver::{Homeserver, PasswordCheck};

use crate::script::{Scripted, alice, check, context, evidence, identifier, login_of};

#[tokio::test]
async fn a_failed_logout_is_tried_again() {
    let failures = AtomicU32::new(2);
    let server = Scripted::homeserver(move |asked| match asked.line.as_str() {
        "POST login" => login_of("@alice:example.org", "of-the-check"),
        _ if failures.load(Ordering::SeqCst) > 0 => {
            failures.fetch_sub(1, Ordering::SeqCst);
            (502, "<html></html>".to_owned())
        }
        _ => (200, "{}".to_owned()),
    })
    .await;
    let generic = server.generic();
    let check = check(&generic).await;
    assert!(matches!(check, Ok(PasswordCheck::Verified(user)) if user == alice()));
    assert_eq!(server.logged_out(), ["of-the-check"; 3]);
}

#[tokio::test]
async fn a_device_that_is_gone_already_is_gone() {
    let server = Scripted::homeserver(|asked| match asked.line.as_str() {
        "POST login" => login_of("@alice:example.org", "of-the-check"),
        _ => (401, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#.to_owned()),
    })
    .await;
    check(&server.generic()).await.unwrap();
    assert_eq!(server.logged_out(), ["of-the-check"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_also_when_the_client_has_gone_meanwhile() {
    let server = Scripted::homeserver(|asked| match asked.line.as_str() {
        "POST login" => {
            // As long as a password hash takes.
            std::thread::sleep(Duration::from_millis(200));
            login_of("@alice:example.org", "of-the-check")
        }
        _ => (200, "{}".to_owned()),
    })
    .await;
    let generic = server.generic();
    let (identifier, evidence, context) = (identifier(), evidence(), context());
    let check = generic.check_password(&identifier, &evidence.password, &context);
    let gone = tokio::time::timeout(Duration::from_millis(50), check).await;
    assert!(gone.is_err(), "the client has gone before the answer");
    let logged_out = async {
        while server.logged_out().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), logged_out).await.expect("it is logged out");
}
