//! JSON document of a demo.

use std::path::PathBuf;

use serde::Serialize;

use super::settings::Settings;
use crate::ladder::Ladder;
use crate::report::{Comparison, Environment};
use crate::traffic::Verified;

/// Everything that the demo found.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// Version of the JSON form.
    pub(super) schema: u32,
    pub(super) version: &'static str,
    pub(super) environment: Environment,
    pub(super) settings: Settings,
    pub(super) ladder: Ladder,
    pub(super) transfers: Vec<Transfer>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) files: Files,
    /// What the whole demo took.
    pub(super) seconds: f64,
}

impl Document {
    pub(super) const SCHEMA: u32 = 1;
}

/// One verified transfer.
#[derive(Debug, Serialize)]
pub(super) struct Transfer {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    #[serde(flatten)]
    pub(super) verified: Verified,
}

/// Where the files are.
#[derive(Debug, Serialize)]
pub(super) struct Files {
    pub(super) picture: PathBuf,
    pub(super) document: PathBuf,
}
