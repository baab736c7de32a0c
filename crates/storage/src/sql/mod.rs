//! The verbs in SQL that both databases understand.
//!
//! The files of this folder are compiled once for each database: connections,
//! statements, rows and locks come from the module that includes them, so that
//! no query is written twice. What one database does
//! better in its own way is in its own folder, under the same name.
//!
//! Locks are always taken in this order, so that no two verbs wait for each
//! other: the account, the user's anchor row in `factors`, the owner's lock of
//! a quota, the session, the rest. Of stages that are passed together, one takes
//! all that it needs and then the next, in the order of the users' names and the
//! sessions' digests.

mod account_store;
pub(super) mod accounts;
pub(super) mod anchor;
mod app_password_store;
mod app_passwords;
pub(super) mod audit;
mod change;
mod check;
pub(super) mod devices;
mod engine;
mod enrolment;
pub(super) mod lookup;
mod reseal;
pub(super) mod sessions;
mod store;
mod sweep;
mod tokens;
mod web;
mod web_store;

pub(super) use engine::Engine;
