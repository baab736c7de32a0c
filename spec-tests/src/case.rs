use std::fmt;

use crate::fixture::Target;

/// What a case comes to.
pub(crate) type Check = Result<(), Failure>;

/// A line of a table of cases: name, the clause in our own words, the function.
pub(crate) type Row = (&'static str, &'static str, fn(&Target) -> Check);

/// One MUST of the proposal and the function that checks it.
pub struct Case {
    name: String,
    section: &'static str,
    clause: String,
    slow: bool,
    body: Box<dyn Fn(&Target) -> Check + Send + Sync>,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        section: &'static str,
        clause: impl Into<String>,
        body: impl Fn(&Target) -> Check + Send + Sync + 'static,
    ) -> Self {
        let (name, clause) = (name.into(), clause.into());
        Self { name, section, clause, slow: false, body: Box::new(body) }
    }

    /// Waits for the next TOTP step: runs only when asked for.
    pub(crate) fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    pub(crate) fn check(&self, target: &Target) -> Check {
        (self.body)(target)
    }

    /// The name, such as `stage.totp.replayed-code-is-wrong`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The section of the protocol, such as `§1 Stages`.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.section
    }

    /// What the protocol demands.
    #[must_use]
    pub fn clause(&self) -> &str {
        &self.clause
    }

    /// Whether the case waits for the next TOTP step.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.slow
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, section, clause, slow, body: _ } = self;
        f.debug_struct("Case")
            .field("name", name)
            .field("section", section)
            .field("clause", clause)
            .field("slow", slow)
            .finish_non_exhaustive()
    }
}

/// How a server fell short of a clause.
///
/// Holds the whole exchange, secrets of the test users included: whoever reads
/// it wants to repeat the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the protocol demands here.
    pub expected: String,
    /// What came instead.
    pub came: String,
    /// The request that was made.
    pub request: String,
}

impl Failure {
    pub(crate) fn new(
        expected: impl Into<String>,
        came: impl Into<String>,
        request: impl Into<String>,
    ) -> Self {
        Self { expected: expected.into(), came: came.into(), request: request.into() }
    }

    /// Says in which part of a case it happened.
    pub(crate) fn during(mut self, what: impl fmt::Display) -> Self {
        self.expected = format!("{what}: {}", self.expected);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, came, request } = self;
        write!(f, "expected: {expected}\n     got: {came}\n request: {request}")
    }
}

impl std::error::Error for Failure {}
