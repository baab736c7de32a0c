//! Operations that are proven, on their way to the homeserver.

use myelin_uia::Authenticated;
use serde_json::{Map, Value};

use super::{Answer, Gateway};
use crate::{Context, Error, Identity, OperationRequest};

impl Gateway {
    /// Sends an operation as its client sent it, with a body written anew.
    pub(super) async fn forward_operation(
        &self,
        request: &OperationRequest,
        auth: Option<Map<String, Value>>,
        context: &Context,
    ) -> Result<Answer, Error> {
        let mut body = request.body.clone();
        if let Some(auth) = auth {
            body.insert("auth".to_owned(), Value::Object(auth));
        }
        let body = super::serialised(&body);
        let answer = self.options.upstream.call_as(&request.head, body, context).await?;
        if let Some(identity) = &request.identity {
            // It may have ended any device of theirs.
            self.tokens.forget(&identity.user);
        }
        Ok(Answer::new(answer))
    }
}

/// Whose operation it is, if the proof is theirs.
///
/// # Errors
///
/// [`Error::Unexpected`] where it is not; the gate has matched them already.
pub(super) fn owner<'r>(
    proof: &Authenticated,
    request: &'r OperationRequest,
) -> Result<&'r Identity, Error> {
    request.identity.as_ref().filter(|identity| proof.user() == Some(&*identity.user)).ok_or_else(
        || Error::Unexpected("a proof for another user than the operation's".to_owned()),
    )
}
