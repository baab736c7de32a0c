//! What server and authenticator app agree on, and the counting of steps.

use std::ops::RangeInclusive;

use myelin_ambient::Timestamp;

/// Number of a period since the Unix epoch: `T` in RFC 6238 §4.2, with `T0` 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(pub u64);

/// A TOTP parameter outside the values that authenticator apps support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {least} to {most}, not {found}")]
pub struct OutOfRange {
    what: &'static str,
    least: u64,
    most: u64,
    found: u64,
}

fn within(what: &'static str, range: &RangeInclusive<u64>, found: u64) -> Result<u64, OutOfRange> {
    if range.contains(&found) {
        Ok(found)
    } else {
        Err(OutOfRange { what, least: *range.start(), most: *range.end(), found })
    }
}

/// Digits of a code: 6 to 8 (RFC 4226 §5.3). Default 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits(u8);

impl Digits {
    /// # Errors
    ///
    /// [`OutOfRange`] unless `digits` is 6, 7 or 8.
    pub fn new(digits: u8) -> Result<Self, OutOfRange> {
        within("digits", &(6..=8), digits.into()).map(|_| Self(digits))
    }

    /// The number of digits.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Digits {
    fn default() -> Self {
        Self(6)
    }
}

/// Length of a step in seconds: 15 to 120. Default 30 (RFC 6238 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(u64);

impl Period {
    /// # Errors
    ///
    /// [`OutOfRange`] unless `seconds` is 15 to 120.
    pub fn new(seconds: u64) -> Result<Self, OutOfRange> {
        within("period", &(15..=120), seconds).map(Self)
    }

    /// The length in seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl Default for Period {
    fn default() -> Self {
        Self(30)
    }
}

/// Steps accepted on either side of the current one: 0 to 2. Default 1
/// (RFC 6238 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(u8);

impl Window {
    /// # Errors
    ///
    /// [`OutOfRange`] unless `steps` is 0, 1 or 2.
    pub fn new(steps: u8) -> Result<Self, OutOfRange> {
        within("window", &(0..=2), steps.into()).map(|_| Self(steps))
    }

    /// The number of steps on either side.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Window {
    fn default() -> Self {
        Self(1)
    }
}

/// How codes are made and how much drift is forgiven. The default is what
/// every authenticator app supports: 6 digits, 30 seconds, one step of drift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TotpParameters {
    /// Digits of a code.
    pub digits: Digits,
    /// Length of a step.
    pub period: Period,
    /// Steps accepted on either side of the current one.
    pub window: Window,
}

impl TotpParameters {
    /// The step in which `now` lies (RFC 6238 §4.2).
    #[must_use]
    pub const fn step_at(&self, now: Timestamp) -> Step {
        Step(now.as_secs() / self.period.as_secs())
    }

    /// The steps whose codes are accepted at `now`, earliest first. Fewer than
    /// `2 * window + 1` only at the epoch.
    pub(super) fn steps_at(&self, now: Timestamp) -> RangeInclusive<u64> {
        let Step(current) = self.step_at(now);
        let window = u64::from(self.window.get());
        current.saturating_sub(window)..=current.saturating_add(window)
    }
}
