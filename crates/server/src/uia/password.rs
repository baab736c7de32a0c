//! The stage `m.login.password`: the homeserver decides.

use myelin_homeserver::{PasswordCheck, PasswordEvidence, Refusal};
use myelin_storage::{Action, Factors, Spend};
use myelin_uia::Session;
use ruma::{ServerName, UserId, api::client::uiaa::UserIdentifier};

use super::gate::{Gate, Judgement, Purpose};
use crate::{error::Error, texts};

/// What a password is worth in this session.
pub(crate) async fn judge(
    gate: &Gate<'_>,
    session: &Session,
    factors: Option<&Factors>,
    evidence: &PasswordEvidence,
) -> Result<Judgement, Error> {
    // The password goes on with the operation, and the homeserver's answer to
    // that decides. It can only be the last stage, so nothing follows from it.
    if matches!(gate.purpose, Purpose::Forwarded) {
        check_name(gate, session, evidence)?;
        return Ok(pass(factors));
    }
    verify(gate, session, factors, evidence).await
}

/// What a password is worth that is checked now, whoever checks it later.
pub(crate) async fn verify(
    gate: &Gate<'_>,
    session: &Session,
    factors: Option<&Factors>,
    evidence: &PasswordEvidence,
) -> Result<Judgement, Error> {
    check_name(gate, session, evidence)?;
    match gate.app.check_password(evidence, gate.context).await? {
        PasswordCheck::Verified(user) if Some(&user) == session.user.as_ref() => {
            // What we answer ourselves has no need of it any more.
            if !matches!(gate.purpose, Purpose::Own | Purpose::Page) {
                gate.app.homeserver().keep_password(&user, &evidence.password);
            }
            Ok(pass(factors))
        }
        PasswordCheck::Verified(_) => Err(Refusal::forbidden(texts::OTHER_USER).into()),
        PasswordCheck::Wrong => Ok(Judgement::Ignore(texts::WRONG_PASSWORD)),
        PasswordCheck::Refused(refusal) => Err(refusal.into()),
    }
}

fn pass(factors: Option<&Factors>) -> Judgement {
    let protected = factors.is_some_and(Factors::protect);
    Judgement::Pass(Spend::Nothing, protected.then_some(Action::PasswordPassed))
}

/// Somebody else's name is refused before anything is checked, so that this
/// tells nothing about somebody else's password.
fn check_name(
    gate: &Gate<'_>,
    session: &Session,
    evidence: &PasswordEvidence,
) -> Result<(), Refusal> {
    let server = gate.app.homeserver().server_name();
    match &session.user {
        Some(user) if names_another(&evidence.identifier, user, server) => {
            Err(Refusal::forbidden(texts::OTHER_USER))
        }
        _ => Ok(()),
    }
}

/// Whether the identifier is a user ID, or the local part of one, and not
/// this user's.
fn names_another(identifier: &UserIdentifier, user: &UserId, server: &ServerName) -> bool {
    let UserIdentifier::Matrix(identifier) = identifier else { return false };
    let named = &identifier.user;
    let full = if named.starts_with('@') { named.clone() } else { format!("@{named}:{server}") };
    !full.eq_ignore_ascii_case(user.as_str())
}
