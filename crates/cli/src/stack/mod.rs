//! Tidewire as a peer: the streams of a stack, and the stack's report on a connection.

mod states;
mod transport;

pub use states::StackStates;
pub use transport::Tidewire;
