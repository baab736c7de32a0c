//! The way to a homeserver over HTTP.
//!
//! It owns the connections, the forwarding of other people's requests as a
//! stream, and the requests that Myelin makes itself. It refuses to know what
//! any request means: what may be forwarded is decided before, and what an
//! answer says is read by the adapters.
//!
//! A client is spoken to in HTTP/1.1 or HTTP/2, the homeserver in HTTP/1.1.

mod again;
mod call;
mod connect;
mod connection;
mod failure;
mod forward;
mod headers;
mod in_time;
mod options;
mod patience;
mod pool;
mod tunnel;

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use axum::body::Body;
use http::{HeaderValue, Request, Uri, header, uri::PathAndQuery};

use self::pool::Pool;
use crate::{Error, Head, Refusal};

pub use call::json_object;
pub use options::{InvalidUrl, UpstreamOptions, UpstreamUrl};

/// A homeserver. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    pool: Arc<Pool>,
    options: UpstreamOptions,
}

impl Upstream {
    /// Sets it up. Nothing is connected before the first request.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] if the URL is `https` and this system has no root
    /// certificates.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn new(options: UpstreamOptions) -> Result<Self, Error> {
        let pool = Pool::new(connect::connector(&options)?, &options);
        Ok(Self(Arc::new(Shared { pool, options })))
    }

    /// Refuses a request that two servers could read differently.
    pub(crate) fn check(head: &Head) -> Result<(), Refusal> {
        headers::refuse_ambiguous(&head.headers)
    }

    /// Aims a request at the homeserver: its path and query stay as they are.
    fn aim(&self, request: &mut Request<Body>, target: PathAndQuery) {
        request.headers_mut().entry(header::HOST).or_insert_with(|| {
            HeaderValue::from_str(self.0.options.url.authority.as_str())
                .expect("invariant: an authority is a header's value")
        });
        *request.uri_mut() = Uri::from(target);
        *request.version_mut() = http::Version::HTTP_11;
    }
}

impl Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { pool: _, options } = &*self.0;
        f.debug_struct("Upstream").field("options", options).finish_non_exhaustive()
    }
}
