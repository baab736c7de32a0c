//! `myelin user`

use std::sync::Arc;

use myelin_ambient::{Clock as _, SystemClock, SystemEntropy};
use myelin_storage::Quota;
use myelin_testing::fixture;
use ruma::user_id;
use serde_json::Value;

use crate::support::{Account, Home, Ran, Server};

/// A server with `alice`, who has a second factor, and `bob`, who has none.
fn two_users() -> (Home, Server, Account) {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let alice = Account::with_factor(&server, "alice", "a password of hers");
    server.register("bob", "a password of his");
    (home, server, alice)
}

#[test]
fn list_tells_who_is_protected() {
    let (home, _server, _) = two_users();
    let out = home.out(&["user", "list"]);
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("@alice:localhost  two-factor"), "{out}");
    assert!(lines[1].starts_with("@bob:localhost  password only"), "{out}");
}

#[test]
fn list_searches_and_speaks_json() {
    let (home, _server, _) = two_users();
    let out = home.out(&["user", "list", "--search", "bo", "--json"]);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["user"], "@bob:localhost");
    assert_eq!(lines[0]["two_factor"], false);
}

#[test]
fn show_tells_factors_counters_waits_and_events_and_no_secret() {
    let (home, server, mut alice) = two_users();
    let session = alice.begin_login(&server);
    for _ in 0..5 {
        Account::finish_login(&server, &session, "m.login.2fa.recovery", "0000-0000-0000-0000");
    }
    let out = home.out(&["user", "show", "alice"]);
    for said in [
        "two-factor   yes",
        &alice.authenticator,
        "10 of 10 left",
        "5 in a row, 5 in this week; waits until 2",
        " UTC (in ",
        "recovery_waiting  by the user from 127.0.0.1",
        "authenticator_added",
    ] {
        assert!(out.contains(said), "{said} in {out}");
    }
    let json = home.out(&["user", "show", "@alice:localhost", "--json"]);
    for secret in alice.codes.iter().chain([&alice.secret, &alice.token, &session]) {
        assert!(!out.contains(secret.as_str()) && !json.contains(secret.as_str()), "{secret}");
    }
}

#[test]
fn show_speaks_json() {
    let (home, _server, alice) = two_users();
    let shown: Value =
        serde_json::from_str(&home.out(&["user", "show", "alice", "--json"])).unwrap();
    assert_eq!(shown["authenticators"][0]["id"], alice.authenticator);
    assert_eq!(shown["authenticators"][0]["status"], "active");
    assert_eq!(shown["recovery"]["remaining"], 10);
    assert_eq!(shown["totp_failures"]["wait_until_ts"], Value::Null);
    assert_eq!(shown["events"][0]["action"], "authenticator_added");
}

#[test]
fn an_unknown_user_is_a_failure() {
    let (home, _server, _) = two_users();
    for command in [&["user", "show", "carol"][..], &["user", "reset-two-factor", "carol", "--yes"]]
    {
        let ran = home.run(command);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("@carol:localhost"), "{ran:?}");
    }
}

#[test]
fn reset_asks_first_and_without_a_terminal_does_nothing() {
    let (home, server, mut alice) = two_users();
    let ran = home.run(&["user", "reset-two-factor", "alice"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("--yes"), "{ran:?}");
    alice.begin_login(&server);
}

#[test]
fn reset_lets_the_password_alone_in_and_leaves_an_audit_entry_that_says_who() {
    let (home, server, mut alice) = two_users();
    let session = alice.begin_login(&server);
    home.out(&["user", "reset-two-factor", "alice", "--yes"]);

    let answer = server.post("login", None, &alice.password_stage());
    assert_eq!(answer.status, 200, "{answer:?}");
    let code = alice.code();
    let stale = Account::finish_login(&server, &session, "m.login.2fa.totp", &code);
    assert_eq!(stale.status, 401, "the session that waited for the code has ended: {stale:?}");

    let shown: Value =
        serde_json::from_str(&home.out(&["user", "show", "alice", "--json"])).unwrap();
    let events = shown["events"].as_array().unwrap();
    let reset = events.iter().find(|event| event["action"] == "two_factor_reset").unwrap();
    let admin = reset["admin"].as_str().unwrap();
    assert!(admin.starts_with(&whoami::username().unwrap()), "{admin}");
    assert_eq!(shown["authenticators"], serde_json::json!([]));
    assert_eq!(shown["recovery"], Value::Null);
}

#[test]
fn reset_of_a_user_without_factors_changes_nothing_and_says_so() {
    let (home, _server, _) = two_users();
    let out = home.out(&["user", "reset-two-factor", "bob", "--yes"]);
    assert!(out.contains("nothing was changed"), "{out}");
}

/// In front of a homeserver the accounts are not here, and the factors are.
#[test]
fn users_of_another_homeserver_are_listed_shown_and_reset() {
    let (home, server, _) = two_users();
    drop(server);
    myelin_testing::run(async {
        let options = myelin_storage::OpenOptions {
            url: format!("sqlite:{}", home.data().join("myelin.db").display()),
            connections: 1,
            migrate: false,
            keys: Arc::new(myelin_storage::FileKeySource(home.data().join("keys"))),
            entropy: Arc::new(SystemEntropy),
            limits: Quota::default(),
        };
        let store = myelin_storage::open(&options).await.unwrap().store;
        fixture::enrol(&*store, user_id!("@carol:localhost"), 0, SystemClock.now()).await;
    });
    let run = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command
            .env("MYELIN_HOMESERVER_KIND", "generic")
            .env("MYELIN_HOMESERVER_URL", "http://127.0.0.1:1")
            .env("MYELIN_PUBLIC_URL", "http://localhost:8008");
        let ran = Ran::of(command);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.out
    };
    assert!(run(&["user", "list"]).contains("@carol:localhost  two-factor\n"));
    assert!(run(&["user", "show", "carol"]).contains("two-factor   yes"));
    let shown: Value = serde_json::from_str(&run(&["user", "show", "carol", "--json"])).unwrap();
    assert_eq!(shown["created_ts"], Value::Null);
    assert_eq!(shown["two_factor"], true);
    assert!(run(&["user", "reset-two-factor", "carol", "--yes"]).contains("no second factor any"));
    assert!(run(&["user", "list"]).contains("@carol:localhost  password only\n"));
    assert!(run(&["user", "reset-two-factor", "dave", "--yes"]).contains("nothing was changed"));
}
