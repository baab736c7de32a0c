//! The log: to standard error, for people or for programs.
//!
//! At `trace`, libraries print headers, statements and their parameters: that
//! is, passwords, tokens and codes. So whatever the level, only targets of our
//! own go beyond `info`, and nothing can be said in the environment to change
//! that.

use std::io::stderr;

use tracing::Level;
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{Log, LogFormat};

/// What our own targets begin with.
const OURS: &str = "myelin";

/// Starts logging. Nothing is logged before.
pub(crate) fn start(log: Log) {
    let filter = filter(log.level);
    let subscriber = tracing_subscriber::registry();
    match log.format {
        LogFormat::Human => {
            subscriber.with(fmt::layer().with_writer(stderr).with_filter(filter)).init();
        }
        LogFormat::Json => {
            let json = fmt::layer().json().flatten_event(true).with_current_span(false);
            subscriber.with(json.with_writer(stderr).with_filter(filter)).init();
        }
    }
}

fn filter(level: Level) -> Targets {
    Targets::new().with_default(level.min(Level::INFO)).with_target(OURS, level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_never_go_beyond_info() {
        for level in [Level::INFO, Level::DEBUG, Level::TRACE] {
            let filter = filter(level);
            for library in ["hyper::proto", "h2::codec", "sqlx::query", "tokio", "rustls", "x"] {
                assert!(filter.would_enable(library, &Level::INFO), "{library}");
                assert!(!filter.would_enable(library, &Level::DEBUG), "{library}");
                assert!(!filter.would_enable(library, &Level::TRACE), "{library}");
            }
        }
    }

    #[test]
    fn our_own_crates_go_as_far_as_was_asked() {
        for target in ["myelin", "myelin_server::observe", "myelin_storage"] {
            assert!(filter(Level::TRACE).would_enable(target, &Level::TRACE), "{target}");
            assert!(!filter(Level::WARN).would_enable(target, &Level::INFO), "{target}");
        }
    }

    #[test]
    fn a_low_level_holds_for_libraries_too() {
        assert!(!filter(Level::ERROR).would_enable("hyper", &Level::WARN));
    }
}
