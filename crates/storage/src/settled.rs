//! How a transaction ends.

use crate::Outcome;

/// What a verb came to, and whether what it wrote on the way is to stay.
pub(crate) enum Settled<T> {
    /// It stays.
    Commit(T),
    /// It goes: the answer is a refusal.
    RollBack(T),
}

impl<T> From<Outcome<T>> for Settled<Outcome<T>> {
    fn from(outcome: Outcome<T>) -> Self {
        match outcome {
            Outcome::Committed(_) => Self::Commit(outcome),
            Outcome::Stale => Self::RollBack(outcome),
        }
    }
}

impl From<bool> for Settled<bool> {
    /// `false` says that there was nothing to do.
    fn from(done: bool) -> Self {
        if done { Self::Commit(true) } else { Self::RollBack(false) }
    }
}
