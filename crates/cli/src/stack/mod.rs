//! Tidewire as a peer: the streams of one of its stacks, and the stack's own account of a connection's state.

mod states;
mod transport;

pub use states::StackStates;
pub use transport::Tidewire;
