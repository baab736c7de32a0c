//! The stage `m.login.sso`: everything that it takes, on a page of ours.

use myelin_homeserver::PasswordEvidence;
use myelin_storage::{Factors, Spend};
use myelin_uia::Session;

use super::{
    Evidence,
    gate::{Gate, Judgement, Proved},
    password,
};
use crate::{error::Error, texts};

/// What a password and a code are worth, typed into one form.
pub(super) async fn judge(
    gate: &Gate<'_>,
    session: &Session,
    factors: Option<&Factors>,
    password: &PasswordEvidence,
    code: Option<&Evidence>,
) -> Result<Judgement, Error> {
    match (password::verify(gate, session, factors, password).await?, code) {
        // No code is looked at before the password is right.
        (Judgement::Pass(..), Some(code)) => gate.judge_code(factors, code).await,
        (Judgement::Pass(..), None) if factors.is_some_and(Factors::protect) => {
            Ok(Judgement::Ignore(texts::WRONG_CODE))
        }
        (other, _) => Ok(other),
    }
}

/// What a sign-in is worth: as much as was passed in it, to its own user, and as
/// long as nothing has ended it.
pub(super) fn judge_signed_in(
    session: &Session,
    factors: Option<&Factors>,
    Proved { proof, epoch }: &Proved,
) -> Judgement {
    let is_theirs = proof.user().is_some() && proof.user() == session.user.as_deref();
    if is_theirs && factors.is_some_and(|factors| factors.epoch == *epoch) {
        Judgement::Pass(Spend::Nothing, None)
    } else {
        Judgement::Ignore(texts::OUT_OF_ORDER)
    }
}
