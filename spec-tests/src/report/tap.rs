//! Test Anything Protocol, version 13.

use std::fmt::Write;

use serde_json::Value;

use super::{Outcome, Report, Verdict};
use crate::Failure;

pub(super) fn render(report: &Report) -> String {
    let mut text = format!("TAP version 13\n1..{}\n", report.verdicts.len());
    for (index, verdict) in report.verdicts.iter().enumerate() {
        point(&mut text, index + 1, verdict);
    }
    text
}

fn point(text: &mut String, number: usize, verdict: &Verdict) {
    let name = &verdict.name;
    let _ = match &verdict.outcome {
        Outcome::Passed => writeln!(text, "ok {number} - {name}"),
        Outcome::Skipped(reason) => writeln!(text, "ok {number} - {name} # SKIP {}", flat(reason)),
        Outcome::Failed(failure) => {
            writeln!(text, "not ok {number} - {name}\n{}", diagnostics(verdict, failure))
        }
        // TAP's TODO: expected to fail, does not spoil the run.
        Outcome::KnownFailure { reason, failure } => {
            let details = diagnostics(verdict, failure);
            writeln!(text, "not ok {number} - {name} # TODO {}\n{details}", flat(reason))
        }
        // Without TODO, so that a reader of TAP sees the run fail, as it does.
        Outcome::UnexpectedPass(reason) => {
            let failure = Failure::new(format!("a known failure: {reason}"), "a pass", "-");
            writeln!(text, "not ok {number} - {name}\n{}", diagnostics(verdict, &failure))
        }
    };
}

/// A YAML block. JSON strings are YAML strings, so nothing in them can end it.
fn diagnostics(verdict: &Verdict, failure: &Failure) -> String {
    let pairs = [
        ("section", verdict.section),
        ("clause", &verdict.clause),
        ("expected", &failure.expected),
        ("got", &failure.came),
        ("request", &failure.request),
    ];
    let line = |(key, value): &(&str, &str)| format!("  {key}: {}", Value::from(*value));
    let lines: Vec<String> = pairs.iter().map(line).collect();
    format!("  ---\n{}\n  ...", lines.join("\n"))
}

fn flat(reason: &str) -> String {
    reason.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn the_plan_comes_first_and_points_are_numbered() {
        let text = render(&sample());
        assert!(text.starts_with("TAP version 13\n1..5\nok 1 - login.case-0\n"), "{text}");
        let points: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("ok ") || line.starts_with("not ok"))
            .collect();
        assert_eq!(
            points,
            [
                "ok 1 - login.case-0",
                "not ok 2 - login.case-1",
                "not ok 3 - login.case-2 # TODO not \"there\" & yet # 1",
                "not ok 4 - login.case-3",
                "ok 5 - login.case-4 # SKIP needs --slow",
            ]
        );
    }

    #[test]
    fn diagnostics_are_yaml_of_one_line_a_key() {
        let text = render(&sample());
        let block: Vec<&str> = text.lines().skip_while(|line| *line != "  ---").take(7).collect();
        assert_eq!(block[4], r#"  got: "404 {\"a\":\"<b> & c\"}""#);
        assert_eq!(block[5], r#"  request: "GET /x\u0001\nline""#);
        assert_eq!(block[6], "  ...");
    }
}
