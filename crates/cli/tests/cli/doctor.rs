//! `myelin doctor`

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::support::{Home, Ran};

/// Looks over a homeserver of this kind, on a port where nobody listens.
fn examine(home: &Home, kind: &str) -> Ran {
    let secret = home.path("secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = home.command(&["doctor"]);
    command
        .env("MYELIN_HOMESERVER_KIND", kind)
        .env("MYELIN_HOMESERVER_URL", "http://127.0.0.1:1")
        .env("MYELIN_HOMESERVER_SECRET_FILE", secret);
    Ran::of(command)
}

#[test]
fn all_is_well_with_the_embedded_homeserver() {
    let home = Home::new();
    home.out(&["migrate"]);
    let out = home.out(&["doctor"]);
    assert!(out.contains("ok       the database can be written to"), "{out}");
    assert!(out.contains("https://localhost/.well-known/matrix/client"), "{out}");
    assert!(!out.contains("WRONG"), "{out}");
}

#[test]
fn a_homeserver_that_does_not_answer_is_wrong() {
    let home = Home::new();
    home.out(&["migrate"]);
    for kind in ["generic", "synapse"] {
        let ran = examine(&home, kind);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.out.contains("WRONG    the homeserver does not answer"), "{ran:?}");
    }
}

#[test]
fn a_missing_database_is_wrong_and_is_not_made() {
    let home = Home::new();
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("WRONG"), "{ran:?}");
    assert!(!home.data().join("myelin.db").exists());
}
