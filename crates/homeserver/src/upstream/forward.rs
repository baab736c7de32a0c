//! Forwarding a request and streaming its answer back.

use std::pin::pin;

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, header};

use super::{
    Upstream,
    failure::Failure,
    headers,
    patience::Progress,
    tunnel::{Tunnel, keep_upgrade},
};
use crate::{Context, Error, Refusal};

impl Upstream {
    /// Forwards a request, both ways as a stream.
    ///
    /// The path and the query go as they came, byte for byte; `Host` too. What
    /// concerns one connection only (RFC 9110 §7.6.1) is removed both ways,
    /// and who asks is said by Myelin alone. A web socket is passed through;
    /// other upgrades are not, because the gate could not see into them.
    ///
    /// Where the homeserver does not answer, the client gets `502 M_UNKNOWN`;
    /// where it takes too long, `504 M_UNKNOWN`. An answer that breaks off
    /// breaks the client's too. Dropping this future, or the answer's body,
    /// ends the request at the homeserver.
    pub async fn forward(&self, request: Request, context: &Context) -> Response {
        match self.pass(request, context).await {
            Ok(response) => response,
            Err(failure) => failure.into_response(),
        }
    }

    async fn pass(&self, mut request: Request, context: &Context) -> Result<Response, Failure> {
        // CONNECT asks for a way past the gate, TRACE for an echo of headers
        // that the client was not to see.
        let is_passable = !matches!(*request.method(), Method::CONNECT | Method::TRACE);
        let target = request.uri().path_and_query().filter(|path| path.as_str().starts_with('/'));
        let Some(target) = target.cloned().filter(|_| is_passable) else {
            return Err(Refusal::unrecognized().into());
        };
        let tunnel = Tunnel::asked_for(&mut request);
        headers::prepare(&mut request, &self.0.options.public_scheme, context)?;
        if tunnel.is_some() {
            keep_upgrade(request.headers_mut());
        }
        self.aim(&mut request, target);
        let mut response = self.send(request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return match tunnel {
                Some(tunnel) => Ok(tunnel.open(response)),
                None => Err(unasked()),
            };
        }
        check_coding(response.headers())?;
        headers::remove_hop_by_hop(response.headers_mut());
        Ok(response)
    }

    /// Waits for the answer's head for as long as something moves.
    async fn send(&self, request: Request) -> Result<Response, Failure> {
        let (request, progress) = Progress::watch(request);
        let answer = pin!(self.request(request));
        match progress.within(self.0.options.forward_timeout, answer).await {
            Some(answer) => Ok(answer?),
            None => Err(Failure::TooLate),
        }
    }
}

fn unasked() -> Failure {
    let text = "the homeserver switches to a protocol that nobody asked for";
    Failure::Unreachable(Error::Unexpected(text.to_owned()))
}

/// The transfer coding ends here: another than `chunked` would leave the body
/// in a coding that nothing names.
fn check_coding(headers: &HeaderMap) -> Result<(), Failure> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Ok(());
    }
    let text = "the homeserver answers in an unknown transfer coding";
    Err(Failure::Unreachable(Error::Unexpected(text.to_owned())))
}
