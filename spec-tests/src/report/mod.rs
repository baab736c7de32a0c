//! What a run came to, and the forms in which it is printed.

mod junit;
mod tap;
mod text;

use std::time::Duration;

use crate::Failure;

/// All verdicts of a run, in the order of the table of cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each selected case.
    pub verdicts: Vec<Verdict>,
}

/// What one case came to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The name of the case.
    pub name: String,
    /// The section of the protocol.
    pub section: &'static str,
    /// What the protocol demands.
    pub clause: String,
    /// How long the case took.
    pub elapsed: Duration,
    /// Passed, or why not.
    pub outcome: Outcome,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As the protocol demands.
    Passed,
    /// Not as the protocol demands.
    Failed(Failure),
    /// Failed, as expected.
    KnownFailure {
        /// Why it is expected.
        reason: String,
        /// What it still fails with.
        failure: Failure,
    },
    /// Passed, although listed as a known failure for this reason: the list is
    /// out of date.
    UnexpectedPass(String),
    /// Not run, for this reason.
    Skipped(String),
}

impl Outcome {
    /// Whether the run may succeed with it.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::UnexpectedPass(_))
    }
}

impl Report {
    /// Whether every case ended as expected.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.outcome.is_expected())
    }

    /// The verdicts that keep the run from succeeding.
    pub fn unexpected(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| !verdict.outcome.is_expected())
    }

    fn count(&self, which: impl Fn(&Outcome) -> bool) -> usize {
        self.verdicts.iter().filter(|verdict| which(&verdict.outcome)).count()
    }
}

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// Test Anything Protocol, version 13.
    Tap,
    /// `JUnit`'s XML, as build servers read it.
    Junit,
}

impl Format {
    /// The whole report in this form.
    #[must_use]
    pub fn render(self, report: &Report) -> String {
        match self {
            Self::Text => text::render(report),
            Self::Tap => tap::render(report),
            Self::Junit => junit::render(report),
        }
    }
}

/// One verdict of each kind.
#[cfg(test)]
fn sample() -> Report {
    let failure = || Failure::new("status 200", "404 {\"a\":\"<b> & c\"}", "GET /x\u{1}\nline");
    let reason = || "not \"there\" & yet # 1".to_owned();
    let outcomes = [
        Outcome::Passed,
        Outcome::Failed(failure()),
        Outcome::KnownFailure { reason: reason(), failure: failure() },
        Outcome::UnexpectedPass(reason()),
        Outcome::Skipped("needs --slow".to_owned()),
    ];
    let verdict = |(index, outcome)| Verdict {
        name: format!("login.case-{index}"),
        section: "§2 Login",
        clause: "A <clause>: with \"quotes\"".to_owned(),
        elapsed: Duration::from_millis(1500),
        outcome,
    };
    Report { verdicts: outcomes.into_iter().enumerate().map(verdict).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_and_unexpected_passes_spoil_a_run() {
        let mut report = sample();
        let names: Vec<_> = report.unexpected().map(|verdict| verdict.name.as_str()).collect();
        assert_eq!(names, ["login.case-1", "login.case-3"]);
        assert!(!report.is_success());
        report.verdicts.retain(|verdict| verdict.outcome.is_expected());
        assert!(report.is_success());
    }
}
