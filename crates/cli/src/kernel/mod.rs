//! The kernel's TCP as a peer: sockets of `tokio::net` on CUBIC, and the kernel's report on a
//! connection.

mod socket;
mod states;

pub use socket::{Kernel, connect, listen};
pub use states::KernelStates;
