//! A login that is not exactly the one that was asked for does not stay.

use myelin_homeserver::{AtOnce, Error, Homeserver, LoggedIn, PasswordCheck};
use myelin_storage::Epoch;

use crate::script::{Asked, Scripted, alice, check, context, device, evidence, login_of, proof};

fn is_check(asked: &Asked) -> bool {
    asked.body["initial_device_display_name"] == "Password check by the sign-in gateway"
}

#[tokio::test]
async fn a_login_of_another_user_than_the_checked_one_is_undone_and_refused() {
    let server = Scripted::homeserver(|asked| match asked.line.as_str() {
        "POST login" if is_check(asked) => login_of("@alice:example.org", "of-the-check"),
        "POST login" => login_of("@mallory:example.org", "of-the-login"),
        _ => (200, "{}".to_owned()),
    })
    .await;
    let generic = server.generic();
    let check = check(&generic).await;
    assert!(matches!(check, Ok(PasswordCheck::Verified(user)) if user == alice()));
    let login = generic.log_in(proof(), device(), Epoch(0), &context()).await;
    assert!(matches!(login, Err(Error::Unexpected(_))), "{login:?}");
    assert_eq!(server.logged_out(), ["of-the-check", "of-the-login"]);
}

#[tokio::test]
async fn a_check_alone_keeps_no_password() {
    let server = Scripted::homeserver(|asked| match asked.line.as_str() {
        "POST login" => login_of("@alice:example.org", "a-token"),
        _ => (200, "{}".to_owned()),
    })
    .await;
    let (generic, evidence) = (server.generic(), evidence());
    let check = generic.check_password(&evidence.identifier, &evidence.password, &context()).await;
    assert!(matches!(check, Ok(PasswordCheck::Verified(_))), "{check:?}");
    let login = generic.log_in(proof(), device(), Epoch(0), &context()).await;
    let refused = |login: &LoggedIn| matches!(login, LoggedIn::Answered(it) if it.status() == 403);
    assert!(login.as_ref().is_ok_and(refused), "{login:?}");
}

#[tokio::test]
async fn a_minted_login_of_another_user_is_undone_and_refused() {
    let server = Scripted::homeserver(|asked| match asked.line.as_str() {
        "POST /_synapse/client/myelin/mint" => (200, r#"{"login_token":"t"}"#.to_owned()),
        "POST login" => login_of("@mallory:example.org", "of-the-login"),
        _ => (200, "{}".to_owned()),
    })
    .await;
    let login = server.synapse().log_in(proof(), device(), Epoch(0), &context()).await;
    assert!(matches!(login, Err(Error::Unexpected(_))), "{login:?}");
    assert_eq!(server.logged_out(), ["of-the-login"]);
}

#[tokio::test]
async fn a_login_that_names_nobody_of_this_server_is_undone_and_refused() {
    for user in ["@alice:elsewhere.example", "alice", "", "@:example.org:x"] {
        let server = Scripted::homeserver(move |asked| match asked.line.as_str() {
            "POST login" => login_of(user, "a-token"),
            _ => (200, "{}".to_owned()),
        })
        .await;
        let generic = server.generic();
        let check = check(&generic).await;
        assert!(matches!(check, Err(Error::Unexpected(_))), "{user}: {check:?}");
        let login = generic.log_in_at_once(&evidence(), &device(), &context()).await;
        assert!(matches!(login, Err(Error::Unexpected(_))), "{user}: {login:?}");
        assert_eq!(server.logged_out(), ["a-token", "a-token"], "{user}");
    }
}

#[tokio::test]
async fn where_it_cannot_be_undone_the_login_is_refused_all_the_same() {
    let server = Scripted::homeserver(|asked| match asked.line.as_str() {
        "POST login" if is_check(asked) => login_of("@alice:example.org", "of-the-check"),
        "POST login" => login_of("@mallory:example.org", "of-the-login"),
        _ => (500, "{}".to_owned()),
    })
    .await;
    let generic = server.generic();
    let check = check(&generic).await;
    assert!(matches!(check, Ok(PasswordCheck::Verified(_))), "{check:?}");
    let login = generic.log_in(proof(), device(), Epoch(0), &context()).await;
    assert!(login.is_err(), "{login:?}");
    // Each was tried more than once.
    let tries = |token| server.logged_out().iter().filter(|tried| *tried == token).count();
    assert_eq!((tries("of-the-check"), tries("of-the-login")), (3, 3));
}

#[tokio::test]
async fn a_login_at_once_is_undone_with_its_own_token() {
    let server = Scripted::homeserver(|asked| match asked.line.as_str() {
        "POST login" => login_of("@alice:example.org", "of-the-login"),
        _ => (200, "{}".to_owned()),
    })
    .await;
    let generic = server.generic();
    let login = generic.log_in_at_once(&evidence(), &device(), &context()).await.unwrap();
    let AtOnce::LoggedIn(provisional) = login else { panic!("{login:?}") };
    generic.undo(provisional, &context()).await.unwrap();
    assert_eq!(server.logged_out(), ["of-the-login"]);
}

#[tokio::test]
async fn nobody_hears_of_a_login_before_the_epoch_is_compared() {
    let server = Scripted::homeserver(|asked| match asked.line.as_str() {
        "POST /_synapse/client/myelin/mint" => (200, r#"{"login_token":"t"}"#.to_owned()),
        "POST login" if is_check(asked) => login_of("@alice:example.org", "of-the-check"),
        "POST login" => login_of("@alice:example.org", "of-the-login"),
        _ => (200, "{}".to_owned()),
    })
    .await;
    let (generic, synapse) = (server.generic(), server.synapse());
    crate::script::check(&generic).await.unwrap();
    let adapters: [&dyn Homeserver; 2] = [&generic, &synapse];
    for adapter in adapters {
        let login = adapter.log_in(proof(), device(), Epoch(0), &context()).await.unwrap();
        let LoggedIn::Provisional(login, _) = login else { panic!("{login:?}") };
        adapter.undo(login, &context()).await.unwrap();
    }
    assert_eq!(server.logged_out(), ["of-the-check", "of-the-login", "of-the-login"]);
}
