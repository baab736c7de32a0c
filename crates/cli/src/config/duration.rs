//! Lengths of time as people write them: `30s`, `10m`, `1h`, `7d`.

use std::{ops::RangeInclusive, time::Duration};

use anyhow::{Result, anyhow, ensure};

const UNITS: [(char, u64); 4] = [('d', 86400), ('h', 3600), ('m', 60), ('s', 1)];

/// Reads a length of time.
///
/// # Errors
///
/// Without a unit, with another one, or outside `range`.
pub(super) fn parse(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration> {
    let read = || {
        let unit = text.chars().last()?;
        let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        let count: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Some(Duration::from_secs(count.checked_mul(seconds)?))
    };
    let duration =
        read().ok_or_else(|| anyhow!("a number and one of s, m, h, d, such as \"30s\""))?;
    let (least, most) = (show(*range.start()), show(*range.end()));
    ensure!(range.contains(&duration), "{least} to {most}");
    Ok(duration)
}

/// Writes a length of time in the largest unit that leaves no rest.
pub(super) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let fits = |unit: &&(char, u64)| seconds > 0 && seconds.is_multiple_of(unit.1);
    let (name, unit) = UNITS.iter().find(fits).unwrap_or(&('s', 1));
    format!("{}{name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(24);

    #[test]
    fn every_unit_reads_and_shows_alike() {
        for (text, seconds) in [("10s", 10), ("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)]
        {
            let duration = parse(text, &RANGE).unwrap();
            assert_eq!((duration.as_secs(), show(duration).as_str()), (seconds, text));
        }
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "10", "s", "-1s", "1.5h", "10 weeks", "99999999999999999999d", "1m30s"] {
            assert!(parse(text, &RANGE).unwrap_err().to_string().contains("30s"), "{text}");
        }
    }

    #[test]
    fn limits_are_named() {
        assert_eq!(parse("9s", &RANGE).unwrap_err().to_string(), "10s to 1d");
        assert_eq!(parse("25h", &RANGE).unwrap_err().to_string(), "10s to 1d");
    }
}
