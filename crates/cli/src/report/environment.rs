//! Environment of a run: kernel, processors, congestion control.

use std::{fs, thread};

/// The machine of a run, as far as it bears on the numbers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Environment {
    /// The kernel's release.
    pub kernel: String,
    /// Processors that this process may use.
    pub cpus: usize,
    /// The congestion control of the compared sockets.
    pub congestion_control: String,
}

impl Environment {
    /// Reads this machine's.
    #[must_use]
    pub fn read() -> Self {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            kernel: release.trim().to_owned(),
            cpus: thread::available_parallelism().map_or(1, usize::from),
            congestion_control: "cubic".into(),
        }
    }
}
