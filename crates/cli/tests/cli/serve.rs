//! `myelin serve`: the first start, later starts, and the end.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use serde_json::{Value, json};

use crate::support::{Home, Server, connect, head, read_to_end};

/// Said to a client that waits with its body, once somebody reads it.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_needs_nothing_and_says_where_everything_is() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    server.register("alice", "a password of hers");
    let address = server.address;
    let (code, out, _) = server.stop("-TERM");
    assert_eq!(code, Some(0));
    for said in [
        format!("http://{address}"),
        home.data().display().to_string(),
        home.data().join("keys").display().to_string(),
        home.data().join("myelin.db").display().to_string(),
        format!("curl http://{address}/_matrix/client/v3/register"),
    ] {
        assert!(out.contains(&said), "{said} in {out}");
    }
}

#[test]
fn what_the_first_start_makes_is_its_owners_alone() {
    let home = Home::new();
    drop(Server::start(&home, &[]));
    assert_eq!(mode(&home.data()), 0o700);
    assert_eq!(mode(&home.data().join("keys")), 0o600);
    assert_eq!(mode(&home.data().join("myelin.db")), 0o600);
}

#[test]
fn later_starts_are_brief_and_find_what_was_there() {
    let home = Home::new();
    let first = Server::start(&home, &[]);
    let token = first.register("alice", "a password of hers");
    drop(first);
    let second = Server::start(&home, &[]);
    assert_eq!(second.whoami(&token).unwrap()["user_id"], "@alice:localhost");
    let (_, out, _) = second.stop("-TERM");
    assert_eq!(out.lines().count(), 1, "{out}");
}

#[test]
fn a_database_without_its_key_is_refused() {
    let home = Home::new();
    drop(Server::start(&home, &[]));
    fs::remove_file(home.data().join("keys")).unwrap();
    let ran = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("no key file"), "{ran:?}");
    assert!(!home.data().join("keys").exists(), "no new key was made");
}

#[test]
fn a_key_of_another_database_is_refused() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    crate::support::Account::with_factor(&server, "alice", "a password of hers");
    drop(server);
    fs::remove_file(home.data().join("keys")).unwrap();
    let keys = home.data().join("keys").display().to_string();
    home.out(&["key", "generate", "--output", &keys]);
    let ran = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("key"), "{ran:?}");
}

#[test]
fn a_key_file_or_data_directory_that_is_open_to_others_is_refused_with_the_way_out() {
    let home = Home::new();
    drop(Server::start(&home, &[]));
    for (path, open, closed) in
        [(home.data().join("keys"), 0o644, 0o600), (home.data(), 0o755, 0o700)]
    {
        fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
        let ran = home.run(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        let way_out = format!("chmod {closed:o} {}", path.display());
        assert!(ran.err.contains(&way_out), "{way_out} in {ran:?}");
        fs::set_permissions(&path, Permissions::from_mode(closed)).unwrap();
    }
}

#[test]
fn flags_are_stronger_than_the_environment_and_the_file() {
    let home = Home::new();
    fs::write(home.path("m.toml"), "server_name = \"file.example\"\ndata_dir = \"file\"\n")
        .unwrap();
    let mut command = home.command(&[
        "serve",
        "--config",
        "m.toml",
        "--server-name",
        "flag.example",
        "--listen",
        "127.0.0.1:0",
    ]);
    command.env("MYELIN_SERVER_NAME", "env.example").env("MYELIN_LISTEN", "192.0.2.1:1");
    let server = Server::spawn(&home, command);
    let token = server.register("alice", "a password of hers");
    assert_eq!(server.whoami(&token).unwrap()["user_id"], "@alice:flag.example");
    assert!(home.path("file/myelin.db").exists());
}

#[test]
fn every_address_is_answered() {
    let home = Home::new();
    let command = home.command(&["serve", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"]);
    let server = Server::spawn(&home, command);
    let (code, out, _) = server.stop("-INT");
    assert_eq!(code, Some(0));
    let answers = out.lines().filter(|line| line.starts_with("Myelin answers on http://127.0.0."));
    assert_eq!(answers.count(), 2, "{out}");
}

#[test]
fn registration_is_closed_where_it_is_configured_so() {
    let home = Home::new();
    let server = Server::start(&home, &[("MYELIN_REGISTRATION_MODE", "closed")]);
    let body = json!({"username": "alice", "password": "a password of hers"});
    assert_eq!(server.post("register", None, &body).status, 403);
}

#[test]
fn a_registration_token_from_a_file_lets_people_register() {
    let home = Home::new();
    fs::write(home.path("tokens"), "# for friends\nopen-sesame\n").unwrap();
    let file = home.path("tokens").display().to_string();
    let variables =
        [("MYELIN_REGISTRATION_MODE", "token"), ("MYELIN_REGISTRATION_TOKENS_FILE", &*file)];
    let server = Server::start(&home, &variables);
    let register = |token: &str| {
        let auth = json!({"type": "m.login.registration_token", "token": token});
        let body = json!({"username": "alice", "password": "a password of hers", "auth": auth});
        server.post("register", None, &body).status
    };
    assert_eq!(register("wrong"), 401);
    assert_eq!(register("open-sesame"), 200);
}

#[test]
fn either_signal_stops_it_after_what_is_under_way() {
    for signal in ["-TERM", "-INT"] {
        let home = Home::new();
        let server = Server::start(&home, &[]);
        server.register("alice", "a password of hers");
        let identifier = json!({"type": "m.id.user", "user": "alice"});
        let login = json!({"type": "m.login.password", "identifier": identifier,
            "password": "a password of hers"});
        let body = login.to_string();
        let (one_half, other_half) = body.split_at(body.len() / 2);
        let more = "connection: close\r\nexpect: 100-continue\r\n";
        let head = head(server.address, "POST", "/_matrix/client/v3/login", more, body.len());

        let mut stream = connect(server.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut begun = vec![0_u8; CONTINUE.len()];
        stream.read_exact(&mut begun).unwrap();
        assert_eq!(begun, CONTINUE);
        stream.write_all(one_half.as_bytes()).unwrap();
        server.signal(signal);
        server.stops_listening();
        stream.write_all(other_half.as_bytes()).unwrap();
        let answer = read_to_end(&mut stream).unwrap();
        assert_eq!(answer.status, 200, "{signal}: {answer:?}");
        let (code, _, log) = server.ended();
        assert_eq!(code, Some(0), "{signal}");
        assert!(log.contains("stopped"), "{log}");

        let server = Server::start(&home, &[]);
        let whose = server.whoami(&answer.text("access_token"));
        assert!(whose.is_some(), "{signal}: what was answered is there");
    }
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let address = server.address.to_string();
    let ran = home.run(&["serve", "--listen", &address]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains(&address), "{ran:?}");
}

#[test]
fn the_log_is_json_when_asked_for() {
    let home = Home::new();
    let server = Server::start(&home, &[("MYELIN_LOG_FORMAT", "json")]);
    server.register("alice", "a password of hers");
    let (_, _, log) = server.stop("-TERM");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered = lines.iter().find(|line| line["message"] == "answered").unwrap();
    assert_eq!((&answered["status"], &answered["level"]), (&json!(200), &json!("INFO")));
}
