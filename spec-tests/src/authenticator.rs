//! An authenticator app, with its own TOTP.

use std::sync::{Mutex, PoisonError};

use totp_rs::{Algorithm, Builder, Secret, Totp};

use crate::clock;

/// One enrolled authenticator, as the person's phone knows it.
///
/// A server accepts the current step and one either side, and only a later one
/// than the last. So up to three codes are there without waiting, and
/// [`code`](Self::code) hands them out from the earliest on.
pub(crate) struct Authenticator {
    pub(crate) id: String,
    totp: Totp,
    /// The last step handed out; 0 before the first.
    last: Mutex<u64>,
}

impl Authenticator {
    /// From the base32 secret of the set-up; none if it is not base32.
    pub(crate) fn new(id: impl Into<String>, secret: &str) -> Option<Self> {
        let secret = Secret::try_from_base32(secret).ok()?;
        let totp = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_step_duration(clock::PERIOD)
            .with_secret(secret)
            .build_noncompliant();
        Some(Self { id: id.into(), totp, last: Mutex::new(0) })
    }

    /// The next code that the server has to accept.
    ///
    /// Waits for the next step only when all three are spent.
    pub(crate) fn code(&self) -> String {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(step) = next_step(*last, clock::step(), clock::is_step_ending()) {
                *last = step;
                return self.code_at(step);
            }
            clock::wait_for_next_step();
        }
    }

    /// The code of `step`, which counts as handed out.
    pub(crate) fn spend(&self, step: u64) -> String {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = step.max(*last);
        self.code_at(step)
    }

    /// The code of `step`.
    pub(crate) fn code_at(&self, step: u64) -> String {
        self.totp.generate(step * clock::PERIOD).to_string()
    }

    /// The last step handed out.
    pub(crate) fn last_step(&self) -> u64 {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Well-formed codes that no step near the current one has, each different.
    pub(crate) fn wrong_codes(&self) -> impl Iterator<Item = String> {
        let now = clock::step();
        let right: Vec<String> = (now - 4..=now + 6).map(|step| self.code_at(step)).collect();
        // Far apart, so that nothing looks like counting up.
        (1..1_000_000_u64)
            .map(|n| format!("{:06}", n * 104_729 % 1_000_000))
            .filter(move |code| !right.contains(code))
    }

    /// One such code.
    pub(crate) fn wrong_code(&self) -> String {
        self.wrong_codes().next().unwrap_or_default()
    }
}

/// The earliest step that a server accepts after `last`, if there is one yet.
fn next_step(last: u64, now: u64, is_ending: bool) -> Option<u64> {
    // A code of the step before may be two steps old when it arrives.
    let earliest = if is_ending { now } else { now - 1 };
    Some(earliest.max(last + 1)).filter(|step| *step <= now + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238's secret, "12345678901234567890".
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn authenticator() -> Authenticator {
        Authenticator::new("t", SECRET).unwrap()
    }

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        // The vectors have eight digits; six digits are their last six.
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000_u64, "353130"),
        ];
        for (seconds, code) in vectors {
            assert_eq!(authenticator().code_at(seconds / clock::PERIOD), code, "at {seconds}");
        }
    }

    #[test]
    fn codes_are_handed_out_by_rising_steps_within_the_window() {
        let authenticator = authenticator();
        let before = clock::step();
        let mut last = 0;
        for _ in 0..2 {
            authenticator.code();
            let step = authenticator.last_step();
            assert!(step > last && step >= before - 1 && step <= clock::step() + 1);
            last = step;
        }
    }

    #[test]
    fn three_steps_are_there_without_waiting_and_no_fourth() {
        assert_eq!(next_step(0, 100, false), Some(99));
        assert_eq!(next_step(99, 100, false), Some(100));
        assert_eq!(next_step(100, 100, false), Some(101));
        assert_eq!(next_step(101, 100, false), None);
    }

    #[test]
    fn at_the_end_of_a_step_the_one_before_is_left_out() {
        assert_eq!(next_step(0, 100, true), Some(100));
        assert_eq!(next_step(100, 100, true), Some(101));
        assert_eq!(next_step(101, 101, false), Some(102));
    }

    #[test]
    fn a_spent_step_counts_as_handed_out() {
        let authenticator = authenticator();
        authenticator.spend(7);
        assert_eq!(authenticator.last_step(), 7);
        authenticator.spend(5);
        assert_eq!(authenticator.last_step(), 7);
    }

    #[test]
    fn wrong_codes_are_wrong_and_different() {
        let authenticator = authenticator();
        let wrong: Vec<_> = authenticator.wrong_codes().take(60).collect();
        let now = clock::step();
        for step in now - 2..=now + 2 {
            assert!(!wrong.contains(&authenticator.code_at(step)));
        }
        let mut unique = wrong.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), wrong.len());
    }

    #[test]
    fn a_secret_that_is_not_base32_is_refused() {
        assert!(Authenticator::new("t", "not base32!").is_none());
    }
}
