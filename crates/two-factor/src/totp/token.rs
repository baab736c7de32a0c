//! The code that a client sends, read once.

use std::fmt::{self, Write as _};

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Digits, Step, TotpParameters, TotpSecret};

/// Room for the longest code that [`Digits`] allows.
const LONGEST: usize = 8;

/// A well-formed TOTP code.
///
/// It is read from the client's text in one place, so that two spellings of
/// one code are one value everywhere after that. It is wiped when dropped and
/// does not show itself in debug output.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TotpToken {
    /// ASCII digits, then zero bytes up to the end.
    ascii: [u8; LONGEST],
    digits: u8,
}

impl TotpToken {
    /// Reads what a client sent: ASCII spaces and hyphens are ignored, and
    /// exactly `digits` ASCII digits must remain.
    ///
    /// `None` means malformed. A malformed token is a failed attempt but not a
    /// guess: it is compared with nothing and not counted.
    #[must_use]
    pub fn parse(text: &str, digits: Digits) -> Option<Self> {
        let mut token = Self { ascii: [0; LONGEST], digits: digits.get() };
        let mut free = token.ascii[..usize::from(digits.get())].iter_mut();
        for byte in text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
            if !byte.is_ascii_digit() {
                return None;
            }
            *free.next()? = byte;
        }
        if free.next().is_some() {
            return None;
        }
        Some(token)
    }

    /// The code of `step`, as an authenticator app shows it (RFC 6238 §4).
    #[must_use]
    pub fn generate(secret: &TotpSecret, step: Step, parameters: &TotpParameters) -> Self {
        Self::of(&secret.generator(parameters), step, parameters.digits)
    }

    /// As [`generate`](Self::generate), with the generator at hand.
    pub(super) fn of(generator: &totp_rs::Totp, Step(step): Step, digits: Digits) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(LONGEST));
        write!(text, "{}", generator.generate(step)).expect("invariant: a String takes all text");
        Self::parse(&text, digits).expect("invariant: the generator writes `digits` digits")
    }

    /// The digits, without separators.
    #[must_use]
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.ascii[..usize::from(self.digits)])
            .expect("invariant: only ASCII digits are stored")
    }
}

impl ConstantTimeEq for TotpToken {
    /// Takes the same time whatever the digits are.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.ascii.ct_eq(&other.ascii)
    }
}

impl fmt::Debug for TotpToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ascii: _, digits } = self;
        write!(f, "TotpToken({digits} digits, redacted)")
    }
}
