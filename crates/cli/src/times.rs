//! Times for people: in UTC, and how far away they are.

use std::time::Duration;

use myelin_ambient::Timestamp;

const UNITS: [(&str, u64); 4] = [("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)];

/// `2026-11-21 22:14:05 UTC (3 minutes ago)`
pub(crate) fn both(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", absolute(at), relative(at, now))
}

/// `2026-11-21 22:14:05 UTC`
pub(crate) fn absolute(at: Timestamp) -> String {
    let (days, seconds) = (at.as_secs() / 86400, at.as_secs() % 86400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// `3 minutes ago`, `in 2 days`
fn relative(at: Timestamp, now: Timestamp) -> String {
    let (ago, ahead) = (now.saturating_since(at), at.saturating_since(now));
    match (ago.as_secs(), ahead.as_secs()) {
        (0, 0) => "now".to_owned(),
        (0, _) => format!("in {}", length(ahead)),
        _ => format!("{} ago", length(ago)),
    }
}

/// The length in the largest unit that it has one of.
fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (name, unit) = UNITS.into_iter().find(|(_, unit)| seconds >= *unit).unwrap_or(UNITS[3]);
    let count = seconds / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// Year, month and day of the Gregorian calendar, from days since 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    // Nothing about the calendar changes in 400 years of 146,097 days.
    let mut year = 1970 + 400 * (days / 146_097);
    days %= 146_097;
    while days >= year_length(year) {
        days -= year_length(year);
        year += 1;
    }
    let february = year_length(year) - 337;
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn year_length(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_234_567_890, "2009-02-13 23:31:30 UTC"),
            (1_795_000_000, "2026-11-18 11:06:40 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (16_725_225_600, "2500-01-01 00:00:00 UTC"),
        ] {
            assert_eq!(absolute(at(seconds)), text);
        }
    }

    #[test]
    fn distance_is_told_in_the_largest_unit() {
        let now = at(1_000_000);
        for (seconds, text) in [
            (1_000_000, "now"),
            (999_999, "1 second ago"),
            (1_000_119, "in 1 minute"),
            (1_000_000 - 7200, "2 hours ago"),
            (1_000_000 + 3 * 86400, "in 3 days"),
        ] {
            assert_eq!(relative(at(seconds), now), text);
        }
    }
}
