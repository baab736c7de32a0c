//! The User-Interactive Authentication flow engine.
//!
//! It owns the question "which stage may come now, and is this enough?". It
//! refuses to know how a stage is proved, where sessions are kept, what an
//! operation does, and how requests arrive: no sockets, no database, no
//! runtime. Time and randomness come in as arguments.
//!
//! # An endpoint behind a password and a code
//!
//! What a homeserver does for `POST /delete_devices`, protected by
//! `[m.login.password, m.login.2fa.totp]`:
//!
//! ```
//! use myelin_ambient::{Clock, SystemClock, SystemEntropy};
//! use myelin_uia::{
//!     Authenticated, Binding, DEFAULT_LIFETIME, Flows, Progress, Session, Stage, with_error,
//! };
//! use ruma::user_id;
//! use serde_json::json;
//!
//! // The operation takes the proof: it cannot be called without one.
//! fn delete_devices(proof: Authenticated) -> String {
//!     format!("deleted the devices of {}", proof.user().expect("a user is known"))
//! }
//!
//! # fn main() -> Result<(), myelin_uia::Refusal> {
//! let alice = user_id!("@alice:example.org");
//! let flows = Flows::new([[Stage::Password, Stage::Totp]]);
//! let no_params = |_| serde_json::Map::new();
//! let now = SystemClock.now();
//!
//! // First request: no `auth`. Open a session, keep it, answer 401.
//! let body = json!({"devices": ["OLDPHONE"]});
//! let body = body.as_object().expect("an object");
//! let binding = Binding::new(Some(alice), "POST", "delete_devices", &[], body);
//! let session =
//!     Session::open(&SystemEntropy, Some(alice.to_owned()), binding, now, DEFAULT_LIFETIME);
//! let challenge = session.challenge(&flows, no_params);
//! assert_eq!(challenge.session.as_deref(), Some(session.id.as_str()));
//!
//! // A code before the password is refused, and nothing has changed.
//! let too_early = session.clone().admit(&binding, &flows, Stage::Totp, now);
//! assert!(too_early.is_err());
//!
//! // Second request: the password. Check it, commit the step, answer 401.
//! let admitted = session.admit(&binding, &flows, Stage::Password, now)?;
//! // … is it the password of `admitted.session().user`?
//! let Progress::More(session) = admitted.complete() else { unreachable!("a code is missing") };
//! let challenge = session.challenge(&flows, no_params);
//! assert_eq!(challenge.completed.len(), 1);
//!
//! // A wrong code: the same challenge with an error in it.
//! let _wrong = with_error(session.challenge(&flows, no_params), "That code is not right.");
//!
//! // Third request: the code. Check and spend it, commit, perform.
//! let admitted = session.admit(&binding, &flows, Stage::Totp, now)?;
//! let Progress::Done(proof) = admitted.complete() else { unreachable!("the flow is complete") };
//! assert_eq!(delete_devices(proof), "deleted the devices of @alice:example.org");
//! # Ok(())
//! # }
//! ```

mod binding;
mod challenge;
mod flow;
mod session;
mod stage;

pub use binding::{Binding, Bound};
pub use challenge::with_error;
pub use flow::{Flow, Flows};
pub use session::{
    Admitted, Authenticated, DEFAULT_LIFETIME, Executable, Kept, Progress, Refusal, Session,
    SessionId,
};
pub use stage::Stage;
