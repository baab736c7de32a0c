//! `myelin migrate`

use crate::support::{Home, Server};

#[test]
fn a_missing_database_is_made_and_a_current_one_stays() {
    let home = Home::new();
    let first = home.out(&["migrate"]);
    assert!(home.data().join("myelin.db").exists() && home.data().join("keys").exists());
    let second = home.out(&["migrate"]);
    assert_ne!(first, second, "it says whether something was done");
    assert!(second.contains("up to date"), "{second}");
}

#[test]
fn a_server_that_may_not_migrate_starts_on_what_migrate_made() {
    let home = Home::new();
    home.out(&["migrate"]);
    let server = Server::start(&home, &[("MYELIN_DATABASE_MIGRATE", "false")]);
    server.register("alice", "a password of hers");
}
