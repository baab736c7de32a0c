//! The port of app passwords.

use std::fmt::Debug;

use async_trait::async_trait;
use myelin_ambient::Timestamp;
use myelin_two_factor::{AppPasswordId, Name};
use ruma::UserId;

use crate::{Epoch, Error, Event, Outcome, TokenDigest};

/// App passwords that a user may have.
pub const APP_PASSWORDS: u32 = 20;

/// An app password as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedAppPassword {
    /// Its id.
    pub id: AppPasswordId,
    /// The name its owner gave it.
    pub name: Name,
    /// When it was made.
    pub created: Timestamp,
    /// When a program last logged in with it.
    pub last_used: Option<Timestamp>,
}

/// An app password to be kept.
#[derive(Clone, Debug)]
pub struct NewAppPassword {
    /// Its id.
    pub id: AppPasswordId,
    /// Its name.
    pub name: Name,
    /// SHA-256 of its text: what is kept of it.
    pub digest: TokenDigest,
}

/// App passwords. Each verb is one transaction.
///
/// All of a user's go with a new password, with a reset of the factors, and
/// with the first factor: whoever knew only the password before may have made
/// them.
///
/// # Errors
///
/// As [`crate::Store`].
#[async_trait]
pub trait AppPasswords: Debug + Send + Sync {
    /// Keeps a new app password, made at the event's time; `false` if the user
    /// has [`APP_PASSWORDS`].
    ///
    /// `epoch` is that of the factors on which it was decided;
    /// [`Outcome::Stale`] where it has passed.
    async fn create_app_password(
        &self,
        user: &UserId,
        password: &NewAppPassword,
        epoch: Epoch,
        event: Event,
    ) -> Result<Outcome<bool>, Error>;

    /// The user's app passwords, oldest first.
    async fn app_passwords(&self, user: &UserId) -> Result<Vec<ListedAppPassword>, Error>;

    /// Notes a use, at the event's time, of the app password of this user with
    /// this digest. None if the user has no such app password, and then nothing
    /// is written. Its id becomes the event's detail.
    ///
    /// The answer is the epoch of the user's factors: whatever ends the app
    /// password raises it, so a login on that epoch is one before the end.
    async fn redeem_app_password(
        &self,
        user: &UserId,
        digest: &TokenDigest,
        event: Event,
    ) -> Result<Option<Epoch>, Error>;

    /// Ends an app password of this user; `false` if the user has none with this
    /// id. Decisions that are being made about the user become stale.
    async fn revoke_app_password(
        &self,
        user: &UserId,
        id: &AppPasswordId,
        event: Event,
    ) -> Result<bool, Error>;
}
