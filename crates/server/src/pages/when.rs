//! Times and durations as people read them.

use std::time::Duration;

use myelin_ambient::Timestamp;

use super::texts::{Texts, fill};

/// `2026-11-26 14:03:09 UTC`
pub(crate) fn utc(at: Timestamp) -> String {
    let seconds = at.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The date in the Gregorian calendar, so many days after 1970-01-01. Years
/// are counted from March on, so that the leap day is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// How long to wait, never too short.
pub(crate) fn wait(texts: &Texts, time: Duration) -> String {
    let seconds = u64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
    let (number, text) = match seconds {
        1..100 => (seconds, texts.seconds),
        _ => (seconds.div_ceil(60), texts.minutes),
    };
    fill(text, &[("n", &number.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (1_798_761_600, "2027-01-01 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(Timestamp::from_millis(seconds * 1000)), expected);
        }
    }

    #[test]
    fn nobody_is_told_to_come_back_too_early() {
        let texts = super::super::texts::asked_for("en").unwrap();
        for (millis, expected) in [
            (1, "1 s"),
            (29_001, "30 s"),
            (99_000, "99 s"),
            (99_001, "2 min"),
            (3_600_000, "60 min"),
        ] {
            assert_eq!(wait(texts, Duration::from_millis(millis)), expected);
        }
    }
}
