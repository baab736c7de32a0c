//! Requests that Myelin makes itself: small, whole, and in time.

use axum::body::{Body, Bytes};
use http::{Request, Response, uri::PathAndQuery};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{Upstream, failure::unreachable, headers};
use crate::{Context, Error, Head, strict_json::parse_object};

impl Upstream {
    /// Sends a request of Myelin's own, for `context` if it is on a client's
    /// behalf, and reads the whole answer. Of the request's URI only the path
    /// and the query count.
    ///
    /// # Errors
    ///
    /// [`Error::Unasked`] if there is no connection, [`Error::Unreachable`] if there
    /// is no complete answer in time, and
    /// [`Error::Unexpected`] for one that is too large. Neither holds anything
    /// of the request or of the answer.
    pub async fn call(
        &self,
        request: Request<Bytes>,
        context: Option<&Context>,
    ) -> Result<Response<Bytes>, Error> {
        let mut request = request.map(Body::from);
        if let Some(context) = context {
            let scheme = &self.0.options.public_scheme;
            headers::identify(request.headers_mut(), scheme, context);
        }
        let target = request.uri().path_and_query().cloned();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        self.aim(&mut request, target);
        let answer = async {
            let response = self.request(request).await;
            self.read(response.map_err(|error| unreachable(&error))?).await
        };
        let late = |_| Error::Unreachable("it takes too long".to_owned());
        timeout(self.0.options.answer_timeout, answer).await.map_err(late)?
    }

    /// Sends a request of a client with a body that was written anew, and reads
    /// the whole answer.
    ///
    /// # Errors
    ///
    /// As [`Self::call`]; and [`Error::Unasked`] for a request that two servers
    /// could read differently.
    pub async fn call_as(
        &self,
        head: &Head,
        body: Bytes,
        context: &Context,
    ) -> Result<Response<Bytes>, Error> {
        let Head { method, uri, headers } = head;
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        headers::prepare(&mut request, &self.0.options.public_scheme, context)
            .map_err(|refusal| Error::Unasked(refusal.message))?;
        headers::describe_anew(request.headers_mut());
        self.call(request.map(|_| body), None).await
    }

    async fn read(&self, response: Response<Body>) -> Result<Response<Bytes>, Error> {
        let (parts, body) = response.into_parts();
        match Limited::new(body, self.0.options.answer_limit).collect().await {
            Ok(body) => Ok(Response::from_parts(parts, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(Error::Unexpected("the homeserver's answer is too large".to_owned()))
            }
            Err(error) => Err(Error::Unreachable(format!("its answer breaks off: {error}"))),
        }
    }
}

/// Reads an answer that has to be a JSON object, as strictly as a request.
///
/// # Errors
///
/// [`Error::Unexpected`] if it is anything else: then it tells nothing,
/// whatever its status.
pub fn json_object(response: &Response<Bytes>) -> Result<Map<String, Value>, Error> {
    parse_object(response.body()).map_err(|_| {
        let status = response.status().as_u16();
        Error::Unexpected(format!("the homeserver answers {status} with no JSON object"))
    })
}
