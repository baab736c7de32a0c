//! HTTP/1.1 over a socket, without a library that tidies the request up.

use std::{
    fmt::Write as _,
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use super::{Reply, Request};
use crate::Failure;

/// One request on a connection of its own. `None` if the server closed it
/// without an answer.
pub(super) fn exchange(
    authority: &str,
    request: &Request,
    timeout: Duration,
) -> Result<Option<Reply>, Failure> {
    let broken =
        |error: io::Error| Failure::new("an HTTP response", error.to_string(), request.to_string());
    let mut stream = connect(authority, timeout).map_err(broken)?;
    // A server may refuse a large body before it has read it: what it said
    // until then counts, not that it stopped listening.
    let written = write(&mut stream, authority, request);
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    match (written, read) {
        (Err(error), _) | (_, Err(error)) if !is_closed(&error) => Err(broken(error)),
        _ if bytes.is_empty() => Ok(None),
        _ => {
            let reply = parse(request, &bytes).ok_or_else(|| {
                let came = String::from_utf8_lossy(&bytes).into_owned();
                Failure::new("an HTTP/1.1 response", came, request.to_string())
            });
            reply.map(Some)
        }
    }
}

fn connect(authority: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn write(stream: &mut TcpStream, authority: &str, request: &Request) -> io::Result<()> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {authority}\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let body = request.body.as_deref().unwrap_or_default();
    if request.body.is_some() {
        let _ = write!(head, "Content-Type: {}\r\n", request.kind);
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    head += "Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

fn is_closed(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn parse(request: &Request, bytes: &[u8]) -> Option<Reply> {
    let end = find(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked")
    });
    let body = &bytes[end + 4..];
    let body = if chunked { unchunk(body)? } else { body.to_vec() };
    Some(Reply::new(request.to_string(), status, headers, body))
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = line + 2;
        body.extend_from_slice(rest.get(start..start + size)?);
        rest = rest.get(start + size + 2..)?;
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// Answers one connection with `answer`, and returns what was asked.
    fn asked(path: &str, answer: &'static [u8]) -> (String, Result<Option<Reply>, Failure>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        });
        let reply = exchange(&authority, &Request::get(path), Duration::from_secs(5));
        (server.join().unwrap(), reply)
    }

    #[test]
    fn the_path_goes_out_as_it_is_written() {
        let path = "/_matrix/client//v3/%2f/../LOGIN/;x";
        let (asked, reply) = asked(path, b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n{}");
        assert!(asked.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{asked}");
        let reply = reply.unwrap().unwrap();
        assert_eq!((reply.status, reply.header("a")), (404, Some("b")));
        assert_eq!(reply.body, b"{}");
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{\"\r\n5;x\r\na\":1}\r\n0\r\n\r\n";
        let (_, reply) = asked("/", answer);
        assert_eq!(reply.unwrap().unwrap().json["a"], 1);
    }

    #[test]
    fn a_connection_closed_without_an_answer_is_none() {
        let (_, reply) = asked("/", b"");
        assert!(reply.unwrap().is_none());
    }

    #[test]
    fn bytes_that_are_not_http_are_a_failure() {
        let (_, reply) = asked("/", b"SSH-2.0-x\r\n\r\n");
        assert!(reply.is_err());
    }
}
