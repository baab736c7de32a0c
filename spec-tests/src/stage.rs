//! The names of the stages, spelled once.

pub(crate) const DUMMY: &str = "m.login.dummy";
pub(crate) const PASSWORD: &str = "m.login.password";
pub(crate) const RECOVERY: &str = "m.login.2fa.recovery";
pub(crate) const REGISTRATION_TOKEN: &str = "m.login.registration_token";
pub(crate) const SSO: &str = "m.login.sso";
pub(crate) const TOTP: &str = "m.login.2fa.totp";

/// Whether `stage` asks for a second factor.
pub(crate) fn is_factor(stage: &str) -> bool {
    stage == TOTP || stage == RECOVERY
}
