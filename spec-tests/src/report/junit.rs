//! `JUnit`'s XML: one suite, the section as the class name.

use std::{fmt::Write, time::Duration};

use super::{Outcome, Report, Verdict};

pub(super) fn render(report: &Report) -> String {
    let failures = report.count(|outcome| !outcome.is_expected());
    let skipped = report
        .count(|outcome| matches!(outcome, Outcome::Skipped(_) | Outcome::KnownFailure { .. }));
    let time: Duration = report.verdicts.iter().map(|verdict| verdict.elapsed).sum();
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{:.3}\"",
        report.verdicts.len(),
        time.as_secs_f64()
    );
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(xml, "<testsuites>\n  <testsuite name=\"spec-tests\" {counts}>");
    for verdict in &report.verdicts {
        case(&mut xml, verdict);
    }
    xml + "  </testsuite>\n</testsuites>\n"
}

fn case(xml: &mut String, verdict: &Verdict) {
    let _ = write!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        escaped(verdict.section),
        escaped(&verdict.name),
        verdict.elapsed.as_secs_f64()
    );
    let clause = escaped(&verdict.clause);
    let _ = match &verdict.outcome {
        Outcome::Passed => writeln!(xml, "/>"),
        Outcome::Failed(failure) => element(
            xml,
            &format!("failure message=\"{}\"", escaped(&failure.expected)),
            &format!("clause: {clause}\n{}", escaped(&failure.to_string())),
        ),
        Outcome::UnexpectedPass(reason) => element(
            xml,
            "failure message=\"passes, but is listed as known failure\"",
            &escaped(reason),
        ),
        Outcome::KnownFailure { reason, failure } => element(
            xml,
            &format!("skipped message=\"known failure: {}\"", escaped(reason)),
            &format!("clause: {clause}\n{}", escaped(&failure.to_string())),
        ),
        Outcome::Skipped(reason) => {
            element(xml, &format!("skipped message=\"{}\"", escaped(reason)), "")
        }
    };
}

fn element(xml: &mut String, opening: &str, content: &str) -> std::fmt::Result {
    let name = opening.split(' ').next().unwrap_or_default();
    writeln!(xml, ">\n      <{opening}>{content}</{name}>\n    </testcase>")
}

/// XML 1.0 has no way to write most control characters: they become `?`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push('\t'),
            '\u{fffe}' | '\u{ffff}' => out.push('?'),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn the_suite_counts_its_cases() {
        let xml = render(&sample());
        assert!(
            xml.contains("tests=\"5\" failures=\"2\" errors=\"0\" skipped=\"2\" time=\"7.500\""),
            "{xml}"
        );
        assert_eq!(xml.matches("<testcase ").count(), 5);
        assert_eq!(xml.matches("<failure ").count(), 2);
        assert_eq!(xml.matches("<skipped ").count(), 2);
    }

    #[test]
    fn markup_and_control_characters_are_escaped() {
        let xml = render(&sample());
        assert!(xml.contains("{&quot;a&quot;:&quot;&lt;b&gt; &amp; c&quot;}"), "{xml}");
        assert!(xml.contains("GET /x?&#10;line"), "{xml}");
        assert!(!xml.contains('\u{1}'));
    }

    #[test]
    fn every_element_is_closed() {
        let xml = render(&sample());
        for name in ["testsuites", "testsuite", "failure", "skipped"] {
            let opened = xml.matches(&format!("<{name} ")).count()
                + xml.matches(&format!("<{name}>")).count();
            assert_eq!(opened, xml.matches(&format!("</{name}>")).count(), "{name}");
        }
    }
}
