//! Why a command did not succeed, and its exit code.

use std::{fmt::Display, process::ExitCode};

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the configuration is not right: exit code 2.
    Usage(anyhow::Error),
    /// The work could not be done: exit code 1.
    Failed(anyhow::Error),
}

impl Failure {
    /// The command line or the configuration is not right.
    pub(crate) fn usage(text: impl Display) -> Self {
        Self::Usage(anyhow::anyhow!("{text}"))
    }

    /// The work could not be done.
    pub(crate) fn failed(text: impl Display) -> Self {
        Self::Failed(anyhow::anyhow!("{text}"))
    }

    /// Tells the person at the terminal, with all causes.
    pub(crate) fn report(self) -> ExitCode {
        let (error, code) = match self {
            Self::Usage(error) => (error, 2),
            Self::Failed(error) => (error, 1),
        };
        eprintln!("error: {error:#}");
        ExitCode::from(code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}
