//! One connection to the homeserver.
//!
//! No task of its own works on it: the request that uses it does, for as long as
//! it needs it. So an answer goes from one socket to the other without waking
//! anybody else, and a request that is given up takes its connection with it.

use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::Context,
};

use axum::body::Body;
use http::{Request, Response, Uri};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use tower::{BoxError, ServiceExt as _};

use super::connect::Connector;

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// There is no connection.
    Connect(BoxError),
    /// A connection stood, and has ended or spoke nonsense.
    Talk(hyper::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect(_) => "cannot connect",
            Self::Talk(_) => "the connection failed",
        })
    }
}

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(match self {
            Self::Connect(cause) => &**cause,
            Self::Talk(cause) => cause,
        })
    }
}

/// What works on a connection.
type Work = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection to the homeserver.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    /// None once it has ended.
    work: Option<Work>,
}

/// Why a request got no answer; and itself, if nothing of it was sent.
pub(super) struct Unanswered {
    pub(super) error: hyper::Error,
    pub(super) unsent: Option<Box<Request<Body>>>,
}

impl Connection {
    /// Opens one.
    pub(super) async fn open(connector: Connector, uri: Uri) -> Result<Self, Broken> {
        let stream = connector.oneshot(uri).await.map_err(Broken::Connect)?;
        let (sender, connection) = handshake(stream).await.map_err(Broken::Talk)?;
        Ok(Self { sender, work: Some(Box::pin(connection.with_upgrades())) })
    }

    /// Does what can be done on it now.
    pub(super) fn work(&mut self, cx: &mut Context<'_>) {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(cx).is_ready()
        {
            self.work = None;
        }
    }

    /// Goes on by itself, with what is still to be sent or in another protocol,
    /// and is not used again.
    pub(super) fn leave(self) {
        if let Some(work) = self.work {
            tokio::spawn(work);
        }
    }

    /// Whether it still stands and can take a request.
    pub(super) fn is_free(&mut self, cx: &mut Context<'_>) -> bool {
        self.work(cx);
        self.work.is_some() && self.sender.is_ready()
    }

    /// Sends a request; the answer, whose body is still to be read, and itself.
    pub(super) fn ask(
        mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<(Response<Incoming>, Self), Unanswered>> {
        let answer = self.sender.try_send_request(request);
        async move {
            let mut answer = pin!(answer);
            let answer = poll_fn(|cx| {
                self.work(cx);
                answer.as_mut().poll(cx)
            });
            match answer.await {
                Ok(response) => Ok((response, self)),
                Err(mut error) => {
                    let unsent = error.take_message().map(Box::new);
                    Err(Unanswered { error: error.into_error(), unsent })
                }
            }
        }
    }
}
