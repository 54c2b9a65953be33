//! Events for the application: edges, coalesced per connection.

use core::ops::{BitOr, BitOrAssign};

use super::{ConnId, ListenerId};

/// An event for the application.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The listener's accept queue has a connection.
    Acceptable(ListenerId),
    /// Something happened to a connection.
    Conn(ConnId, ConnEvents),
}

/// What happened to a connection since its last event: a set of flags.
#[derive(Copy, Clone, Default, Eq, PartialEq)]
pub struct ConnEvents(u8);

impl ConnEvents {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The handshake is over, or failed.
    pub const CONNECTED: Self = Self(1);
    /// Data arrived, or the peer's FIN, or an error.
    pub const READABLE: Self = Self(2);
    /// The send buffer has room again, or writing became pointless.
    pub const WRITABLE: Self = Self(4);
    /// The connection is over: TIME-WAIT or CLOSED.
    pub const CLOSED: Self = Self(8);

    /// Whether all of `other`'s flags are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other`'s flags is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for ConnEvents {
    type Output = Self;

    fn bitor(self, rhs: Self) -> Self {
        Self(self.0 | rhs.0)
    }
}

impl BitOrAssign for ConnEvents {
    fn bitor_assign(&mut self, rhs: Self) {
        self.0 |= rhs.0;
    }
}

impl core::fmt::Debug for ConnEvents {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names = [
            (Self::CONNECTED, "CONNECTED"),
            (Self::READABLE, "READABLE"),
            (Self::WRITABLE, "WRITABLE"),
            (Self::CLOSED, "CLOSED"),
        ];
        f.debug_set()
            .entries(
                names
                    .iter()
                    .filter(|(flag, _)| self.contains(*flag))
                    .map(|(_, name)| name),
            )
            .finish()
    }
}
