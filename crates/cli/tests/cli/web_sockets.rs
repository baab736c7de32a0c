//! Web sockets through the gateway, and no other protocol.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use crate::support::{Home, Server, connect};

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const ANSWERED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A gateway before a homeserver that answers one request so, and then says
/// everything back that it is told.
fn gateway(home: &Home, answer: &'static str) -> (Server, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let homeserver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let asked = read_head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            stream.write_all(&bytes[..count]).unwrap();
        }
        asked
    });
    let variables = [
        ("MYELIN_HOMESERVER_KIND", "generic"),
        ("MYELIN_HOMESERVER_URL", url.as_str()),
        ("MYELIN_PUBLIC_URL", "http://localhost:8008"),
    ];
    (Server::start(home, &variables), homeserver)
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

/// Asks for another protocol, in a head such as clients send; the answer's head.
fn ask(server: &Server, protocol: &str) -> (TcpStream, String) {
    let mut stream = connect(server.address).unwrap();
    let head = format!(
        "GET /_matrix/client/unstable/socket HTTP/1.1\r\nhost: localhost\r\n\
         connection: keep-alive, Upgrade\r\nupgrade: {protocol}\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_head(&mut stream);
    (stream, answer)
}

#[test]
fn both_sides_of_a_web_socket_talk_until_one_is_gone() {
    let home = Home::new();
    let (server, homeserver) = gateway(&home, SWITCHED);
    let (mut stream, answer) = ask(&server, "WebSocket");
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("upgrade: websocket"), "{answer}");
    for said in [&b"\x81\x05hello"[..], b"\x00\xff", b"and more"] {
        stream.write_all(said).unwrap();
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, said);
    }
    drop(stream);
    let asked = homeserver.join().unwrap();
    assert!(asked.contains("upgrade: websocket") && asked.contains("connection: upgrade"));
    assert!(asked.contains("sec-websocket-key: "), "{asked}");
}

#[test]
fn no_other_protocol_is_asked_for() {
    let home = Home::new();
    for protocol in ["h2c", "tls/1.2", "websocket, h2c"] {
        let (server, homeserver) = gateway(&home, ANSWERED);
        let (stream, answer) = ask(&server, protocol);
        assert!(answer.starts_with("http/1.1 200 "), "{protocol}: {answer}");
        drop((stream, server));
        let asked = homeserver.join().unwrap();
        assert!(!asked.contains("upgrade"), "{protocol}: {asked}");
    }
}

#[test]
fn a_homeserver_that_switches_unasked_is_not_followed() {
    let home = Home::new();
    let (server, homeserver) = gateway(&home, SWITCHED);
    let (_stream, answer) = ask(&server, "h2c");
    assert!(answer.starts_with("http/1.1 502 "), "{answer}");
    drop(server);
    homeserver.join().unwrap();
}
