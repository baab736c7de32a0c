//! The `otpauth://` URI that an authenticator app reads from a QR code.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::{TotpParameters, TotpSecret};

/// Longest text that one byte becomes: `%3A`.
const ESCAPE_LENGTH: usize = 3;

/// Length of everything in the URI that is neither issuer nor account, with
/// room to spare.
const FRAME_LENGTH: usize = 160;

/// The URI that sets up an app with `secret` (wire protocol, section 3):
/// `otpauth://totp/<issuer>:<account>?secret=…&issuer=<issuer>&algorithm=SHA1&digits=6&period=30`.
///
/// `account` names the user, as `localpart@server.name`. The one colon that
/// stands raw in the label is the one between issuer and account; any other,
/// such as the one before a server's port, is escaped. An issuer is better
/// chosen without a colon: some apps unescape before they split.
#[must_use]
pub fn uri(
    secret: &TotpSecret,
    issuer: &str,
    account: &str,
    parameters: &TotpParameters,
) -> Zeroizing<String> {
    // Room for all of it: a string that grows leaves copies of the secret.
    let room = FRAME_LENGTH + ESCAPE_LENGTH * (2 * issuer.len() + account.len());
    let mut uri = Zeroizing::new(String::with_capacity(room));
    uri.push_str("otpauth://totp/");
    push_escaped(&mut uri, issuer);
    uri.push(':');
    push_escaped(&mut uri, account);
    uri.push_str("?secret=");
    uri.push_str(&secret.to_base32());
    uri.push_str("&issuer=");
    push_escaped(&mut uri, issuer);
    let (digits, period) = (parameters.digits.get(), parameters.period.as_secs());
    write!(uri, "&algorithm=SHA1&digits={digits}&period={period}")
        .expect("invariant: a String takes all text");
    uri
}

/// Writes `text` with everything but RFC 3986 §2.3's unreserved characters
/// percent-encoded. A space becomes `%20`: apps do not read `+` as a space.
fn push_escaped(uri: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("invariant: a String takes all text");
        }
    }
}
