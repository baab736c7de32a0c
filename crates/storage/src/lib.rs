//! Where Myelin's state is kept: one [`Store`] of atomic verbs on SQLite and
//! PostgreSQL, and the [`Accounts`] of the embedded homeserver beside it in
//! the same database.
//!
//! Each verb is one transaction and returns an outcome. It owns what must
//! happen together and what may happen once; it refuses to know what a right
//! code is, which stage comes next, and what a request looks like.
//!
//! Whoever decides reads [`Factors`], decides, and hands the decision back
//! with the [`Version`] it was made on, or with the [`Epoch`] where it was about
//! no code. If that has passed, nothing is written and the answer is
//! [`Outcome::Stale`]: read again, decide again. So an attempt is counted before its result is known to
//! anyone, and of many uses of one code one wins, on any number of machines.

#![expect(
    clippy::duplicate_mod,
    reason = "the files in `sql` are compiled once for each database, against its own types"
)]

mod accounts;
mod app_passwords;
mod bucket;
mod error;
mod event;
mod factors;
mod keyring;
mod migrations;
mod open;
mod passage;
mod postgres;
mod sealed;
mod settled;
mod sqlite;
mod store;
mod values;
mod web;
mod work;

pub use accounts::{
    Account, Accounts, Created, Device, DeviceLogin, LogoutDevices, NewAccount, NewTokens,
    Refreshed, TokenDigest, TokenOwner,
};
pub use app_passwords::{APP_PASSWORDS, AppPasswords, ListedAppPassword, NewAppPassword};
pub use error::Error;
pub use event::{Action, Actor, Event, Origin, RecordedEvent};
pub use factors::{
    Change, Enrolled, Epoch, Factors, NewRecoveryCodes, RecoveryCodes, SealedSecret, Spend, Version,
};
pub use keyring::{FileKeySource, FixedKeySource, Key, KeySource, Keyring, KeyringError};
pub use open::{Database, OpenOptions, Quota, Schema, open};
pub use store::{LOGIN_TOKENS, Outcome, Store};
pub use web::{GRANTS, WEB_SESSIONS, WebSession, WebStore};
