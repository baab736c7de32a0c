//! Setting up an authenticator: its picture, once, and its first code.

use askama::Template;
use axum::response::Response;
use myelin_storage::Enrolled;
use myelin_two_factor::{Authenticator, Status};
use zeroize::Zeroizing;

use super::{CHANGE, PATH, SignedIn, kept, status};
use crate::{
    error::Error,
    pages::{
        Problem, Visit, qr,
        reply::{self, Frame, see_other},
        sign_in::grouped,
        trouble::Trouble,
    },
    two_factor::{self, Confirmed, Owner, try_confirm},
};

#[derive(Template)]
#[template(path = "account_set_up.html")]
struct SetUp<'a> {
    frame: Frame,
    action: String,
    back: String,
    again: String,
    trouble: Option<Trouble>,
    user: &'a str,
    /// The QR code and the secret in groups: only right after it was made.
    secret: Option<(Zeroizing<String>, Zeroizing<String>)>,
}

pub(super) fn page(
    visit: &Visit,
    signed_in: &SignedIn,
    new: Option<&Authenticator>,
    trouble: Option<Trouble>,
) -> Response {
    let user = &signed_in.factors.user;
    let secret = new.map(|new| {
        let picture = qr::svg(&two_factor::uri(&visit.app, user, new)).unwrap_or_default();
        (picture, grouped(&new.secret.to_base32()))
    });
    let template = SetUp {
        frame: Frame::new(visit),
        action: visit.link(CHANGE),
        back: visit.link(PATH),
        again: visit.link(&format!("{CHANGE}?do=add")),
        user: user.as_str(),
        secret,
        trouble,
    };
    reply::page(visit, status(template.trouble.as_ref()), &template)
}

/// Takes the first code of the pending authenticator: the proof was given when
/// it was begun.
pub(super) async fn confirm(visit: &mut Visit, signed_in: SignedIn) -> Result<Response, Problem> {
    let factors = &signed_in.factors;
    let (app, context) = (visit.app.clone(), visit.context.clone());
    let owner = Owner { app: &app, context: &context, user: &factors.user };
    let is_pending = |one: &&Enrolled| one.status == Status::Pending;
    let Some(pending) = factors.authenticators.iter().find(is_pending) else {
        return Ok(see_other(visit, &visit.link(PATH)));
    };
    let code = Zeroizing::new(visit.form()?.text("code").to_owned());
    match try_confirm(&owner, pending.id.as_str(), &code).await {
        Ok(Confirmed::Active(codes)) => {
            signed_in.go_on(visit, factors.epoch.next()).await?;
            match codes {
                Some(codes) => Ok(kept::codes(visit, &signed_in, &codes, None)),
                None => Ok(see_other(visit, &visit.link(PATH))),
            }
        }
        Ok(Confirmed::Wrong) => {
            let trouble = Trouble::wrong_code(visit);
            Ok(page(visit, &signed_in, None, Some(trouble)))
        }
        // It has waited too long for its code.
        Err(Error::Refused(_)) => Ok(see_other(visit, &visit.link(&format!("{CHANGE}?do=add")))),
        Err(broken) => Err(broken.into()),
    }
}
