//! What the `tidewire` command is made of, for the command itself and for tests: network labs that need no privilege, Tidewire
//! and the kernel's TCP as its peer, traffic for any two TCP implementations, ladder diagrams of real connections, and reports.

#![forbid(unsafe_code)]

pub mod commands;
mod interrupt;
pub mod kernel;
pub mod lab;
pub mod ladder;
mod netlink;
mod progress;
pub mod report;
pub mod stack;
mod state;
mod style;
pub mod traffic;

pub use interrupt::Interrupt;
pub use style::Style;
