//! A connection is there in time, or not at all.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use tokio::time::timeout;
use tower::{BoxError, Service};

/// A connector that has only so long for the whole of a connection, TLS
/// included: a server that takes the connection and then says nothing is one
/// that does not answer.
#[derive(Clone, Debug)]
pub(super) struct InTime<C> {
    pub(super) connector: C,
    pub(super) limit: Duration,
}

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connected = timeout(self.limit, self.connector.call(uri));
        let late = |_| BoxError::from("it takes too long to connect");
        Box::pin(async move { connected.await.map_err(late)? })
    }
}
