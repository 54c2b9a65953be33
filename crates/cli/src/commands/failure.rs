//! Failures of a command and their exit codes.

use core::fmt;
use std::io;
use std::process::ExitCode;

use tidewire::StackError;

use crate::lab::LabError;

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The work failed.
    Failed(String),
    /// The command line is wrong.
    Usage(String),
    /// This machine or this user may not do it; the text says what would help.
    Environment(String),
    /// A measured ratio is below the one asked for.
    Missed(String),
    /// SIGINT or SIGTERM came.
    Interrupted,
}

impl Failure {
    /// A failure with the step in which it happened.
    pub(super) fn failed(doing: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::Failed(format!("{doing}: {error}"))
    }

    /// The same failure with the step in which it happened.
    pub(super) fn during(self, doing: impl fmt::Display) -> Self {
        match self {
            Self::Failed(text) => Self::failed(doing, text),
            other => other,
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Environment(_) => 3,
            Self::Missed(_) => 4,
            Self::Interrupted => 130,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text)
            | Self::Usage(text)
            | Self::Environment(text)
            | Self::Missed(text) => f.write_str(text),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Self {
        match error {
            LabError::Environment(text) => Self::Environment(text),
            LabError::Failed(text) => Self::Failed(text),
        }
    }
}

impl From<StackError> for Failure {
    fn from(error: StackError) -> Self {
        let text = error.to_string();
        match error {
            StackError::BadAddress(_)
            | StackError::BadGateway(_)
            | StackError::BadMac(_)
            | StackError::NoAddress
            | StackError::Config(_) => Self::Usage(text),
            StackError::NoRuntime | StackError::Capture { .. } => Self::Failed(text),
            _ => Self::Environment(text),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_cannot_start_is_wrong_usage_or_the_environment() {
        let bad = Failure::from(StackError::BadAddress("10.0.0.2".into()));
        assert!(matches!(bad, Failure::Usage(text) if text.contains("`10.0.0.2`")));
        let down = StackError::LinkDown {
            interface: "eth0".into(),
        };
        assert!(matches!(Failure::from(down), Failure::Environment(text) if text.contains("eth0")));
    }
}
