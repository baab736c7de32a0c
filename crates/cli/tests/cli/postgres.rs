//! `myelin serve` on a database that several machines share.

use std::fs;

use myelin_testing::{TestDatabase, on_postgres};

use crate::support::{Home, Server};

/// Runs a test on PostgreSQL, with the database's address.
fn with_address(name: &str, test: impl FnOnce(&str)) {
    on_postgres(name, async |database: &TestDatabase| test(database.url()));
}

#[test]
fn the_first_start_makes_a_key_for_an_empty_database() {
    with_address("the_first_start_makes_a_key_for_an_empty_database", |url| {
        let home = Home::new();
        let server = Server::start(&home, &[("MYELIN_DATABASE_URL", url)]);
        let token = server.register("alice", "a password of hers");
        drop(server);
        let server = Server::start(&home, &[("MYELIN_DATABASE_URL", url)]);
        assert!(server.whoami(&token).is_some());
        assert!(home.data().join("keys").exists() && !home.data().join("myelin.db").exists());
    });
}

#[test]
fn another_machine_without_the_key_is_refused_and_with_it_is_let_in() {
    let name = "another_machine_without_the_key_is_refused_and_with_it_is_let_in";
    with_address(name, |url| {
        let (one, other) = (Home::new(), Home::new());
        let token = Server::start(&one, &[("MYELIN_DATABASE_URL", url)])
            .register("alice", "a password of hers");
        let mut command = other.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("MYELIN_DATABASE_URL", url);
        let ran = crate::support::Ran::of(command);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("no key file"), "{ran:?}");

        // A copy keeps the mode.
        fs::copy(one.data().join("keys"), other.data().join("keys")).unwrap();
        let server = Server::start(&other, &[("MYELIN_DATABASE_URL", url)]);
        assert!(server.whoami(&token).is_some());
    });
}

#[test]
fn no_message_shows_the_password_of_the_database() {
    let home = Home::new();
    let url = "postgres://myelin:s3cret@127.0.0.1:1/myelin";
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("MYELIN_DATABASE_URL", url).env("MYELIN_LOG", "trace");
    let ran = crate::support::Ran::of(command);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("postgres://myelin:…@127.0.0.1:1/myelin"), "{ran:?}");
    assert!(!ran.err.contains("s3cret") && !ran.out.contains("s3cret"), "{ran:?}");
}
