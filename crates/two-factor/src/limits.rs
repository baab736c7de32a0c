//! Every number of the second factor, in one place.
//!
//! The reasons are with the numbers; the odds that follow from them are in
//! [`crate::throttle`].

use std::time::Duration;

/// Bytes in a TOTP secret: 160 bits, as RFC 4226 §4 R6 recommends.
pub const SECRET_BYTES: usize = 20;

/// How long an authenticator may wait for its confirmation.
pub const PENDING_LIFETIME: Duration = Duration::from_mins(10);

/// Active authenticators that one user may have. Each multiplies the odds of
/// a guess, so there are few.
pub const MAX_ACTIVE_AUTHENTICATORS: usize = 5;

/// Wrong codes that a pending authenticator takes. The last one destroys it.
pub const MAX_CONFIRM_FAILURES: u8 = 5;

/// Longest name of an authenticator, in characters (Unicode scalar values).
pub const NAME_MAX_CHARS: usize = 64;

/// Name of an authenticator that was given none.
pub const DEFAULT_NAME: &str = "Authenticator";

/// Recovery codes in a set.
pub const RECOVERY_CODES: usize = 10;

/// Failures in a row that cost nothing. The next one starts a wait.
pub const FREE_FAILURES: u32 = 4;

/// The wait after the first failure that is not free. It doubles with each
/// further one.
pub const FIRST_WAIT: Duration = Duration::from_secs(30);

/// The wait never grows beyond this, so that nobody is locked out for good.
pub const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Failures in a row that disable an authenticator. NIST SP 800-63B-4 §3.2.2
/// allows at most 100.
pub const DISABLE_AFTER: u32 = 50;

/// Length of the long window, in which failures are remembered across
/// successes.
pub const LONG_WINDOW: Duration = Duration::from_hours(7 * 24);

/// Failures in one long window that cost nothing beyond the rule for failures
/// in a row. The next one starts a wait.
pub const FREE_LONG_WINDOW_FAILURES: u32 = 20;

/// Memory of one recovery hash, in KiB: 7 MiB.
///
/// A recovery code has 80 random bits, and no slow hash is needed to protect
/// that: at 10^12 guesses a second, half of the codes take 19,000 years. The
/// password hash is a second line, which ASVS 5 6.5.2 asks for below 112 bits.
/// Of the parameter sets that OWASP calls equally strong, this is the one with
/// the least memory, as attempts may come many at a time. A set of ten is
/// hashed while somebody waits: it takes about a tenth of a second.
///
/// Stored hashes do not carry these parameters. Changing one makes every
/// stored recovery code unusable.
pub const RECOVERY_MEMORY_KIB: u32 = 7 * 1024;

/// Passes over the memory of one recovery hash. See [`RECOVERY_MEMORY_KIB`].
pub const RECOVERY_PASSES: u32 = 5;

/// Lanes of one recovery hash. See [`RECOVERY_MEMORY_KIB`].
pub const RECOVERY_LANES: u32 = 1;
