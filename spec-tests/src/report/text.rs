//! For people: a line for each case, failures in full, a summary.

use std::fmt::Write;

use super::{Outcome, Report, Verdict};
use crate::Failure;

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut section = "";
    for verdict in &report.verdicts {
        if verdict.section != section {
            section = verdict.section;
            let _ = writeln!(text, "\n{section}");
        }
        line(&mut text, verdict);
    }
    let _ = writeln!(text, "\n{}", summary(report));
    text
}

fn line(text: &mut String, verdict: &Verdict) {
    let Verdict { name, clause, elapsed, outcome, .. } = verdict;
    let seconds = elapsed.as_secs_f32();
    let _ = match outcome {
        Outcome::Passed => writeln!(text, "  ok       {name} ({seconds:.2} s)"),
        Outcome::Skipped(reason) => writeln!(text, "  skipped  {name}: {reason}"),
        Outcome::KnownFailure { reason, failure } => {
            writeln!(text, "  known    {name}: {reason}\n{}", details(clause, failure))
        }
        Outcome::Failed(failure) => {
            writeln!(text, "  FAILED   {name} ({seconds:.2} s)\n{}", details(clause, failure))
        }
        Outcome::UnexpectedPass(reason) => {
            writeln!(text, "  FAILED   {name}: passes, but is listed as known failure: {reason}")
        }
    };
}

fn details(clause: &str, failure: &Failure) -> String {
    format!("  clause: {clause}\n{failure}")
        .lines()
        .map(|line| format!("           {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn summary(report: &Report) -> String {
    let passed = report.count(|outcome| matches!(outcome, Outcome::Passed));
    let failed = report.count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let known = report.count(|outcome| matches!(outcome, Outcome::KnownFailure { .. }));
    let unexpected = report.count(|outcome| matches!(outcome, Outcome::UnexpectedPass(_)));
    let skipped = report.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    format!(
        "{} cases: {passed} passed, {failed} failed, {known} known failures, \
         {unexpected} unexpected passes, {skipped} skipped",
        report.verdicts.len()
    )
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn the_summary_counts_every_kind() {
        let text = render(&sample());
        let last = text.lines().last().unwrap();
        assert_eq!(
            last,
            "5 cases: 1 passed, 1 failed, 1 known failures, 1 unexpected passes, 1 skipped"
        );
    }

    #[test]
    fn a_failure_shows_clause_expectation_answer_and_request() {
        let text = render(&sample());
        for part in ["clause: A <clause>", "expected: status 200", "got: 404", "request: GET /x"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn a_section_is_named_once() {
        assert_eq!(render(&sample()).matches("§2 Login").count(), 1);
    }
}
