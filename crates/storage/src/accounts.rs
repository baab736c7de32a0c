//! The accounts of the embedded homeserver, in the same database.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use myelin_ambient::Timestamp;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::{Epoch, Error, Event, Outcome};

/// SHA-256 of a token: what is kept of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest(pub [u8; 32]);

impl Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("TokenDigest(…)")
    }
}

/// An account.
#[derive(Clone)]
pub struct Account {
    /// Whose.
    pub user: OwnedUserId,
    /// The password's hash in PHC format; none once deactivated.
    pub password_hash: Option<String>,
    /// When it was registered.
    pub created: Timestamp,
    /// Whether it is closed for good.
    pub deactivated: bool,
}

impl Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, password_hash: _, created, deactivated } = self;
        f.debug_struct("Account")
            .field("user", user)
            .field("created", created)
            .field("deactivated", deactivated)
            .finish_non_exhaustive()
    }
}

/// An account to be registered.
#[derive(Clone)]
pub struct NewAccount {
    /// Whose.
    pub user: OwnedUserId,
    /// The password's hash in PHC format.
    pub password_hash: String,
    /// The first device, unless login is inhibited.
    pub login: Option<DeviceLogin>,
}

impl Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, password_hash: _, login } = self;
        f.debug_struct("NewAccount")
            .field("user", user)
            .field("login", login)
            .finish_non_exhaustive()
    }
}

/// Whether an account was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is committed.
    Created,
    /// There is one of that name, or was.
    Taken,
}

/// A login on a device. A device of that ID is made if there is none; if there
/// is, its older tokens end.
#[derive(Clone, Debug)]
pub struct DeviceLogin {
    /// The device.
    pub device_id: OwnedDeviceId,
    /// Its name, used only for a new device.
    pub display_name: Option<String>,
    /// The tokens it gets.
    pub tokens: NewTokens,
}

/// Tokens to be issued.
#[derive(Clone, Debug)]
pub struct NewTokens {
    /// The access token.
    pub access: TokenDigest,
    /// When the access token ends; never without a refresh token.
    pub access_expires: Option<Timestamp>,
    /// The refresh token.
    pub refresh: Option<TokenDigest>,
}

/// Whom an access token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOwner {
    /// The user.
    pub user: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// From when on it is refused and must be refreshed.
    pub expires: Option<Timestamp>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its ID.
    pub device_id: OwnedDeviceId,
    /// Its name.
    pub display_name: Option<String>,
    /// When a token was last issued to it.
    pub last_seen: Option<Timestamp>,
    /// From which address.
    pub last_seen_ip: Option<String>,
}

/// What happens to a user's devices when the password changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutDevices {
    /// They stay.
    Keep,
    /// All go but the one that asks.
    AllBut(OwnedDeviceId),
}

/// Whether tokens were renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// They are committed. The old access token has ended; the refresh token
    /// that was used ends with the first use of one of the new ones.
    Refreshed,
    /// The refresh token is unknown, or what was issued for it has been used.
    Unknown,
}

/// Accounts, devices and tokens. Each verb is one transaction.
///
/// # Errors
///
/// Every verb fails with [`Error::Unavailable`] when the database does; then
/// nothing was acknowledged, and where the connection broke during the commit,
/// it may have been written all the same.
#[async_trait]
pub trait Accounts: Debug + Send + Sync {
    /// Registers, with the first login if there is one. The user's factors have
    /// an epoch from here on, so that a new password makes old decisions stale.
    async fn create(
        &self,
        account: &NewAccount,
        now: Timestamp,
        event: Event,
    ) -> Result<Created, Error>;

    /// The account of this user.
    async fn lookup(&self, user: &UserId) -> Result<Option<Account>, Error>;

    /// Sets the password's hash, logs devices out, ends the user's sessions,
    /// login tokens, set-ups and app passwords, and begins an epoch. `as_of` is the
    /// epoch of the proof; [`Outcome::Stale`] where it has passed.
    async fn set_password(
        &self,
        user: &UserId,
        hash: &str,
        devices: LogoutDevices,
        as_of: Option<Epoch>,
        event: Event,
    ) -> Result<Outcome<()>, Error>;

    /// Closes the account for good: no password, devices, tokens, keys,
    /// factors or sessions are left. `as_of` as in [`Self::set_password`].
    async fn deactivate(
        &self,
        user: &UserId,
        as_of: Option<Epoch>,
        event: Event,
    ) -> Result<Outcome<()>, Error>;

    /// Logs in on a device; `false` if the account is gone or closed. A user
    /// has at most a thousand devices; the one seen longest ago makes room.
    ///
    /// `epoch` is that of the factors that were read before the password was
    /// checked; [`Outcome::Stale`] where it has passed.
    async fn log_in(
        &self,
        user: &UserId,
        login: &DeviceLogin,
        epoch: Option<Epoch>,
        now: Timestamp,
        event: Event,
    ) -> Result<Outcome<bool>, Error>;

    /// Whom an access token names, expired or not. This is a use of it: where
    /// the refresh token that it was issued for still works, that one ends.
    async fn lookup_token(&self, token: &TokenDigest) -> Result<Option<TokenOwner>, Error>;

    /// Issues new tokens for a refresh token (client-server API, "Refreshing
    /// access tokens"). It works again, in case the answer was lost, until one
    /// of the new tokens is used; each time, what was issued for it before ends.
    async fn refresh(
        &self,
        refresh: &TokenDigest,
        tokens: &NewTokens,
        now: Timestamp,
    ) -> Result<Refreshed, Error>;

    /// The user's devices, in order of ID.
    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, Error>;

    /// One device of the user.
    async fn device(&self, user: &UserId, device: &DeviceId) -> Result<Option<Device>, Error>;

    /// Names a device of the user; `false` if there is none with this ID.
    async fn rename_device(
        &self,
        user: &UserId,
        device: &DeviceId,
        name: Option<&str>,
        event: Event,
    ) -> Result<bool, Error>;

    /// Deletes devices of the user, with their tokens; unknown ones are passed
    /// over. An empty list deletes nothing and costs no transaction.
    async fn delete_devices(
        &self,
        user: &UserId,
        devices: &[OwnedDeviceId],
        event: Event,
    ) -> Result<(), Error>;

    /// Deletes all devices of the user, with their tokens.
    async fn delete_all_devices(&self, user: &UserId, event: Event) -> Result<(), Error>;

    /// The user's cross-signing keys: the JSON object that was uploaded.
    async fn cross_signing(&self, user: &UserId) -> Result<Option<String>, Error>;

    /// Keeps the user's cross-signing keys. With `first_only`, keeps nothing
    /// and returns `false` if there are keys already.
    async fn set_cross_signing(
        &self,
        user: &UserId,
        keys: &str,
        first_only: bool,
        event: Event,
    ) -> Result<bool, Error>;
}
