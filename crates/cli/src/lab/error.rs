//! Lab errors.

use core::fmt;
use std::io;

/// Why a lab could not be made or used.
#[derive(Debug)]
pub enum LabError {
    /// This machine or this user may not do it; the text says what would help.
    Environment(String),
    /// It was allowed, and failed.
    Failed(String),
}

impl LabError {
    /// The exit code that the command reports: 3 for the environment, 1 for a failure.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Environment(_) => 3,
            Self::Failed(_) => 1,
        }
    }

    pub(super) fn failed(doing: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::Failed(format!("{doing}: {error}"))
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(text) | Self::Failed(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for LabError {}

impl From<LabError> for io::Error {
    fn from(error: LabError) -> Self {
        let kind = match error {
            LabError::Environment(_) => io::ErrorKind::PermissionDenied,
            LabError::Failed(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
