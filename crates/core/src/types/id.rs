//! Ids of connections and listeners: a slot of a table, and its generation.

/// Index and generation: the key of a slot that was emptied finds nothing, also after the slot was
/// filled again.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Id of a connection. An id whose connection is gone finds nothing.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct ConnId(pub(crate) Key);

impl ConnId {
    /// The slot in the stack's table: small, dense, and reused after the connection is gone.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.index as usize
    }
}

/// Id of a listener; see [`ConnId`].
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct ListenerId(pub(crate) Key);

impl ListenerId {
    /// The slot in the stack's table: small, dense, and reused after the listener is closed.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.index as usize
    }
}
