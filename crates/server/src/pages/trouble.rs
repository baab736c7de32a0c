//! What is said above a form whose last try has failed.

use http::StatusCode;
use myelin_ambient::Timestamp;
use myelin_homeserver::Refusal;
use ruma::UserId;

use super::{
    Problem, Visit,
    texts::fill,
    when::{utc, wait},
};
use crate::{error::Error, texts};

/// A heading, and what to do next.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) text: String,
}

impl Trouble {
    /// A wrong password or user name, alike.
    pub(crate) fn wrong_password(visit: &Visit) -> Self {
        let t = visit.texts;
        let (title, text) = (t.wrong_password_title, t.wrong_password_text.to_owned());
        Self { status: StatusCode::FORBIDDEN, title, text }
    }

    /// A wrong code. A clock that is off is the likely cause, ours perhaps.
    pub(crate) fn wrong_code(visit: &Visit) -> Self {
        let t = visit.texts;
        let time = utc(visit.app.now());
        let text = fill(t.wrong_code_text, &[("time", &time)]);
        Self { status: StatusCode::FORBIDDEN, title: t.wrong_code_title, text }
    }

    /// A wrong recovery code.
    pub(crate) fn wrong_recovery(visit: &Visit) -> Self {
        let t = visit.texts;
        let text = t.wrong_recovery_text.to_owned();
        Self { status: StatusCode::FORBIDDEN, title: t.wrong_code_title, text }
    }

    /// Somebody else has signed in than who is asked for.
    pub(crate) fn other_user(visit: &Visit, user: &UserId) -> Self {
        let t = visit.texts;
        let text = fill(t.other_user_text, &[("user", user.as_str())]);
        Self { status: StatusCode::FORBIDDEN, title: t.other_user_title, text }
    }

    /// Too many codes.
    pub(crate) fn wait(visit: &Visit, until: Timestamp) -> Self {
        let t = visit.texts;
        let time = wait(t, until.saturating_since(visit.app.now()));
        let text = fill(t.wait_text, &[("time", &time)]);
        Self { status: StatusCode::TOO_MANY_REQUESTS, title: t.wait_title, text }
    }

    /// A box that has to be ticked.
    pub(crate) fn not_ticked(visit: &Visit) -> Self {
        let t = visit.texts;
        let (title, text) = (t.not_saved_title, t.not_saved_text.to_owned());
        Self { status: StatusCode::BAD_REQUEST, title, text }
    }

    /// A name that nothing can have.
    pub(crate) fn bad_name(visit: &Visit) -> Self {
        let t = visit.texts;
        let (title, text) = (t.bad_name_title, t.bad_name_text.to_owned());
        Self { status: StatusCode::BAD_REQUEST, title, text }
    }

    /// Why a password was not accepted, where trying again may help.
    pub(crate) fn with_password(visit: &Visit, error: Error) -> Result<Self, Problem> {
        let Error::Refused(refusal) = error else { return Err(error.into()) };
        match refusal {
            Refusal { message, .. } if message == texts::WRONG_PASSWORD => {
                Ok(Self::wrong_password(visit))
            }
            Refusal { retry_after: Some(time), .. } => {
                Ok(Self::wait(visit, visit.app.now() + time))
            }
            other => Err(other.into()),
        }
    }
}
