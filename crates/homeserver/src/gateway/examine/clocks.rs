//! Whether the homeserver's clock and ours show the same time.

use std::time::{Duration, UNIX_EPOCH};

use myelin_ambient::Timestamp;

use super::Finding;

/// `Date` tells whole seconds (RFC 9110 §5.6.7).
const UNTOLD: Duration = Duration::from_secs(1);

/// A look at both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// Ours, when the homeserver was asked.
    pub(super) before: Timestamp,
    /// Ours, when it had answered.
    pub(super) after: Timestamp,
    /// Its own in between, if it tells.
    pub(super) there: Option<Timestamp>,
}

impl Clocks {
    /// By how much they differ at least; zero if nobody can tell.
    pub(super) fn apart(&self) -> Duration {
        let Self { before, after, there } = *self;
        let Some(there) = there else { return Duration::ZERO };
        there.saturating_since(after).max(before.saturating_since(there + UNTOLD))
    }

    /// Both times, for people.
    pub(super) fn both(&self) -> String {
        let there = self.there.map_or("unknown".to_owned(), shown);
        format!("here it is {}, at the homeserver {there}", shown(self.after))
    }

    /// Whether they differ by no more than is forgiven.
    pub(super) fn finding(&self, forgiven: Duration) -> Finding {
        if self.there.is_none() {
            let text =
                "the homeserver does not say what time it is, so the clocks are not compared";
            return Finding::Unknown(text.to_owned());
        }
        if self.apart() <= forgiven {
            return Finding::Good("the clocks show the same time".to_owned());
        }
        let (apart, both) = (self.apart().as_secs(), self.both());
        Finding::Bad(format!(
            "the clocks differ by {apart} seconds or more: {both}. Keep both right by NTP, and look which \
             is wrong: with the wrong one here, no code of an authenticator is right"
        ))
    }
}

fn shown(time: Timestamp) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(time.as_millis()))
}

/// A time as `Date` tells it.
pub(in crate::gateway) fn parse_date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text).ok()?;
    Some(Timestamp::default() + time.duration_since(UNIX_EPOCH).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_700);

    fn apart(there: &str) -> u64 {
        let after = NOW + Duration::from_millis(500);
        Clocks { before: NOW, after, there: parse_date(there) }.apart().as_secs()
    }

    #[test]
    fn what_a_date_leaves_untold_is_no_difference() {
        assert_eq!(apart("Wed, 18 Nov 2026 11:06:40 GMT"), 0);
        assert_eq!(apart("Wed, 18 Nov 2026 11:06:41 GMT"), 0);
        assert_eq!(apart("no date"), 0);
    }

    #[test]
    fn clocks_differ_in_both_directions() {
        assert_eq!(apart("Wed, 18 Nov 2026 11:07:41 GMT"), 59);
        assert_eq!(apart("Wed, 18 Nov 2026 11:05:40 GMT"), 59);
    }
}
