//! Worlds of Tidewire stacks in virtual time, on seeded links.
//!
//! A [`World`] holds hosts, each with a [`Stack`](tidewire_core::Stack), on links that delay, lose, reorder, duplicate
//! and corrupt frames. It needs no privilege and no network, and no clock: hours pass in milliseconds, and the same
//! seed gives the same bytes on every machine.
//!
//! # Laws
//!
#![doc = include_str!("laws.md")]
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
