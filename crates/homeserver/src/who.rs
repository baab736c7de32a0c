//! Who asks, with what, and on which device.

use std::{
    fmt::{self, Debug},
    net::IpAddr,
};

use myelin_storage::{Actor, Origin};
use ruma::{OwnedDeviceId, OwnedUserId, api::error::ErrorKind};
use zeroize::Zeroizing;

use crate::Refusal;

/// Who asks, as far as the connection tells.
#[derive(Clone, Debug)]
pub struct Context {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The request's id, as in the logs.
    pub request_id: String,
}

impl Context {
    /// The origin that the audit log shows for what the user does.
    pub fn origin(&self) -> Origin {
        Origin {
            actor: Actor::User,
            address: self.address,
            request_id: Some(self.request_id.clone()),
        }
    }
}

/// An access token, as the client sent it.
#[derive(Clone)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
    }

    /// The token.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("AccessToken(…)")
    }
}

/// A password, as the client sent it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    /// The password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Password(…)")
    }
}

/// Whom an access token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: OwnedUserId,
    /// The device, where the token belongs to one.
    pub device_id: Option<OwnedDeviceId>,
}

/// The device that a login asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its ID; a new one if there is none.
    pub device_id: Option<OwnedDeviceId>,
    /// The name of a new device.
    pub initial_display_name: Option<String>,
    /// Whether the client can refresh tokens.
    pub refresh_token: bool,
}

impl Device {
    /// The longest device ID, in bytes.
    pub const ID_LIMIT: usize = 255;
    /// The longest display name, in characters.
    pub const NAME_LIMIT: usize = 256;

    /// Refuses what cannot be logged in on. To be asked before any proof is
    /// spent on it.
    ///
    /// # Errors
    ///
    /// `400 M_INVALID_PARAM` for an ID or a name that is too long or has
    /// control characters, or an ID that is empty.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.device_id.as_deref().is_some_and(|id| !Self::is_id(id.as_str())) {
            return Err(invalid("The device ID has to be 1 to 255 characters long."));
        }
        if self.initial_display_name.as_deref().is_some_and(|name| !Self::is_name(name)) {
            return Err(invalid("The device's name can be up to 256 characters long."));
        }
        Ok(())
    }

    /// Whether a device can have this ID.
    pub fn is_id(id: &str) -> bool {
        !id.is_empty() && id.len() <= Self::ID_LIMIT && !id.contains(char::is_control)
    }

    /// Whether a device can have this name.
    pub fn is_name(name: &str) -> bool {
        name.chars().count() <= Self::NAME_LIMIT && !name.contains(char::is_control)
    }
}

fn invalid(text: &str) -> Refusal {
    Refusal::bad_request(&ErrorKind::InvalidParam, text)
}
