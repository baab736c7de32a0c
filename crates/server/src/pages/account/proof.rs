//! The fresh proof that every change takes: the second factor once more, or where
//! there is none the password or a sign-in for it, or both for what the homeserver
//! does only for the password.

use myelin_homeserver::{Password, PasswordEvidence};
use myelin_storage::Factors;
use myelin_uia::{Binding, Progress};
use ruma::api::client::uiaa::MatrixUserIdentifier;
use serde_json::Map;
use zeroize::Zeroizing;

use super::{SignedIn, change::Change};
use crate::{
    pages::{
        Problem, Visit,
        sign_in::{self, SignIn},
        trouble::Trouble,
    },
    texts,
    uia::{Evidence, Gate, Place, Proved, Purpose, Tried},
};

/// A sign-in for this very change, which is as much as the password where there is
/// no second factor.
pub(super) async fn sign_in(
    visit: &Visit,
    SignedIn { factors, .. }: &SignedIn,
    change: &Change,
) -> Result<Option<SignIn>, Problem> {
    if factors.protect() {
        return Ok(None);
    }
    let ready = sign_in::ready(visit, &change.sign_in_address(&visit.app)).await?;
    Ok(ready.filter(|sign_in| sign_in.factors.user == factors.user))
}

/// Checks and spends what the form holds as proof.
pub(super) async fn prove(
    visit: &mut Visit,
    signed_in: &SignedIn,
    change: &Change,
) -> Result<Result<Proved, Trouble>, Problem> {
    if let Some(sign_in) = sign_in(visit, signed_in, change).await? {
        return sign_in.spend(visit).await.map(Ok);
    }
    // What was passed for it has ended meanwhile.
    if visit.form()?.find("signed_in").is_some() {
        return Err(Problem::Over);
    }
    let visit = &*visit;
    let user = &signed_in.factors.user;
    let takes_password = change.takes_password(&visit.app);
    let takes_both = signed_in.factors.protect() && takes_password;
    let bound = [change.what.name(), change.id.as_str()];
    let gate = Gate {
        app: &visit.app,
        context: &visit.context,
        purpose: if takes_password { Purpose::Operation } else { Purpose::Page },
        user: Some(user.clone()),
        binding: Binding::new(Some(user), "POST", "account/change", &bound, &Map::new()),
        endpoint: "account/change",
        devices: Vec::new(),
    };
    let (session, factors) = gate.open().await?;
    let factors = factors.ok_or(Problem::Over)?;
    let evidence = evidence(visit, &factors, takes_both, change.recovery)?;
    let tried = gate.try_stage((session, Some(factors)), &evidence, Place::Request).await;
    Ok(Err(match tried {
        Ok(Tried::Passed(Progress::Done(proof), epoch)) => {
            return Ok(Ok(Proved { proof, epoch }));
        }
        Ok(Tried::Passed(..) | Tried::Gone) => return Err(Problem::Over),
        Ok(Tried::Wait(until)) => Trouble::wait(visit, until),
        Ok(Tried::Again(_, texts::WRONG_PASSWORD)) => Trouble::wrong_password(visit),
        Ok(Tried::Again(..)) if change.recovery => Trouble::wrong_recovery(visit),
        Ok(Tried::Again(..)) => Trouble::wrong_code(visit),
        Err(error) => Trouble::with_password(visit, error)?,
    }))
}

fn evidence(
    visit: &Visit,
    factors: &Factors,
    takes_both: bool,
    recovery: bool,
) -> Result<Evidence, Problem> {
    let form = visit.form()?;
    let identifier = MatrixUserIdentifier::new(factors.user.to_string()).into();
    let password = PasswordEvidence { identifier, password: Password::new(form.text("password")) };
    let password = Box::new(password);
    if !factors.protect() {
        return Ok(Evidence::Password(password));
    }
    let code = Zeroizing::new(form.text("code").to_owned());
    let code = if recovery { Evidence::Recovery(code) } else { Evidence::Totp(code) };
    Ok(if takes_both { Evidence::Page { password, code: Some(Box::new(code)) } } else { code })
}
