//! Coverage of the seeds: in how many drawn worlds each feature occurred.

use std::collections::BTreeMap;

/// Something that a world may have, or that may happen in it.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) enum Feature {
    /// A host whose connections use NewReno.
    NewReno,
    /// A host with a small memory budget.
    SmallMemory,
    /// A host's memory was full at some time.
    FullMemory,
    /// An end with keep-alive that probes for long enough.
    KeepAlive,
    /// An end whose probes may all be lost.
    HastyKeepAlive,
    /// An end with a user timeout.
    UserTimeout,
    /// An end that closes with a linger time.
    Linger,
    /// An end that closes with a linger time of zero.
    LingerZero,
    /// A connection timed out.
    TimedOut,
    /// A connection was reset.
    Reset,
    /// The link lost its carrier for a while.
    LinkDown,
    /// A host got another MAC address.
    OtherMac,
    /// The link's MTU became lower.
    LowerMtu,
    /// A router on the way with an MTU of its own.
    PathMtu,
    /// A host learnt of a path MTU.
    PathMtuLearnt,
    /// A host restarted.
    Reboot,
    /// At least 10 hosts and 100 connections.
    BigWorld,
    /// 20 hosts and at least 900 connections.
    LargestWorld,
}

impl Feature {
    const ALL: [Self; Self::LargestWorld as usize + 1] = [
        Self::NewReno,
        Self::SmallMemory,
        Self::FullMemory,
        Self::KeepAlive,
        Self::HastyKeepAlive,
        Self::UserTimeout,
        Self::Linger,
        Self::LingerZero,
        Self::TimedOut,
        Self::Reset,
        Self::LinkDown,
        Self::OtherMac,
        Self::LowerMtu,
        Self::PathMtu,
        Self::PathMtuLearnt,
        Self::Reboot,
        Self::BigWorld,
        Self::LargestWorld,
    ];

    /// The least number of worlds with it, of the seeds that always run.
    const fn least(self) -> u64 {
        match self {
            Self::LargestWorld => 1,
            Self::BigWorld => 5,
            Self::FullMemory | Self::TimedOut | Self::HastyKeepAlive => 10,
            Self::Reboot | Self::PathMtuLearnt | Self::SmallMemory | Self::LingerZero => 30,
            _ => 50,
        }
    }
}

/// How many worlds had what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    worlds: BTreeMap<Feature, u64>,
}

impl Coverage {
    /// This one world has it.
    pub(crate) fn count(&mut self, feature: Feature) {
        self.worlds.insert(feature, 1);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (&feature, count) in &other.worlds {
            *self.worlds.entry(feature).or_default() += count;
        }
    }

    pub(crate) fn of(&self, feature: Feature) -> u64 {
        self.worlds.get(&feature).copied().unwrap_or(0)
    }

    /// What there was too little of.
    pub(crate) fn missing(&self) -> Vec<String> {
        let missing = Feature::ALL
            .into_iter()
            .filter(|&feature| self.of(feature) < feature.least());
        missing
            .map(|feature| {
                let (count, least) = (self.of(feature), feature.least());
                format!("{feature:?} in {count} worlds, {least} were expected")
            })
            .collect()
    }
}
