//! Log events of devices, logged when the shard's lock is free: a subscriber is foreign code, which
//! might want the lock.

use std::io;

use tidewire_core::ConfigError;

/// Something to log.
#[derive(Debug)]
pub(crate) enum Note {
    /// The interface refused an offload that it had promised.
    OffloadRefused {
        /// The interface's name.
        interface: String,
    },
    /// The interface did not take frames.
    FramesLost {
        /// The interface's name.
        interface: String,
        /// How many since the last such event.
        count: u64,
        /// Why it did not take the last one.
        error: io::Error,
    },
    /// A capture file cannot be written.
    CaptureEnded(io::Error),
    /// The link changed to something that the stack cannot use.
    BadLink(ConfigError),
}

impl Note {
    /// Logs it. No lock may be held.
    pub(crate) fn log(self) {
        match self {
            Self::OffloadRefused { interface } => {
                tracing::warn!(interface, "offload refused, now in software");
            }
            Self::FramesLost {
                interface,
                count,
                error,
            } => tracing::debug!(interface, count, %error, "frames lost"),
            Self::CaptureEnded(error) => {
                tracing::warn!(%error, "the capture file cannot be written, recording ends");
            }
            Self::BadLink(error) => {
                tracing::error!(%error, "the link changed to something unusable");
            }
        }
    }
}
