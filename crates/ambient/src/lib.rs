//! The clock and the system's randomness.
//!
//! These are the two things that no other code may reach for by itself: time
//! and random bytes come in as arguments. `clippy.toml` bans the functions
//! that read them everywhere else. This crate knows nothing of Matrix.

mod entropy;
mod timestamp;

pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use timestamp::{Clock, FrozenClock, SystemClock, Timestamp};
