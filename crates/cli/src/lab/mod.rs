//! A lab: hosts and the links between them, made of network namespaces on this machine.
//!
//! A lab of this process ([`Lab`]) has anonymous namespaces held by its threads, so that nothing
//! can be left behind. A lab that outlives the command ([`persistent`]) is for work by hand. Both
//! work as root and, by a user namespace, as an ordinary user; [`enter`] comes first in either
//! case.
//!
//! ```no_run
//! use tidewire_cli::lab::{self, Lab, LabOptions};
//!
//! lab::enter()?;
//! let lab = Lab::new(&LabOptions::default())?;
//! let addresses = lab.right().ip(&["-brief", "address"])?;
//! # Ok::<(), lab::LabError>(())
//! ```

mod command;
mod direction;
mod enter;
mod error;
mod host;
mod link;
mod offload;
pub mod persistent;
mod topology;
mod wire;

pub use command::ip;
pub use direction::Direction;
pub use enter::{Privilege, enter};
pub use error::LabError;
pub use host::{HostHandle, HostRuntime, Task};
pub use link::{INTERFACE, LinkEnd, LinkOptions};
pub use offload::set_offloads;
pub use topology::{KERNEL_ADDRESS, Lab, LabOptions, TIDEWIRE_ADDRESS};
pub use wire::{IdleWire, Observer, SlowWire, WireHandle};
