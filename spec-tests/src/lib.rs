//! Conformance suite for two-factor User-Interactive Authentication.
//!
//! A black box: it speaks plain HTTP to any server that implements the
//! proposal, with codes of 6 digits and 30 seconds, and imports nothing of this
//! workspace. One [`Case`] stands for one MUST, is named after its clause and
//! registers the users it needs. What has no case is in
//! `proposal/conformance.json`, with the reason.
//!
//! [`run`] is all that another crate's test needs:
//!
//! ```no_run
//! let options = spec_tests::Options::new("http://localhost:8008");
//! let report = spec_tests::run(&options).expect("the server answers");
//! assert!(report.is_success(), "{}", spec_tests::Format::Text.render(&report));
//! ```

mod authenticator;
mod case;
mod cases;
mod client;
mod clock;
mod fixture;
mod known;
mod options;
mod random;
mod report;
mod runner;
mod stage;

pub use case::{Case, Failure};
pub use cases::all as cases;
pub use known::KnownFailures;
pub use options::Options;
pub use report::{Format, Outcome, Report, Verdict};
pub use runner::{Refusal, run};
