//! Exit codes and help, of every command.

use crate::support::{Home, Ran};

const COMMANDS: &[&[&str]] = &[
    &["serve"],
    &["config", "init"],
    &["config", "check"],
    &["migrate"],
    &["doctor"],
    &["user", "list"],
    &["user", "show"],
    &["user", "reset-two-factor"],
    &["key", "generate"],
    &["key", "rotate"],
    &["routes"],
];

#[test]
fn every_command_has_help_with_an_example_and_exit_codes() {
    let home = Home::new();
    for command in COMMANDS {
        let out = home.out(&[command, &["--help"][..]].concat());
        assert!(out.contains(&format!("  myelin {}", command.join(" "))), "{command:?}: {out}");
        assert!(out.contains("Exit codes: 0 done, 1 failed, 2 "), "{command:?}: {out}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let home = Home::new();
    for arguments in [
        &["no-such-command"][..],
        &["serve", "--no-such-flag"],
        &["user", "show"],
        &["key", "rotate", "--resume", "--drop-old"],
        &["config", "check", "--config", "no-such-file"],
        &["user", "show", "@alice:elsewhere.example"],
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(!ran.err.is_empty(), "{arguments:?} says why");
    }
}

#[test]
fn commands_that_need_a_database_fail_without_one_and_make_none() {
    let home = Home::new();
    for arguments in [
        &["user", "list"][..],
        &["user", "show", "alice"],
        &["user", "reset-two-factor", "alice", "--yes"],
        &["key", "rotate"],
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {ran:?}");
        assert!(!home.data().exists(), "{arguments:?}");
    }
}

#[test]
fn without_a_home_the_data_directory_must_be_named() {
    let home = Home::new();
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env_remove("HOME");
    let ran = Ran::of(command);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("MYELIN_DATA_DIR"), "{ran:?}");
}
