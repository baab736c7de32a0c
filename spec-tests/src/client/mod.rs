//! Speaks HTTP to the server under test.
//!
//! `ureq` for requests that are well formed; [`wire`] for those that are not,
//! because a library would tidy them up.

mod reply;
mod request;
mod wire;

use std::time::Duration;

pub(crate) use reply::{Challenge, Reply};
pub(crate) use request::Request;
use ureq::{Agent, http};

use crate::Failure;

/// No answer of an account server takes this long.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A connection pool to one server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    /// `host:port`, as it stands in the URL.
    authority: String,
}

impl Client {
    /// A client of `http://host[:port][/]`.
    ///
    /// Errors say what is wrong with the address.
    pub(crate) fn new(target: &str) -> Result<Self, String> {
        let authority = target
            .strip_prefix("http://")
            .ok_or_else(|| format!("{target}: only plain http:// addresses can be tested"))?
            .trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '?', '#', '@', ' ']) {
            return Err(format!("{target}: not of the form http://host:port"));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .build();
        let authority =
            if has_port(authority) { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { agent: config.new_agent(), authority })
    }

    /// Sends a request whose path is in normal form.
    pub(crate) fn send(&self, request: &Request) -> Result<Reply, Failure> {
        let broken = |cause: String| Failure::new("an HTTP response", cause, request.to_string());
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(format!("http://{}{}", self.authority, request.path));
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let response = match &request.body {
            Some(body) => {
                let built = builder.header("Content-Type", request.kind).body(body.clone());
                self.agent.run(built.map_err(|error| broken(error.to_string()))?)
            }
            None => self.agent.run(builder.body(()).map_err(|error| broken(error.to_string()))?),
        };
        let mut response = response.map_err(|error| broken(error.to_string()))?;
        let body = response.body_mut().read_to_vec().map_err(|error| broken(error.to_string()))?;
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
            })
            .collect();
        Ok(Reply::new(request.to_string(), response.status().as_u16(), headers, body))
    }

    /// Sends a request byte by byte as it is written.
    ///
    /// `None` if the server closed the connection without an answer, which is
    /// a way to refuse.
    pub(crate) fn send_raw(&self, request: &Request) -> Result<Option<Reply>, Failure> {
        wire::exchange(&self.authority, request, TIMEOUT)
    }
}

/// Whether `authority` ends in a port; an IPv6 address has colons, too.
fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        && !authority.ends_with(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_plain_http_origin() {
        for target in ["http://localhost:8008", "http://localhost:8008/", "http://[::1]:80"] {
            assert!(Client::new(target).is_ok(), "{target}");
        }
        for target in ["https://localhost", "localhost:8008", "http://", "http://a/b", "ftp://a"] {
            assert!(Client::new(target).is_err(), "{target}");
        }
    }

    #[test]
    fn a_missing_port_is_80() {
        assert_eq!(Client::new("http://example.org").unwrap().authority, "example.org:80");
        assert_eq!(Client::new("http://[::1]").unwrap().authority, "[::1]:80");
        assert_eq!(Client::new("http://[::1]:8008").unwrap().authority, "[::1]:8008");
    }
}
