//! The audit log: who did what, when, from where, and no secret.

use std::net::IpAddr;

use myelin_ambient::Timestamp;
use ruma::OwnedUserId;

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The user whose account it is, or someone who acts as that user.
    User,
    /// An administrator at the command line; the name of the system's user.
    Admin(String),
}

/// Where an action came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who acted.
    pub actor: Actor,
    /// The client's address, where there is one.
    pub address: Option<IpAddr>,
    /// The request's id, as in the logs.
    pub request_id: Option<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An account was registered.
    Registered,
    /// A login was completed and a device got a token.
    LoggedIn,
    /// The right password was given for a user who has a second factor.
    PasswordPassed,
    /// The homeserver's single sign-on named the user, who needs more than that.
    SignOnPassed,
    /// A code was accepted.
    TotpPassed,
    /// A wrong code was counted.
    TotpFailed,
    /// Too many wrong codes: a wait began.
    TotpWaiting,
    /// Far too many wrong codes: the authenticators were disabled.
    TotpDisabled,
    /// A recovery code was redeemed.
    RecoveryPassed,
    /// A wrong recovery code was counted.
    RecoveryFailed,
    /// Too many wrong recovery codes: a wait began.
    RecoveryWaiting,
    /// Set-up of an authenticator began.
    EnrolmentBegun,
    /// A pending authenticator was destroyed by wrong codes, or dropped.
    EnrolmentDropped,
    /// An authenticator was confirmed.
    AuthenticatorAdded,
    /// An authenticator was renamed.
    AuthenticatorRenamed,
    /// An authenticator was removed.
    AuthenticatorRemoved,
    /// New recovery codes replaced the old.
    RecoveryRegenerated,
    /// Every factor of the user was removed by an administrator.
    TwoFactorReset,
    /// The password was changed.
    PasswordChanged,
    /// The account was deactivated.
    Deactivated,
    /// Devices were deleted.
    DevicesDeleted,
    /// A device was renamed.
    DeviceRenamed,
    /// Cross-signing keys were uploaded.
    CrossSigningUploaded,
    /// A login token was issued.
    LoginTokenIssued,
    /// Someone signed in to the account page.
    SignedIn,
    /// An app password was made.
    AppPasswordCreated,
    /// A program logged in with an app password.
    AppPasswordUsed,
    /// An app password was revoked, or all of them.
    AppPasswordRevoked,
    /// New cross-signing keys were allowed on the account page.
    SigningKeysAllowed,
    /// All sessions, tokens and app passwords were ended: the homeserver may have
    /// changed the password, and has not said so.
    SessionsEnded,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 30] = [
        Self::Registered,
        Self::LoggedIn,
        Self::PasswordPassed,
        Self::SignOnPassed,
        Self::TotpPassed,
        Self::TotpFailed,
        Self::TotpWaiting,
        Self::TotpDisabled,
        Self::RecoveryPassed,
        Self::RecoveryFailed,
        Self::RecoveryWaiting,
        Self::EnrolmentBegun,
        Self::EnrolmentDropped,
        Self::AuthenticatorAdded,
        Self::AuthenticatorRenamed,
        Self::AuthenticatorRemoved,
        Self::RecoveryRegenerated,
        Self::TwoFactorReset,
        Self::PasswordChanged,
        Self::Deactivated,
        Self::DevicesDeleted,
        Self::DeviceRenamed,
        Self::CrossSigningUploaded,
        Self::LoginTokenIssued,
        Self::SignedIn,
        Self::AppPasswordCreated,
        Self::AppPasswordUsed,
        Self::AppPasswordRevoked,
        Self::SigningKeysAllowed,
        Self::SessionsEnded,
    ];

    /// The action's name in the database and in the logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoggedIn => "logged_in",
            Self::PasswordPassed => "password_passed",
            Self::SignOnPassed => "sign_on_passed",
            Self::TotpPassed => "totp_passed",
            Self::TotpFailed => "totp_failed",
            Self::TotpWaiting => "totp_waiting",
            Self::TotpDisabled => "totp_disabled",
            Self::RecoveryPassed => "recovery_passed",
            Self::RecoveryFailed => "recovery_failed",
            Self::RecoveryWaiting => "recovery_waiting",
            Self::EnrolmentBegun => "enrolment_begun",
            Self::EnrolmentDropped => "enrolment_dropped",
            Self::AuthenticatorAdded => "authenticator_added",
            Self::AuthenticatorRenamed => "authenticator_renamed",
            Self::AuthenticatorRemoved => "authenticator_removed",
            Self::RecoveryRegenerated => "recovery_regenerated",
            Self::TwoFactorReset => "two_factor_reset",
            Self::PasswordChanged => "password_changed",
            Self::Deactivated => "deactivated",
            Self::DevicesDeleted => "devices_deleted",
            Self::DeviceRenamed => "device_renamed",
            Self::CrossSigningUploaded => "cross_signing_uploaded",
            Self::LoginTokenIssued => "login_token_issued",
            Self::SignedIn => "signed_in",
            Self::AppPasswordCreated => "app_password_created",
            Self::AppPasswordUsed => "app_password_used",
            Self::AppPasswordRevoked => "app_password_revoked",
            Self::SigningKeysAllowed => "signing_keys_allowed",
            Self::SessionsEnded => "sessions_ended",
        }
    }

    /// The action with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

/// One entry to be written, in the transaction of the change that it reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Whose account.
    pub user: OwnedUserId,
    /// What.
    pub action: Action,
    /// Who, and from where.
    pub origin: Origin,
    /// What else helps to understand it: an authenticator's id, an endpoint, a
    /// device id. Never a secret.
    pub detail: Option<String>,
}

/// One entry as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the log; grows.
    pub id: i64,
    /// The entry.
    pub event: Event,
}
