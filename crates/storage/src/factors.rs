//! A user's second factors as they are kept, and the changes to them.

use std::fmt;

use myelin_ambient::Timestamp;
use myelin_two_factor::{
    AuthenticatorId, Name, RecoveryHash, RecoverySalt, Status, Step, Throttle,
};
use ruma::OwnedUserId;

/// Grows with every change to a user's factors, counters or password. A decision
/// on a code holds only for the version that it was made on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version(pub i64);

/// Grows with every change that voids what the user has proven: a new password,
/// a factor that comes or goes, the end of all sessions. What is given out on a
/// proof (a login, a token, an app password) is given only in the epoch of the
/// proof. A code that is spent or counted begins no epoch: of two logins at once,
/// neither voids the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch(pub i64);

impl Epoch {
    /// The epoch after one such change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Everything about one user's second factors. A user without any has the
/// [`Version`] and the [`Epoch`] zero, and empty lists.
#[derive(Clone, Debug)]
pub struct Factors {
    /// Whose.
    pub user: OwnedUserId,
    /// The version of all that follows.
    pub version: Version,
    /// The epoch. Whatever raises it raises the version, too.
    pub epoch: Epoch,
    /// Failures of codes, over all authenticators, sessions and endpoints.
    pub totp: Throttle,
    /// Failures of recovery codes; a counter of its own.
    pub recovery: Throttle,
    /// Pending, active and disabled ones, oldest first.
    pub authenticators: Vec<Enrolled>,
    /// The recovery codes, where there are any.
    pub codes: Option<RecoveryCodes>,
}

impl Factors {
    /// Whether a second factor protects this user. A disabled authenticator
    /// still does: it never opens the account, it closes it.
    pub fn protect(&self) -> bool {
        self.authenticators.iter().any(|a| a.status != Status::Pending)
    }

    /// The active authenticators, against which codes are checked.
    pub fn active(&self) -> impl Iterator<Item = &Enrolled> {
        self.authenticators.iter().filter(|a| a.status == Status::Active)
    }

    /// The authenticator with this id.
    pub fn authenticator(&self, id: &AuthenticatorId) -> Option<&Enrolled> {
        self.authenticators.iter().find(|a| a.id == *id)
    }

    /// Whether unused recovery codes are left.
    pub fn recoverable(&self) -> bool {
        self.protect() && self.codes.as_ref().is_some_and(|codes| !codes.unused.is_empty())
    }
}

/// One authenticator; its secret stays sealed until [`crate::Store::unseal`].
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// Its id.
    pub id: AuthenticatorId,
    /// The name its owner gave it.
    pub name: Name,
    /// Where it stands.
    pub status: Status,
    /// When set-up began.
    pub created: Timestamp,
    /// When a code of it was last accepted.
    pub last_used: Option<Timestamp>,
    /// The step of that code: only a later one is accepted.
    pub last_step: Option<Step>,
    /// Wrong codes at confirmation.
    pub confirm_failures: u8,
    /// The secret, encrypted.
    pub secret: SealedSecret,
}

/// An encrypted value and the key that opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Which key of the keyring.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key_id, bytes: _ } = self;
        f.debug_struct("SealedSecret").field("key_id", key_id).finish_non_exhaustive()
    }
}

/// A user's set of recovery codes.
#[derive(Clone, Debug)]
pub struct RecoveryCodes {
    /// Shared by the hashes of the set, so that one attempt costs one hash.
    pub salt: RecoverySalt,
    /// When the set was generated.
    pub generated: Timestamp,
    /// How many codes the set had.
    pub total: u32,
    /// The codes that are left: their number in the set, and their hash,
    /// encrypted.
    pub unused: Vec<(u32, SealedSecret)>,
    /// The codes that are spent: whoever gives one again is not guessing.
    pub used: Vec<(u32, SealedSecret)>,
}

/// What passing a stage uses up.
#[derive(Clone, Debug)]
pub enum Spend {
    /// Nothing: a password, a dummy stage.
    Nothing,
    /// A code: its step becomes the last one accepted.
    Totp {
        /// The authenticator whose code it is.
        authenticator: AuthenticatorId,
        /// The step of the code.
        step: Step,
        /// The counters after the success.
        throttle: Throttle,
    },
    /// A recovery code.
    Recovery {
        /// Its number in the set.
        index: u32,
        /// The counters after the success.
        throttle: Throttle,
    },
}

/// A change to a user's factors. Where it is a change to what protects the
/// user, it ends the user's sessions and login tokens.
#[derive(Debug)]
pub enum Change {
    /// A wrong code.
    CountTotpFailure {
        /// The counters after it.
        throttle: Throttle,
        /// Whether the active authenticators are disabled by it.
        disable: bool,
    },
    /// A wrong recovery code.
    CountRecoveryFailure {
        /// The counters after it.
        throttle: Throttle,
    },
    /// Set-up begins; replaces the user's pending authenticator. It protects
    /// nothing yet and ends no session.
    Begin {
        /// The new authenticator's id.
        id: AuthenticatorId,
        /// Its name.
        name: Name,
        /// Its secret.
        secret: myelin_two_factor::TotpSecret,
    },
    /// A wrong code at confirmation. Ends no session.
    CountConfirmFailure {
        /// The pending authenticator.
        id: AuthenticatorId,
        /// Wrong codes so far.
        failures: u8,
    },
    /// A pending authenticator goes: too many wrong codes, or its owner drops
    /// it. Ends no session.
    Drop {
        /// The pending authenticator.
        id: AuthenticatorId,
    },
    /// A pending authenticator becomes active; its code is spent.
    Confirm {
        /// The pending authenticator.
        id: AuthenticatorId,
        /// The step of the code.
        step: Step,
        /// The counters after it.
        throttle: Throttle,
        /// The recovery codes that come with the first factor.
        codes: Option<NewRecoveryCodes>,
    },
    /// An authenticator goes. With the last one the recovery codes go too.
    Remove {
        /// The authenticator.
        id: AuthenticatorId,
    },
    /// New recovery codes replace the old.
    Regenerate {
        /// The new set.
        codes: NewRecoveryCodes,
    },
}

/// A new set of recovery codes, hashed.
#[derive(Clone, Debug)]
pub struct NewRecoveryCodes {
    /// Shared by the hashes.
    pub salt: RecoverySalt,
    /// The hash of each code, in the order of the set.
    pub hashes: Vec<RecoveryHash>,
}
