//! The waits after failures, and the lockout.
//!
//! ```text
//!           success; failure 1 to 4 in a row while 1 to 20 in the week
//!                +------+
//!                v      |
//!           +---------------+  failure 5 in a row, or 21 in the week, and up  +---------+
//! begin --> |     open      | ----------------------------------------------> | waiting | --+
//!           |               | <---------------------------------------------- |         | <-+
//!           +---------------+        30 s, doubling to 1 h, are over          +---------+ any
//!                   |                                                              ^ attempt
//!                   |  failure 50 in a row, TOTP only: authenticators disabled     |
//!                   +--------------------------------------------------------------+
//! ```
//!
//! While waiting, an attempt is not evaluated and does not lengthen the wait;
//! the right code gets the same answer as a wrong one. A success ends the run
//! of failures and the wait. It does not wipe the week's count: otherwise the
//! owner's logins would hand fresh tries to somebody who guesses in between.
//! The wait follows from whichever count is further over its limit.
//!
//! One [`Throttle`] belongs to one user and one kind of code, over all
//! sessions, addresses and machines. TOTP and recovery codes each have their
//! own, and recovery is never disabled, so that nobody who can make TOTP wait
//! can keep the owner out. What is counted is the caller's decision: guesses
//! by somebody who has passed the password or has the user's access token.
//! Malformed and replayed codes are no guesses.
//!
//! # The odds of a guess
//!
//! A guess is right with probability `a * (2 * w + 1) / 10^d`, for `a`
//! authenticators, a window of `w` steps on either side and `d` digits. By
//! default (`w` 1, `d` 6) that is 3 in a million for one authenticator.
//!
//! | somebody who has the password, and no success in between | tries | one authenticator | five |
//! |---|---|---|---|
//! | in the first hour | 11 | 1 in 30,000 | 1 in 6,100 |
//! | in the first day | 34 | 1 in 9,800 | 1 in 2,000 |
//! | until the authenticator is disabled, after 39 hours or more | 50 | 1 in 6,700 | 1 in 1,300 |
//! | each week, the owner logging in after every try | 194 | 1 in 1,700 | 1 in 340 |
//!
//! The last row is the most that can be had for long: with one authenticator
//! about 3 % in a year, and the owner runs into the waits all the while. A recovery code has 80
//! bits; its throttle saves work, not odds.
//!
//! # When the clock jumps
//!
//! Set forward, it ends a wait early but wipes no run of failures. Set back,
//! it neither frees nor locks for good: a wait is never longer than
//! [`LONGEST_WAIT`] from now, and a week that begins in the future begins now,
//! with its count. See [`Throttle::corrected`].

use std::time::Duration;

use myelin_ambient::Timestamp;

use crate::limits::{
    DISABLE_AFTER, FIRST_WAIT, FREE_FAILURES, FREE_LONG_WINDOW_FAILURES, LONG_WINDOW, LONGEST_WAIT,
};

/// What is remembered of a user's failures with one kind of code.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Throttle {
    /// Failures since the last success, or since the last lockout.
    pub in_a_row: u32,
    /// When the current long window began; none before the first failure.
    pub window_started: Option<Timestamp>,
    /// Failures in the current long window.
    pub window_failures: u32,
    /// Until when nothing is evaluated. It may lie in the past.
    pub wait_until: Option<Timestamp>,
}

/// Whether an attempt may be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Open,
    /// It may not, whatever the code.
    Wait {
        /// The first moment at which one may again.
        until: Timestamp,
    },
}

/// How a kind of code is locked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottlePolicy {
    /// Failures in a row that disable; never if none.
    pub disable_after: Option<u32>,
}

impl ThrottlePolicy {
    /// TOTP: disabled after [`DISABLE_AFTER`] failures in a row.
    pub const TOTP: Self = Self { disable_after: Some(DISABLE_AFTER) };

    /// Recovery codes: never disabled, for they are the way out.
    pub const RECOVERY: Self = Self { disable_after: None };
}

/// A counted failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What to remember now.
    pub throttle: Throttle,
    /// What the failure leads to.
    pub effect: FailureEffect,
}

/// What a failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureEffect {
    /// Nothing yet.
    Counted,
    /// Nothing is evaluated for a while.
    Wait {
        /// The first moment at which an attempt is evaluated again.
        until: Timestamp,
    },
    /// The user's active authenticators are to be disabled. Nothing is
    /// evaluated for [`LONGEST_WAIT`] either, which
    /// [`admit`](Throttle::admit) tells.
    Disable,
}

impl Throttle {
    /// Whether an attempt at `now` may be evaluated. Asking changes nothing.
    #[must_use]
    pub fn admit(&self, now: Timestamp) -> Admission {
        match self.wait_at(now) {
            Some(until) => Admission::Wait { until },
            None => Admission::Open,
        }
    }

    /// Counts a failure at `now`.
    ///
    /// A failure that was admitted before a wait began and counted after, as
    /// happens when attempts race, counts like any other.
    #[must_use]
    pub fn fail(self, now: Timestamp, policy: ThrottlePolicy) -> Failure {
        let in_a_row = self.in_a_row.saturating_add(1);
        let (started, window_failures) = self.window_with_failure(now);
        let earned = wait_after(in_a_row, window_failures).map(|wait| now + wait);
        // The later of the two: a failure never shortens a wait.
        let wait_until = earned.max(self.wait_at(now));
        let disabled = policy.disable_after.is_some_and(|limit| in_a_row >= limit);
        let throttle = Self {
            // The run was against an authenticator that is now out of use. A
            // new one gets a run of its own; the week's count and the wait
            // are the user's and stay.
            in_a_row: if disabled { 0 } else { in_a_row },
            window_started: Some(started),
            window_failures,
            wait_until,
        };
        let effect = match wait_until {
            _ if disabled => FailureEffect::Disable,
            Some(until) => FailureEffect::Wait { until },
            None => FailureEffect::Counted,
        };
        Failure { throttle, effect }
    }

    /// Notes a success at `now`: the run of failures and the wait are over,
    /// the week's count stays until its week is.
    #[must_use]
    pub fn succeed(self, now: Timestamp) -> Self {
        let over = self.window_started.is_none_or(|started| is_over(started, now));
        if over {
            return Self::default();
        }
        Self { in_a_row: 0, wait_until: None, ..self }
    }

    /// The throttle as it must be remembered after the clock was set back;
    /// none if it is right as it is.
    ///
    /// [`admit`](Self::admit) and [`fail`](Self::fail) are right without it.
    /// But a wait that lies years ahead would be answered with one hour again
    /// and again, until the years are over: storing what this returns, also
    /// when the attempt is not admitted, makes it one hour.
    #[must_use]
    pub fn corrected(&self, now: Timestamp) -> Option<Self> {
        let corrected = Self {
            wait_until: self.wait_until.map(|until| until.min(now + LONGEST_WAIT)),
            window_started: self.window_started.map(|started| started.min(now)),
            ..self.clone()
        };
        (corrected != *self).then_some(corrected)
    }

    /// The end of the wait that `now` is in.
    fn wait_at(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.wait_until?.min(now + LONGEST_WAIT);
        (until > now).then_some(until)
    }

    /// Start and count of the long window with one failure more at `now`.
    fn window_with_failure(&self, now: Timestamp) -> (Timestamp, u32) {
        match self.window_started {
            Some(started) if is_over(started, now) => (now, 1),
            started => {
                let started = started.unwrap_or(now).min(now);
                (started, self.window_failures.saturating_add(1))
            }
        }
    }
}

/// Whether the long window that began at `started` is over at `now`.
fn is_over(started: Timestamp, now: Timestamp) -> bool {
    now.saturating_since(started) >= LONG_WINDOW
}

/// The wait that the two counts earn; none while both are free.
fn wait_after(in_a_row: u32, window_failures: u32) -> Option<Duration> {
    let excess = in_a_row
        .saturating_sub(FREE_FAILURES)
        .max(window_failures.saturating_sub(FREE_LONG_WINDOW_FAILURES));
    let doublings = excess.checked_sub(1)?;
    let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
    Some(FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT))
}
