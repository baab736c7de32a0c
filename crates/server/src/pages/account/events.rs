//! The audit log in plain words.

use myelin_storage::{Action, Actor, RecordedEvent};

use crate::pages::{
    texts::{Texts, fill},
    when::utc,
};

/// An entry as it is shown.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) when: String,
    pub(super) what: String,
    pub(super) from: String,
    /// Whether the owner should look twice.
    pub(super) alarming: bool,
}

impl Told {
    pub(super) fn new(t: &'static Texts, RecordedEvent { event, .. }: &RecordedEvent) -> Self {
        let from = match (&event.origin.actor, event.origin.address) {
            (Actor::Admin(_), _) => t.by_admin.to_owned(),
            (Actor::User, Some(address)) => {
                fill(t.from_address, &[("address", &address.to_canonical().to_string())])
            }
            (Actor::User, None) => String::new(),
        };
        Self {
            when: utc(event.at),
            what: words(t, event.action).to_owned(),
            from,
            alarming: is_alarming(event.action),
        }
    }
}

const fn is_alarming(action: Action) -> bool {
    matches!(
        action,
        Action::TotpFailed
            | Action::TotpWaiting
            | Action::TotpDisabled
            | Action::RecoveryFailed
            | Action::RecoveryWaiting
            | Action::TwoFactorReset
            | Action::SessionsEnded
    )
}

const fn words(t: &'static Texts, action: Action) -> &'static str {
    match action {
        Action::Registered => t.event_registered,
        Action::LoggedIn => t.event_logged_in,
        Action::PasswordPassed => t.event_password_passed,
        Action::SignOnPassed => t.event_sign_on_passed,
        Action::TotpPassed => t.event_totp_passed,
        Action::TotpFailed => t.event_totp_failed,
        Action::TotpWaiting => t.event_totp_waiting,
        Action::TotpDisabled => t.event_totp_disabled,
        Action::RecoveryPassed => t.event_recovery_passed,
        Action::RecoveryFailed => t.event_recovery_failed,
        Action::RecoveryWaiting => t.event_recovery_waiting,
        Action::EnrolmentBegun => t.event_enrolment_begun,
        Action::EnrolmentDropped => t.event_enrolment_dropped,
        Action::AuthenticatorAdded => t.event_authenticator_added,
        Action::AuthenticatorRenamed => t.event_authenticator_renamed,
        Action::AuthenticatorRemoved => t.event_authenticator_removed,
        Action::RecoveryRegenerated => t.event_recovery_regenerated,
        Action::TwoFactorReset => t.event_two_factor_reset,
        Action::PasswordChanged => t.event_password_changed,
        Action::Deactivated => t.event_deactivated,
        Action::DevicesDeleted => t.event_devices_deleted,
        Action::DeviceRenamed => t.event_device_renamed,
        Action::CrossSigningUploaded => t.event_cross_signing_uploaded,
        Action::LoginTokenIssued => t.event_login_token_issued,
        Action::SignedIn => t.event_signed_in,
        Action::AppPasswordCreated => t.event_app_password_created,
        Action::AppPasswordUsed => t.event_app_password_used,
        Action::AppPasswordRevoked => t.event_app_password_revoked,
        Action::SigningKeysAllowed => t.event_signing_keys_allowed,
        Action::SessionsEnded => t.event_sessions_ended,
    }
}
