//! `/account/two-factor`: a user's own factors.

pub(crate) mod app_passwords;
mod enrol;
mod manage;
mod status;

pub(crate) use enrol::{Confirmed, begin, check_room, confirm, enrol, try_confirm, uri};
pub(crate) use manage::{
    check_not_last, new_set, regenerate, remove, rename, rename_to, take_away,
};
use myelin_homeserver::{Context, Identity, Refusal};
use myelin_storage::{Action, Change, Enrolled, Epoch, Event, Factors, NewRecoveryCodes, Outcome};
use myelin_two_factor::{AuthenticatorId, Name, recovery};
use ruma::{UserId, api::error::ErrorKind};
use serde_json::{Map, Value};
pub(crate) use status::status;
use zeroize::Zeroizing;

use crate::{
    App,
    call::Call,
    error::Error,
    texts,
    uia::{Proved, string},
};

/// What a change is made on.
enum Grounds {
    /// A passed flow.
    Proof(Proved),
    /// The access token alone: for what neither adds nor takes a factor.
    Token,
}

impl Grounds {
    /// Changing factors takes a fresh proof, and of this epoch: a first factor
    /// may have been confirmed since the password was given.
    fn allow(&self, change: &Change, factors: &Factors) -> Result<(), Refusal> {
        match change {
            Change::Begin { .. } | Change::Remove { .. } | Change::Regenerate { .. } => {}
            _ => return Ok(()),
        }
        match self {
            Self::Token => Err(Refusal::forbidden(texts::OTHER_REQUEST)),
            Self::Proof(proved) => check_proof(proved, &factors.user, factors.epoch),
        }
    }
}

/// Whether a proof is this user's, and of this epoch.
fn check_proof(proved: &Proved, user: &UserId, epoch: Epoch) -> Result<(), Refusal> {
    if proved.proof.user() != Some(user) {
        return Err(Refusal::forbidden(texts::OTHER_REQUEST));
    }
    if proved.epoch == epoch { Ok(()) } else { Err(Refusal::forbidden(texts::CHANGED)) }
}

/// Whose factors are changed, in which request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) app: &'a App,
    pub(crate) context: &'a Context,
    pub(crate) user: &'a UserId,
}

impl<'a> Owner<'a> {
    fn of(app: &'a App, call: &'a Call, identity: &'a Identity) -> Self {
        Self { app, context: &call.context, user: &identity.user }
    }

    /// Decides on a change and commits it, anew if the factors have changed in
    /// between. `decide` sees the factors as they are now.
    async fn change<T>(
        &self,
        grounds: &Grounds,
        mut decide: impl FnMut(&Factors) -> Result<(Change, Action, Option<String>, T), Error>,
    ) -> Result<T, Error> {
        let store = self.app.store();
        for _ in 0..16 {
            let factors = store.lookup_factors(self.user).await?;
            let (change, action, detail, result) = decide(&factors)?;
            grounds.allow(&change, &factors)?;
            let (at, user, origin) = (self.app.now(), self.user.to_owned(), self.context.origin());
            let event = Event { at, user, action, origin, detail };
            if let Outcome::Committed(()) = store.change(&factors, change, event).await? {
                return Ok(result);
            }
        }
        Err(Error::Contended)
    }
}

/// The id in a path; one that no authenticator has if it cannot be an id.
fn id(call: &Call) -> &str {
    call.parameters.first().map_or("", String::as_str)
}

/// The authenticator with this id, if it is this user's.
pub(crate) fn named<'f>(id: &str, factors: &'f Factors) -> Result<&'f Enrolled, Refusal> {
    AuthenticatorId::parse(id)
        .and_then(|id| factors.authenticator(&id))
        .ok_or_else(|| Refusal::not_found(texts::NO_SUCH_AUTHENTICATOR))
}

/// A name from the body; the default if there is none.
fn name(body: &Map<String, Value>) -> Result<Name, Refusal> {
    Name::parse(string(body, "name")?)
        .map_err(|error| Refusal::bad_request(&ErrorKind::InvalidParam, error.to_string()))
}

/// New recovery codes: hashed to be kept, and as text to be shown once.
async fn new_codes(app: &App) -> (NewRecoveryCodes, Vec<Zeroizing<String>>) {
    let set = recovery::generate_set(app.entropy());
    let texts = set.codes.iter().map(recovery::RecoveryCode::to_text).collect();
    let salt = set.salt;
    let hashes = app.hash(move || set.hashes()).await;
    (NewRecoveryCodes { salt, hashes }, texts)
}

/// `{"recovery_codes": […]}`
fn shown(codes: &[Zeroizing<String>]) -> Value {
    let codes: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    serde_json::json!({"recovery_codes": codes})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use myelin_ambient::{SystemEntropy, Timestamp};
    use myelin_uia::{Binding, Flows, Progress, Session, Stage};
    use ruma::user_id;

    use super::*;

    #[test]
    fn a_proof_is_one_for_its_user_and_its_epoch() {
        let (alice, bob) = (user_id!("@alice:localhost"), user_id!("@bob:localhost"));
        let binding = Binding::new(Some(alice), "POST", "account/password", &[], &Map::new());
        let (user, now) = (Some(alice.to_owned()), Timestamp::from_millis(0));
        let session = Session::open(&SystemEntropy, user, binding, now, Duration::from_mins(1));
        let flows = Flows::new([[Stage::Password]]);
        let admitted = session.admit(&binding, &flows, Stage::Password, now).expect("it is first");
        let Progress::Done(proof) = admitted.complete() else { panic!("it is the last") };
        let proved = Proved { proof, epoch: Epoch(7) };
        assert!(check_proof(&proved, alice, Epoch(7)).is_ok());
        for (user, epoch) in [(bob, 7), (alice, 6), (alice, 8)] {
            assert!(check_proof(&proved, user, Epoch(epoch)).is_err(), "{user}, {epoch}");
        }
    }
}
