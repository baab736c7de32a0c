//! `myelin config`

use std::fs;

use crate::support::{Home, Ran};

#[test]
fn init_prints_a_file_that_check_accepts_and_that_changes_nothing() {
    let home = Home::new();
    fs::write(home.path("myelin.toml"), home.out(&["config", "init"])).unwrap();
    let with_file = home.out(&["config", "check", "--config", "myelin.toml"]);
    assert_eq!(with_file, home.out(&["config", "check"]));
}

#[test]
fn init_writes_a_file_once() {
    let home = Home::new();
    home.out(&["config", "init", "--output", "myelin.toml"]);
    let written = fs::read_to_string(home.path("myelin.toml")).unwrap();
    assert_eq!(written, home.out(&["config", "init"]));
    let again = home.run(&["config", "init", "--output", "myelin.toml"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("myelin.toml"), "{again:?}");
}

#[test]
fn check_prints_what_takes_effect_and_where_it_comes_from() {
    let home = Home::new();
    fs::write(home.path("m.toml"), "server_name = \"example.org\"\n[totp]\ndigits = 7\n").unwrap();
    let mut command = home.command(&["config", "check", "--config", "m.toml", "--data-dir", "d"]);
    command.env("MYELIN_TOTP_DIGITS", "8");
    let ran = Ran::of(command);
    for line in [
        "server_name = \"example.org\"  # m.toml",
        "data_dir = \"d\"  # --data-dir",
        "digits = 8  # MYELIN_TOTP_DIGITS",
        "issuer = \"example.org\"  # default",
        "window = 1  # default",
    ] {
        assert!(ran.out.lines().any(|found| found == line), "{line} in {ran:?}");
    }
}

#[test]
fn what_check_prints_is_itself_a_configuration() {
    let home = Home::new();
    fs::write(home.path("printed.toml"), home.out(&["config", "check"])).unwrap();
    home.out(&["config", "check", "--config", "printed.toml"]);
}

#[test]
fn check_shows_no_secret() {
    let home = Home::new();
    let url = "postgres://myelin:s3cret@db.example.org/myelin";
    fs::write(home.path("url"), format!("{url}\n")).unwrap();
    fs::write(home.path("tokens"), "t0ken-one\nt0ken-two\n").unwrap();
    let file = "[database]\nurl_file = \"url\"\n\
                [registration]\nmode = \"token\"\ntokens_file = \"tokens\"\n";
    fs::write(home.path("m.toml"), file).unwrap();
    let out = home.out(&["config", "check", "--config", "m.toml"]);
    assert!(out.contains("postgres://myelin:…@db.example.org/myelin"), "{out}");
    assert!(out.contains("<2 tokens>"), "{out}");
    assert!(!out.contains("s3cret") && !out.contains("t0ken"), "{out}");
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_key_and_the_line() {
    let home = Home::new();
    fs::write(home.path("m.toml"), "server_name = \"a\"\n\n[database]\nurll = \"x\"\n").unwrap();
    for command in
        [&["config", "check", "--config", "m.toml"][..], &["serve", "--config", "m.toml"]]
    {
        let ran = home.run(command);
        assert_eq!(ran.code, 2, "{ran:?}");
        let expected = "m.toml: line 4, column 1: unknown key `urll`";
        assert!(ran.err.contains(expected), "{ran:?}");
    }
}

#[test]
fn a_value_that_cannot_be_is_an_error_that_names_the_key() {
    for (file, names) in [
        ("listen = [\"localhost\"]", "listen"),
        ("listen = []", "listen"),
        ("server_name = \"not a name\"", "server_name"),
        ("[database]\nurl = \"mysql://h/d\"", "database.url"),
        ("[database]\nurl_file = \"no-such-file\"", "no-such-file"),
        ("[database]\nconnections = 0", "database.connections"),
        ("[homeserver]\nkind = \"dendrite\"", "there are \"embedded\""),
        ("[homeserver]\nkind = \"synapse\"", "homeserver.secret_file"),
        ("[homeserver]\nkind = \"generic\"", "homeserver.url"),
        ("[homeserver]\nkind = \"generic\"\nurl = \"http://x/y\"", "homeserver.url"),
        ("[homeserver]\npass = [\"everything\"]", "homeserver.pass"),
        ("[homeserver]\npass = [\"sso\"]", "homeserver.pass"),
        ("[homeserver]\nsso = \"yes\"", "none of refuse, first_factor, pass"),
        ("[homeserver]\nsso = \"pass\"", "homeserver.sso"),
        ("[homeserver]\nkind = \"generic\"\nurl = \"http://x\"\nsso = \"pass\"", "homeserver.sso"),
        ("[policy]\nrequired_for = [\"alice\"]", "policy.required_for"),
        ("public_url = \"https://example.org/matrix\"", "public_url"),
        ("[login]\nnative = \"some\"", "login.native"),
        ("[pages]\nknown_clients = [\"app\"]", "pages.known_clients"),
        ("[limits]\nwrong_passwords = 0", "limits.wrong_passwords"),
        ("[homeserver]\naccess_token_lifetime = \"5\"", "homeserver.access_token_lifetime"),
        ("[registration]\nmode = \"maybe\"", "registration.mode"),
        ("[registration]\nmode = \"token\"", "registration.tokens_file"),
        ("[registration]\ntokens_file = \"x\"", "registration.mode"),
        ("[totp]\ndigits = 9", "totp.digits"),
        ("[totp]\nperiod = \"10s\"", "totp.period"),
        ("[totp]\nwindow = 3", "totp.window"),
        ("[totp]\nissuer = \"a:b\"", "totp.issuer"),
        ("[sessions]\nlifetime = \"2d\"", "sessions.lifetime"),
        ("[sessions]\nper_address = 0", "sessions.per_address"),
        ("[sessions]\nper_user = 1", "sessions.per_user"),
        ("[limits]\nbody = 1", "limits.body"),
        ("[limits]\nbody_timeout = \"0s\"", "limits.body_timeout"),
        ("[proxy]\ntrusted = [\"proxy.example.org\"]", "proxy.trusted"),
        ("[log]\nlevel = \"loud\"", "log.level"),
        ("[log]\nformat = \"xml\"", "log.format"),
    ] {
        let home = Home::new();
        fs::write(home.path("m.toml"), file).unwrap();
        let ran = home.run(&["config", "check", "--config", "m.toml"]);
        assert_eq!(ran.code, 2, "{file}: {ran:?}");
        assert!(ran.err.contains(names), "{file}: {ran:?}");
    }
}

#[test]
fn registration_is_open_by_default_on_loopback_alone() {
    let home = Home::new();
    let mode = |listen: &str| {
        let mut command = home.command(&["config", "check"]);
        command.env("MYELIN_LISTEN", listen);
        let out = Ran::of(command).out;
        out.lines().find(|line| line.starts_with("mode")).unwrap().to_owned()
    };
    assert!(mode("127.0.0.1:1,[::1]:2").contains("\"open\""));
    assert!(mode("127.0.0.1:1,0.0.0.0:2").contains("\"closed\""));
}
