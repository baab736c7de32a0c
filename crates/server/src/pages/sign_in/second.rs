//! The second step: a code, or a recovery code.

use axum::response::Response;
use myelin_uia::Progress;
use zeroize::Zeroizing;

use super::{onwards, state::SignIn, templates};
use crate::{
    pages::{Problem, Visit, trouble::Trouble},
    uia::{Evidence, Place, Tried},
};

pub(super) async fn submit(visit: &mut Visit, recovery: bool) -> Result<Response, Problem> {
    let sign_in = SignIn::current(visit).await?;
    let code = Zeroizing::new(visit.form()?.text("code").to_owned());
    let evidence = if recovery { Evidence::Recovery(code) } else { Evidence::Totp(code) };
    let current = (sign_in.session.clone(), Some(sign_in.factors.clone()));
    let tried = sign_in.gate(visit).try_stage(current, &evidence, Place::Page).await?;
    // As it is now: a passed stage, or a changed factor, is in it.
    let sign_in = SignIn::current(visit).await?;
    let trouble = match tried {
        Tried::Passed(Progress::More(_), _) => return onwards(visit, sign_in).await,
        Tried::Passed(Progress::Done(_), _) | Tried::Gone => return Err(Problem::Over),
        Tried::Again(..) if recovery => Trouble::wrong_recovery(visit),
        Tried::Again(..) => Trouble::wrong_code(visit),
        Tried::Wait(until) => Trouble::wait(visit, until),
    };
    Ok(templates::code(visit, &sign_in, recovery, Some(trouble)))
}
