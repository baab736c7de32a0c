//! What people read. Each says what to do next.

/// One text for wrong, replayed, malformed and out of order: it tells nobody
/// which of them it was.
pub(crate) const WRONG_CODE: &str = "That is not right, or it has been used, or it cannot come \
     now. Follow the offered steps in their order, and enter the next code that your app shows.";
pub(crate) const WRONG_PASSWORD: &str = "The user name or the password is not right.";
pub(crate) const NEEDS_CODE: &str = "The password is right. This account also needs a code: \
     enter the one that your authenticator app shows, or a recovery code. \
     If your app does not ask for it, sign in with the browser (single sign-on) instead.";
pub(crate) const UNKNOWN_SESSION: &str =
    "This authentication session is not known here, or it has expired. Start again.";
pub(crate) const OUT_OF_ORDER: &str = WRONG_CODE;
pub(crate) const OTHER_REQUEST: &str =
    "This authentication session belongs to another request. Start again.";
pub(crate) const CHANGED: &str = "The account was changed meanwhile. Start again.";
pub(crate) const OTHER_USER: &str = "Confirm with your own account.";
pub(crate) const WAIT: &str = "Too many wrong codes. Wait a while before the next one.";
pub(crate) const REQUIRED: &str =
    "This account has to have a second factor before it can sign in. Set it up at";
pub(crate) const BY_PAGE: &str = "This account signs in on the server's page: choose single \
     sign-on, or continue in the browser, in your app.";
pub(crate) const LAST_FACTOR: &str =
    "This account has to have a second factor. Add another authenticator before removing this one.";
pub(crate) const OTHER_STAGE: &str = "This stage is not offered here.";
pub(crate) const WAIT_FOR_PASSWORD: &str =
    "Too many wrong passwords from your address. Wait a while before the next one.";
pub(crate) const WRONG_TOKEN: &str = "That token is not valid.";
pub(crate) const NO_FACTOR: &str = "This account has no active authenticator. Set one up first.";
pub(crate) const NO_SUCH_AUTHENTICATOR: &str = "You have no such authenticator.";
pub(crate) const TOO_MANY_AUTHENTICATORS: &str =
    "You have as many authenticators as are allowed. Remove one first.";
pub(crate) const NO_APP_PASSWORDS: &str = "App passwords are not allowed on this server.";
pub(crate) const CANNOT_MINT: &str = "App passwords do not work here: the homeserver logs nobody in \
     without the account's own password.";
pub(crate) const TOO_MANY_APP_PASSWORDS: &str =
    "You have as many app passwords as are allowed. Revoke one first.";
pub(crate) const NO_SUCH_APP_PASSWORD: &str = "You have no such app password.";
pub(crate) const REGISTRATION_CLOSED: &str = "Registration is closed on this server.";
