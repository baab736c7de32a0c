//! `myelin key`

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    sync::Arc,
};

use myelin_ambient::{Clock as _, SystemClock};
use myelin_storage::{Database, FileKeySource, KeySource as _, OpenOptions, Quota};
use myelin_testing::{database, seed::Seed};

use crate::support::{Account, Home, Server};

fn key_ids(path: &Path) -> Vec<String> {
    FileKeySource(path.to_owned()).load().unwrap().ids()
}

#[test]
fn generate_prints_a_key_file() {
    let home = Home::new();
    let out = home.out(&["key", "generate"]);
    assert_eq!(myelin_storage::Keyring::parse(&out).unwrap().ids().len(), 1);
    assert_ne!(out, home.out(&["key", "generate"]));
}

#[test]
fn generate_writes_a_file_for_its_owner_alone_and_never_over_another() {
    let home = Home::new();
    home.out(&["key", "generate", "--output", "keys"]);
    let path = home.path("keys");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let ids = key_ids(&path);
    assert_eq!(home.run(&["key", "generate", "--output", "keys"]).code, 1);
    assert_eq!(key_ids(&path), ids);
}

#[test]
fn a_running_server_goes_on_through_a_rotation_and_without_the_old_key() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let mut alice = Account::with_factor(&server, "alice", "a password of hers");
    let keys = home.data().join("keys");
    let old = key_ids(&keys);

    home.out(&["key", "rotate"]);
    let both = key_ids(&keys);
    assert_eq!((both.len(), &both[1..]), (2, &old[..]));
    let (session, code) = (alice.begin_login(&server), alice.code());
    let answer = Account::finish_login(&server, &session, "m.login.2fa.totp", &code);
    assert_eq!(answer.status, 200, "{answer:?}");

    home.out(&["key", "rotate", "--drop-old"]);
    assert_eq!(key_ids(&keys), both[..1]);
    let (session, code) = (alice.begin_login(&server), alice.codes.pop().unwrap());
    let answer = Account::finish_login(&server, &session, "m.login.2fa.recovery", &code);
    assert_eq!(answer.status, 200, "{answer:?}");
    // What is set up now is sealed with the new key.
    Account::with_factor(&server, "bob", "a password of his");
    assert!(home.out(&["key", "rotate", "--drop-old"]).contains("no older keys"));
}

#[test]
fn a_rotation_that_was_killed_is_finished_without_another_key() {
    const SECRETS: usize = 1200;
    let home = Home::new();
    home.out(&["migrate"]);
    let keys = home.data().join("keys");
    let planted = database::run(async {
        let database = open(&home).await;
        Seed::users(SECRETS, SystemClock.now()).plant(&database).await
    });

    for lines in 1..=3 {
        let before = key_ids(&keys);
        kill_rotation_after(&home, lines);
        let rotated = key_ids(&keys);
        assert_eq!((rotated.len(), &rotated[1..]), (before.len() + 1, &before[..]));
        for arguments in [&["key", "rotate"][..], &["key", "rotate", "--drop-old"]] {
            let refused = home.run(arguments);
            assert_eq!(refused.code, 1, "{refused:?}");
            assert!(refused.err.contains("--resume"), "it says what to do: {refused:?}");
        }
        home.out(&["key", "rotate", "--resume"]);
        assert_eq!(key_ids(&keys), rotated, "no other key was made");
        home.out(&["key", "rotate", "--drop-old"]);
        assert_eq!(key_ids(&keys), rotated[..1]);
    }

    database::run(async {
        let store = open(&home).await.store;
        for user in planted {
            let factors = store.lookup_factors(&user.user).await.unwrap();
            let secret = store.unseal(&user.user, &factors.authenticators[0]).unwrap();
            assert_eq!(secret.expose(), user.secret.expose(), "{}", user.user);
        }
    });
}

#[test]
fn a_rotation_that_is_killed_before_its_key_is_in_place_changes_nothing_that_matters() {
    let home = Home::new();
    home.out(&["migrate"]);
    let keys = home.data().join("keys");
    for _ in 0..10 {
        let before = key_ids(&keys);
        kill_rotation_after(&home, 0);
        let after = key_ids(&keys);
        assert!(after.ends_with(&before) && after.len() <= before.len() + 1);
    }
    home.out(&["key", "rotate"]);
    home.out(&["key", "rotate", "--drop-old"]);
    assert_eq!(key_ids(&keys).len(), 1);
}

/// Starts a rotation and kills it once it has printed so many lines.
fn kill_rotation_after(home: &Home, lines: usize) {
    let mut command = home.command(&["key", "rotate"]);
    let mut process = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
    let out = BufReader::new(process.stdout.take().expect("stdout is piped"));
    let read = out.lines().take(lines).count();
    process.kill().expect("it can be killed");
    process.wait().expect("it ends");
    assert_eq!(read, lines, "the rotation had not ended");
}

/// The database as the binary keeps it in this home.
async fn open(home: &Home) -> Database {
    let options = OpenOptions {
        url: format!("sqlite:{}", home.data().join("myelin.db").display()),
        connections: 4,
        migrate: false,
        keys: Arc::new(FileKeySource(home.data().join("keys"))),
        entropy: Arc::new(myelin_ambient::SystemEntropy),
        limits: Quota::default(),
    };
    myelin_storage::open(&options).await.expect("the database opens")
}
