//! Drawn restarts of hosts.

use std::net::SocketAddr;

use tidewire_sim::{Peer, Plan, Server};

use super::faults::Changes;
use super::host::address;
use crate::coverage::Feature;

/// In a few worlds a host restarts, and connects to another one afterwards.
pub(super) fn draw_reboot(changes: &mut Changes<'_>, most: u64) {
    if !changes.rng.chance(30_000) {
        return;
    }
    let (host, at) = (changes.pick(), changes.moment());
    changes.notes.count(Feature::Reboot);
    changes
        .notes
        .say(&format!("host {} restarts at {at}", host + 1));
    let others = changes.hosts.len() - 1;
    let other = (host + 1 + changes.rng.below(others as u64) as usize) % changes.hosts.len();
    let v6 = changes.versions.is_v6(changes.rng);
    let to = SocketAddr::from((address(other as u8 + 1, v6), PORT));
    let bytes = changes.rng.below(most.min(20_000) + 1);
    let server = Server::new(to, 1, move |_| Plan::bulk(bytes));
    if let Err(violation) = changes.world.add_app(changes.hosts[other], server) {
        panic!("{violation}");
    }
    let client = Peer::connecting(to, Plan::bulk(bytes));
    let apps: Vec<Box<dyn tidewire_sim::App>> = vec![Box::new(client)];
    changes.world.reboot_at(at, changes.hosts[host], apps);
}

const PORT: u16 = 9_000;
