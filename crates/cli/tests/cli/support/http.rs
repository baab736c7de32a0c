//! HTTP by hand: one request a connection unless it is kept on purpose,
//! nothing repeated.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// Longer than any answer takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The headers, in lower case.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Value,
}

impl Answer {
    /// A text in the body.
    pub(crate) fn text(&self, key: &str) -> String {
        let text = self.body[key].as_str();
        text.unwrap_or_else(|| panic!("there is no {key} in {self:?}")).to_owned()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&prefix))
    }
}

/// Sends a request; an error unless the answer arrives whole.
pub(crate) fn request(
    server: SocketAddr,
    method: &str,
    target: &str,
    token: Option<&str>,
    body: &str,
) -> io::Result<Answer> {
    let mut stream = connect(server)?;
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
    let more = format!("connection: close\r\n{}", token.unwrap_or_default());
    let head = head(server, method, target, &more, body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    read_to_end(&mut stream)
}

/// A connection on which nobody waits for ever.
pub(crate) fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The head of a request with so many bytes of JSON; `more` are further lines.
pub(crate) fn head(
    server: SocketAddr,
    method: &str,
    target: &str,
    more: &str,
    length: usize,
) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{more}\r\n"
    )
}

/// The answer after which the connection ends.
pub(crate) fn read_to_end(stream: &mut impl Read) -> io::Result<Answer> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(broken_off)
}

/// A connection that is kept for several requests.
#[derive(Debug)]
pub(crate) struct Connection {
    server: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// One that has had its first answer: the server knows it already.
    pub(crate) fn open(server: SocketAddr) -> io::Result<Self> {
        let mut connection = Self { server, stream: BufReader::new(connect(server)?) };
        connection.send("GET", "/_matrix/client/versions", "")?;
        Ok(connection)
    }

    /// Sends a request; an error unless the answer arrives whole.
    pub(crate) fn send(&mut self, method: &str, target: &str, body: &str) -> io::Result<Answer> {
        let head = head(self.server, method, target, "", body.len());
        self.stream.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut answer)? == 0 {
                return Err(broken_off());
            }
        }
        let lower = answer.to_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok()).ok_or_else(broken_off)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        answer.push_str(&String::from_utf8_lossy(&body));
        parse(&answer).ok_or_else(broken_off)
    }
}

fn broken_off() -> io::Error {
    io::Error::other("the answer broke off")
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    // A body that broke off is no JSON.
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).ok()? };
    Some(Answer { status, head, body })
}
