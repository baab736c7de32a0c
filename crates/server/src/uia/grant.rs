//! A grant: leave to send one operation again without `auth`.
//!
//! Some clients open the page of `m.login.sso` and then repeat their request as
//! it was, until it goes through. So the page leaves a grant for exactly that
//! request of that user, for a short while, and once. Only the upload of
//! cross-signing keys has one: its body holds nothing secret, and no other
//! operation is repeated so.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use myelin_storage::{Action, Epoch, Outcome, TokenDigest};
use myelin_uia::{Flows, Progress, Session, Stage};
use serde_json::{Value, json};

use super::gate::{Gate, Proved};
use crate::error::Error;

/// How long a client may take to ask again.
const LIFETIME: Duration = Duration::from_mins(2);

/// What the endpoint of the upload ends with, in its stable form and the older.
const UPLOAD: &str = "keys/device_signing/upload";

impl Gate<'_> {
    /// What a session remembers of its request, for the page that confirms it.
    pub(super) fn memo(&self) -> String {
        let mut memo = json!({"endpoint": self.endpoint, "devices": self.devices});
        if self.endpoint.ends_with(UPLOAD) {
            memo["grant"] = BASE64URL_NOPAD.encode(self.binding.as_bytes()).into();
        }
        memo.to_string()
    }

    /// Leaves a grant for the request that a session is bound to, where it is
    /// of the kind that has one. The page has been passed, in this epoch.
    pub(crate) async fn leave_grant(&self, session: &Session, epoch: Epoch) -> Result<(), Error> {
        let memo = session.memo.as_deref().unwrap_or_default();
        let memo: Value = serde_json::from_str(memo).unwrap_or_default();
        let digest = memo.get("grant").and_then(Value::as_str).and_then(digest);
        let (Some(digest), Some(user)) = (digest, &session.user) else { return Ok(()) };
        let store = self.app.store();
        let now = self.app.now();
        let event = self.event(user.clone(), Action::SigningKeysAllowed, now);
        // Stale: something about the user has changed, and the grant is void.
        let (Outcome::Committed(()) | Outcome::Stale) =
            store.put_grant(&digest, user, epoch, now + LIFETIME, event).await?;
        Ok(())
    }

    /// Spends the grant for this request, if there is one.
    pub(super) async fn redeem_grant(&self) -> Result<Option<Proved>, Error> {
        let Some(user) = self.user.as_ref().filter(|_| self.endpoint.ends_with(UPLOAD)) else {
            return Ok(None);
        };
        let (app, now) = (self.app, self.app.now());
        let digest = TokenDigest(*self.binding.as_bytes());
        let Some(epoch) = app.store().redeem_grant(&digest, user, now).await? else {
            return Ok(None);
        };
        // The page has asked for everything that this stage stands for.
        let flows = Flows::new([[Stage::Sso]]);
        let session = Session::open(app.entropy(), Some(user.clone()), self.binding, now, LIFETIME);
        let admitted = session.admit(&self.binding, &flows, Stage::Sso, now);
        Ok(match admitted.map(myelin_uia::Admitted::complete) {
            Ok(Progress::Done(proof)) => Some(Proved { proof, epoch }),
            _ => None,
        })
    }
}

fn digest(text: &str) -> Option<TokenDigest> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok().map(TokenDigest)
}
