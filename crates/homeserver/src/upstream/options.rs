//! Where the homeserver is, and how patient we are with it.

use std::{fmt, str::FromStr, time::Duration};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

/// How a homeserver is reached.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// Where it is.
    pub url: UpstreamUrl,
    /// The scheme of the URL under which clients reach Myelin: what
    /// `X-Forwarded-Proto` says, because no client may say it.
    pub public_scheme: Scheme,
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long a request that Myelin makes itself may take, whole.
    pub answer_timeout: Duration,
    /// The largest answer to a request that Myelin makes itself, in bytes.
    pub answer_limit: usize,
    /// How long a forwarded request may wait for the answer's head once no
    /// more of its body moves, and for more of the answer's body. Longer than
    /// any client's long poll.
    pub forward_timeout: Duration,
    /// How long an unused connection is kept. Shorter than the homeserver
    /// keeps it, or requests meet connections that it is just closing.
    pub idle_timeout: Duration,
    /// How many unused connections are kept.
    pub idle_connections: usize,
}

impl UpstreamOptions {
    /// The defaults for a homeserver at this URL: clients come over `https`,
    /// 5 seconds to connect, 30 seconds and 1 MiB for an answer, 10 minutes
    /// for a forwarded request, 256 idle connections for 30 seconds.
    pub fn new(url: UpstreamUrl) -> Self {
        Self {
            url,
            public_scheme: Scheme::HTTPS,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            answer_limit: 1024 * 1024,
            forward_timeout: Duration::from_mins(10),
            idle_timeout: Duration::from_secs(30),
            idle_connections: 256,
        }
    }
}

/// The URL of a homeserver: `http` or `https`, a host, perhaps a port, and
/// nothing else. A path prefix would have to be read back out of every link
/// and redirect, so there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamUrl {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

/// Why a text is no URL of a homeserver. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is no URL with a scheme and a host.
    #[error("not a URL such as http://localhost:8008")]
    Malformed,
    /// Its scheme is neither `http` nor `https`.
    #[error("the scheme has to be http or https")]
    Scheme,
    /// It has a user or a password.
    #[error("a user or a password has no place in the URL")]
    UserInfo,
    /// It has a path, a query or a fragment.
    #[error("the URL has to end after the host and the port")]
    Path,
}

impl FromStr for UpstreamUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        // `Uri` drops a fragment without a word.
        if text.contains('#') {
            return Err(InvalidUrl::Path);
        }
        let parts = text.parse::<Uri>().map_err(|_| InvalidUrl::Malformed)?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(InvalidUrl::Malformed);
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(InvalidUrl::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(InvalidUrl::UserInfo);
        }
        // What stands behind the host has to be a port that there is.
        let has_port = authority.as_str().len() > authority.host().len();
        if authority.host().is_empty() || has_port && authority.port_u16().is_none() {
            return Err(InvalidUrl::Malformed);
        }
        match parts.path_and_query {
            Some(path) if path != "/" => Err(InvalidUrl::Path),
            _ => Ok(Self { scheme, authority }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_a_host_and_a_port_are_a_url() {
        for text in [
            "http://localhost:8008",
            "http://localhost:8008/",
            "https://matrix.example.org",
            "HTTPS://192.0.2.1",
            "http://[::1]:8008",
        ] {
            assert!(text.parse::<UpstreamUrl>().is_ok(), "{text}");
        }
    }

    #[test]
    fn anything_more_or_less_is_refused() {
        for (text, why) in [
            ("", InvalidUrl::Malformed),
            ("localhost:8008", InvalidUrl::Malformed),
            ("/path", InvalidUrl::Malformed),
            ("http://", InvalidUrl::Malformed),
            ("http://localhost:", InvalidUrl::Malformed),
            ("http://local host", InvalidUrl::Malformed),
            ("http://localhost:99999", InvalidUrl::Malformed),
            ("ftp://localhost", InvalidUrl::Scheme),
            ("unix://localhost", InvalidUrl::Scheme),
            ("http://user:secret@localhost", InvalidUrl::UserInfo),
            ("http://localhost/matrix", InvalidUrl::Path),
            ("http://localhost//", InvalidUrl::Path),
            ("http://localhost?x", InvalidUrl::Path),
            ("http://localhost/#x", InvalidUrl::Path),
        ] {
            assert_eq!(text.parse::<UpstreamUrl>(), Err(why), "{text}");
        }
    }
}
