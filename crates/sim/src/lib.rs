//! Worlds of Tidewire stacks in virtual time, on seeded links.
//!
//! A [`World`] holds hosts, each with a [`Stack`](tidewire_core::Stack), on links that delay, lose,
//! reorder, duplicate and corrupt frames. It needs no privilege and no network, and no clock: hours
//! pass in milliseconds, and the same seed gives the same bytes on every machine.
//!
//! # Laws
//!
#![doc = include_str!("laws.md")]
//!
//! # Files
//!
//! | file | holds |
//! |---|---|
//! | `world.rs` | world: hosts, links, one clock, one heap of events |
//! | `world/network.rs` | links of a world: attachment, transmission, switching |
//! | `world/router.rs` | router on the path of a link: ICMP errors for packets above the path MTU |
//! | `link.rs` | link model: delay, rate, queue, faults, MTU |
//! | `host.rs` | host: a stack, its interface, its applications |
//! | `drive.rs` | driver in virtual time: frames, timeouts, application runs |
//! | `app/mod.rs` | the trait of applications, and what they may use |
//! | `app/peer.rs` | peer: one end of a connection |
//! | `app/peer/watch.rs` | time limits of a peer |
//! | `app/plan.rs` | plan that a peer follows |
//! | `app/server.rs` | server: a listener that gives every connection a peer |
//! | `app/read.rs` | reads from a connection: copied, by reference, peeked |
//! | `app/stream.rs` | stream contents: a function of connection and offset |
//! | `app/ledger.rs` | ledger of all streams: what was written, read, and lost |
//! | `laws.md` | list of the laws |
//! | `laws/mod.rs` | causes of a step |
//! | `laws/flow.rs` | laws checked on frames |
//! | `laws/connection.rs` | laws checked on connections |
//! | `laws/violation.rs` | names of the laws, report of a broken one |
//! | `laws/tail.rs` | newest frames, kept for a report |
//! | `fuzz.rs` | fuzz target: hostile frames for one stack |
//! | `fuzz/attacker.rs` | attacker on the link: hostile frames made of observed ones |
//! | `fuzz/input.rs` | fuzzer input: bytes read as choices |
//! | `pcap.rs` | capture in pcapng |
//! | `rng.rs` | seeded random numbers |
#![forbid(unsafe_code)]

mod app;
mod drive;
pub mod fuzz;
mod host;
mod laws;
mod link;
mod pcap;
mod rng;
mod world;

pub use app::{App, AppCx, Ending, Peer, Plan, Server};
pub use host::{HostConfig, HostId};
pub use laws::{Law, Violation};
pub use link::{BurstLoss, LinkConfig, LinkStats};
pub use rng::Rng;
pub use world::{LinkId, World};
