//! Setting up the second factor that the policy requires, before any token
//! exists.
//!
//! Whoever gets here has passed the first stage of a user who has no factor: that is
//! the proof that setting up the first one takes. Each step ends the session and
//! opens the next, and whatever voids sessions in between voids it.

use axum::response::Response;
use myelin_two_factor::{Name, Status};
use myelin_uia::Stage;

use super::{
    onwards,
    state::{self, SignIn, Step},
    templates,
};
use crate::{
    error::Error,
    pages::{Problem, Visit, reply::see_other, trouble::Trouble},
    two_factor::{Confirmed, Owner, enrol, try_confirm},
};

/// Shows a new secret, once.
pub(super) async fn begin(visit: &mut Visit) -> Result<Response, Problem> {
    let sign_in = current(visit).await?;
    let (app, context) = (visit.app.clone(), visit.context.clone());
    let (first, factors, target) =
        (sign_in.first(), sign_in.factors.clone(), sign_in.target.clone());
    let proved = sign_in.spend(visit).await?;
    let epoch = proved.epoch;
    let owner = Owner { app: &app, context: &context, user: &factors.user };
    let name = Name::parse(None).map_err(|_| Problem::Malformed)?;
    let pending = enrol(&owner, name, proved).await?;
    let session = state::pass(visit, &factors, &target, first, None)?;
    let sign_in = SignIn { session, factors, target };
    sign_in.keep(visit, epoch, None).await?;
    Ok(templates::set_up(visit, &sign_in, Some(&pending), None))
}

/// Takes the first code of the new authenticator; shows the recovery codes.
pub(super) async fn confirm(visit: &mut Visit) -> Result<Response, Problem> {
    let sign_in = current(visit).await?;
    let first = sign_in.first();
    let SignIn { session: _, factors, target } = sign_in;
    let (app, context) = (visit.app.clone(), visit.context.clone());
    let owner = Owner { app: &app, context: &context, user: &factors.user };
    let Some(pending) = factors.authenticators.iter().find(|a| a.status == Status::Pending) else {
        return Ok(see_other(visit, &visit.link(super::PATH)));
    };
    let code = visit.form()?.text("code");
    let codes = match try_confirm(&owner, pending.id.as_str(), code).await {
        Ok(Confirmed::Active(codes)) => codes.unwrap_or_default(),
        Ok(Confirmed::Wrong) => {
            let sign_in = current(visit).await?;
            let trouble = Trouble::wrong_code(visit);
            return Ok(templates::set_up(visit, &sign_in, None, Some(trouble)));
        }
        // It has waited too long for its code.
        Err(Error::Refused(_)) => return Ok(see_other(visit, &visit.link(super::PATH))),
        Err(broken) => return Err(broken.into()),
    };
    let now = app.store().lookup_factors(&factors.user).await?;
    // The first stage, and the code that has just been accepted.
    let session = state::pass(visit, &now, &target, first, Some(Stage::Totp))?;
    let sign_in = SignIn { session, factors: now, target };
    sign_in.keep(visit, factors.epoch.next(), None).await?;
    Ok(templates::codes(visit, &sign_in, &codes, None))
}

/// Goes on once the recovery codes are said to be saved.
pub(super) async fn saved(visit: &mut Visit) -> Result<Response, Problem> {
    let sign_in = SignIn::current(visit).await?;
    if visit.form()?.find("saved").is_none() {
        let trouble = Trouble::not_ticked(visit);
        return Ok(templates::codes(visit, &sign_in, &[], Some(trouble)));
    }
    onwards(visit, sign_in).await
}

/// The sign-in of this browser, if a factor is to be set up in it.
async fn current(visit: &Visit) -> Result<SignIn, Problem> {
    let sign_in = SignIn::current(visit).await?;
    if sign_in.step(visit) == Step::SetUp { Ok(sign_in) } else { Err(Problem::Over) }
}
