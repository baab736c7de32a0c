//! The program itself: its exit codes and its output.

#![expect(clippy::unwrap_used, reason = "a test may fail at any line")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output},
    thread,
};

/// A case that passes against [`refuser`] and registers nobody.
const PASSING: &str = "login.types.unknown-is-m-unknown";
/// A case that fails there.
const FAILING: &str = "login.types.sso";

fn spec_tests(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spec-tests")).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A server that refuses every request as an unknown login type.
fn refuser() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || refuse(&stream.unwrap()));
        }
    });
    target
}

fn refuse(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let body = r#"{"errcode":"M_UNKNOWN","error":"Unknown."}"#;
    let head = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n", body.len());
    write!(&*stream, "{head}Connection: close\r\n\r\n{body}").unwrap();
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_closed_port_is_2() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = spec_tests(&["--target", &target]);
    assert_eq!(code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("does not answer"), "{output:?}");
}

#[test]
fn wrong_usage_is_2() {
    let unknown = file("unknown-case.txt", "no.such-case  reason\n");
    let unknown = unknown.to_str().unwrap();
    let wrong: [&[&str]; 7] = [
        &["--no-such-option"],
        &["--target", "https://localhost:1"],
        &["--target", "localhost"],
        &["--filter", "no case has this name"],
        &["--threads", "many"],
        &["--known-failures", "does-not-exist.txt"],
        &["--known-failures", unknown],
    ];
    for arguments in wrong {
        let output = spec_tests(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {output:?}");
        assert!(!stderr(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn all_as_expected_is_0() {
    let output = spec_tests(&["--target", &refuser(), "--filter", PASSING]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).ends_with("0 skipped\n"), "{output:?}");
}

#[test]
fn a_failure_is_1_and_shows_what_came() {
    let output = spec_tests(&["--target", &refuser(), "--filter", FAILING]);
    assert_eq!(code(&output), 1, "{output:?}");
    let text = stdout(&output);
    assert!(text.contains("expected: status 200"), "{text}");
    assert!(text.contains("got: 400 {\"errcode\":\"M_UNKNOWN\""), "{text}");
    assert!(text.contains("request: GET /_matrix/client/v3/login"), "{text}");
}

#[test]
fn a_known_failure_is_0_and_its_reason_is_reported() {
    let known = file("known.txt", &format!("# later\n{FAILING}  pages come later\n"));
    let output = spec_tests(&[
        "--target",
        &refuser(),
        "--filter",
        FAILING,
        "--known-failures",
        known.to_str().unwrap(),
    ]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains("pages come later"), "{output:?}");
}

#[test]
fn a_known_failure_that_passes_is_1() {
    let known = file("outdated.toml", &format!("\"{PASSING}\" = \"was broken\"\n"));
    let output = spec_tests(&[
        "--target",
        &refuser(),
        "--filter",
        PASSING,
        "--known-failures",
        known.to_str().unwrap(),
    ]);
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(stdout(&output).contains("listed as known failure: was broken"), "{output:?}");
}

#[test]
fn tap_goes_to_the_standard_output() {
    let output =
        spec_tests(&["--target", &refuser(), "--filter", "login.types", "--format", "tap"]);
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(stdout(&output).starts_with("TAP version 13\n1..3\n"), "{output:?}");
}

#[test]
fn junit_goes_to_a_file() {
    let path = file("report.xml", "");
    let path = path.to_str().unwrap();
    let output = spec_tests(&[
        "--target",
        &refuser(),
        "--filter",
        "login.types",
        "--format",
        "junit",
        "--output",
        path,
    ]);
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let xml = fs::read_to_string(path).unwrap();
    assert!(xml.contains("tests=\"3\" failures=\"2\""), "{xml}");
}

#[test]
fn list_names_every_case_and_asks_no_server() {
    let output = spec_tests(&["--list", "--filter", "login.types"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let text = stdout(&output);
    assert!(text.contains(PASSING) && text.contains(FAILING), "{text}");
    assert!(text.contains("§2 Login: Any other login type is 400 M_UNKNOWN."), "{text}");
    assert!(!text.contains("throttle."), "{text}");
}

#[test]
fn help_has_an_example_and_the_exit_codes() {
    let text = stdout(&spec_tests(&["--help"]));
    assert!(text.contains("Example: ") && text.contains("Exit codes:"), "{text}");
}
