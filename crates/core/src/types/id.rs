//! Ids of connections and listeners: a slot of a table, and its generation.

/// Index and generation: a key to a slot that has been emptied since finds nothing, also when the slot is in use again.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Names a connection. An id outlives its connection harmlessly: it then finds nothing.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct ConnId(pub(crate) Key);

impl ConnId {
    /// The slot in the stack's table: small, dense, and reused after the connection is gone.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.index as usize
    }
}

/// Names a listener, as [`ConnId`] a connection.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct ListenerId(pub(crate) Key);

impl ListenerId {
    /// The slot in the stack's table: small, dense, and reused after the listener is closed.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.index as usize
    }
}
