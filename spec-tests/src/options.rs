use crate::KnownFailures;

/// What to run, and against whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's base address, `http://host:port`.
    pub target: String,
    /// The token to register with, where the server demands one.
    pub registration_token: Option<String>,
    /// The server's name. Taken from the first registered user ID if absent.
    pub server_name: Option<String>,
    /// Run only cases whose name contains this.
    pub filter: Option<String>,
    /// How many cases run at the same time; 0 counts as 1.
    pub threads: usize,
    /// Also run cases that wait for the next TOTP step.
    pub slow: bool,
    /// Cases that are expected to fail.
    pub known_failures: KnownFailures,
}

impl Options {
    /// Every case but the slow ones, four at a time.
    #[must_use]
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            registration_token: None,
            server_name: None,
            filter: None,
            threads: 4,
            slow: false,
            known_failures: KnownFailures::default(),
        }
    }
}
