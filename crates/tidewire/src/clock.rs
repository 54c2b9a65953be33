//! Clock of the process: tokio's time as the core's instants.

use std::sync::OnceLock;
use std::time::SystemTime;

use tidewire_core::{Duration, Instant};

/// Maps tokio's clock to the core's. All stacks of a process share the epoch, so that their traces
/// and captures can be laid side by side.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Clock {
    tokio: tokio::time::Instant,
    system: SystemTime,
}

impl Clock {
    /// The time now.
    pub(crate) fn now() -> Instant {
        // tokio's clock rather than the system's: a test may have paused it.
        let elapsed = tokio::time::Instant::now().saturating_duration_since(Self::epoch().tokio);
        Instant::ZERO + Duration::from(elapsed)
    }

    /// When tokio's clock will show `at`.
    pub(crate) fn to_tokio(at: Instant) -> tokio::time::Instant {
        let offset = at.duration_since(Instant::ZERO);
        let epoch = Self::epoch().tokio;
        epoch
            .checked_add(offset.into())
            .unwrap_or(epoch + FAR_FUTURE)
    }

    /// `at` in nanoseconds since 1970.
    pub(crate) fn unix_nanos(at: Instant) -> u64 {
        let epoch = Self::epoch().system.duration_since(SystemTime::UNIX_EPOCH);
        let epoch = epoch.map_or(0, |since| {
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        });
        epoch.saturating_add(at.as_nanos())
    }

    fn epoch() -> Self {
        static EPOCH: OnceLock<Clock> = OnceLock::new();
        *EPOCH.get_or_init(|| Self {
            tokio: tokio::time::Instant::now(),
            system: SystemTime::now(),
        })
    }
}

/// Later than any timer that matters, and within what every clock can add.
const FAR_FUTURE: std::time::Duration = std::time::Duration::from_secs(86_400 * 365 * 30);
