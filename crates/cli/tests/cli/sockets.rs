//! How much of a head a client may send, and how long it may take.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    thread,
    time::Duration,
};

use myelin_ambient::{Clock as _, SystemClock};

use crate::support::{Home, Server, connect, head};

/// The beginning of the answer to a head with a field of so many bytes.
fn answer_to_head_of(server: &Server, bytes: usize) -> String {
    let more = format!("connection: close\r\nx-long: {}\r\n", "x".repeat(bytes));
    let head = head(server.address, "GET", "/health", &more, 0);
    let mut stream = connect(server.address).unwrap();
    // A server that has read enough closes, so either may end in an error.
    // What it has said until then counts.
    drop(stream.write_all(head.as_bytes()));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8(answer).unwrap().chars().take(12).collect()
}

#[test]
fn a_head_of_more_than_32_kib_is_answered_431() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    assert_eq!(answer_to_head_of(&server, 31 * 1024), "HTTP/1.1 200");
    // Twice the limit: what comes together with the last byte below the limit
    // is read in the same go.
    assert_eq!(answer_to_head_of(&server, 64 * 1024), "HTTP/1.1 431");
    assert_eq!(answer_to_head_of(&server, 1), "HTTP/1.1 200", "it goes on");
}

#[test]
fn a_head_that_is_not_complete_within_15_seconds_ends_the_connection() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let (address, began) = (server.address, SystemClock.now());
    let heads = ["", "GET /hea", "GET /health HTTP/1.1\r\nhost: localhost\r\nx-half: "];
    thread::scope(|scope| {
        for head in heads {
            scope.spawn(move || {
                let mut stream = connect(address).unwrap();
                stream.write_all(head.as_bytes()).unwrap();
                let mut answer = Vec::new();
                if let Err(error) = stream.read_to_end(&mut answer) {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{head:?}");
                }
                assert!(!answer.starts_with(b"HTTP/1.1 200"), "{head:?}");
                let waited = SystemClock.now().saturating_since(began);
                let in_time = Duration::from_secs(14)..Duration::from_secs(25);
                assert!(in_time.contains(&waited), "{head:?} was open for {waited:?}");
            });
        }
    });
}
