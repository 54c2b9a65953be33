//! Library of the `tidewire` command and of tests: network labs without privilege, TCP peers,
//! traffic, ladder diagrams and reports.
//!
//! The files and folders from the lowest floor to the highest; each imports only from floors below
//! its own (`tests/floors.rs`).
//!
//! | file or folder | holds |
//! |---|---|
//! | `interrupt` | SIGINT and SIGTERM as an event |
//! | `netlink` | netlink requests over a plain socket |
//! | `state` | TCP connection states, and their sources |
//! | `style` | terminal text, plain or in colours |
//! | [`lab`] | hosts in network namespaces and the links between them |
//! | `progress` | progress of long work on standard error |
//! | [`ladder`] | ladder diagrams: recorder, text, SVG |
//! | [`report`] | comparisons with the kernel's TCP as a table and as JSON |
//! | [`traffic`] | bulk transfer, throughput, round trips over any TCP implementation |
//! | [`kernel`] | the kernel's TCP as such an implementation |
//! | [`stack`] | Tidewire as such an implementation |
//! | `commands/failure` | failures of a command and their exit codes |
//! | `commands/hosts` | hosts, links and processors for side-by-side runs |
//! | `commands/output` | text or JSON, colours, progress |
//! | `commands/place` | interface, addresses and gateways of a stack |
//! | `commands/demo` | `tidewire demo` |
//! | `commands/lab` | `tidewire lab` |
//! | `commands/nc` | `tidewire nc` |
//! | `commands/perf` | `tidewire perf` |
//! | [`commands`] | the command tree |

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
