//! Drawn connections: which hosts talk to which.

use std::net::SocketAddr;

use tidewire_core::ListenOptions;
use tidewire_sim::{App, HostId, LinkConfig, Peer, Plan, Rng, Server, World};

use super::host::address;
use super::plans::draw_plans;
use super::{Notes, Size, Versions, micros};

/// What takes about 60 s: by the link's rate, over all connections and both directions, and by a
/// buffer per trip.
pub(super) fn most_bytes(size: &Size, config: &LinkConfig, smallest_buffer: usize) -> u64 {
    let count = u64::from(size.connections);
    let by_rate = config.rate.map_or(u64::MAX, |rate| rate * 30 / count);
    let cables = u64::from(size.hosts.min(3));
    let trip = (2 * config.delay.as_micros()).saturating_mul(cables);
    // A buffer of less than two usual segments may go at the pace of timeouts.
    let is_tiny = smallest_buffer < 3_000;
    let trip = if is_tiny {
        trip + 1_000_000
    } else {
        trip.max(1)
    };
    let by_buffer = smallest_buffer as u64 * 60_000_000 / trip;
    let by_count = if count > 4 {
        6_000_000 / count
    } else {
        MOST_BYTES
    };
    by_rate.min(by_buffer).min(by_count).min(MOST_BYTES)
}

/// What draws the connections of a world.
pub(super) struct Connections<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) world: &'a mut World,
    pub(super) notes: &'a mut Notes,
    pub(super) hosts: &'a [HostId],
    pub(super) versions: Versions,
    pub(super) count: u16,
}

impl Connections<'_> {
    pub(super) fn draw(&mut self, most: u64) {
        match self.rng.below(10) {
            0..5 => self.one_listener(most),
            5..9 => self.a_listener_each(most),
            _ => self.simultaneous(most),
        }
    }

    fn is_v6(&mut self) -> bool {
        self.versions.is_v6(self.rng)
    }

    fn pick(&mut self) -> u8 {
        self.rng.below(self.hosts.len() as u64) as u8
    }

    /// Two hosts that are not the same.
    fn pick_two(&mut self) -> (u8, u8) {
        let first = self.pick();
        let further = 1 + self.rng.below(self.hosts.len() as u64 - 1) as u8;
        (first, (first + further) % self.hosts.len() as u8)
    }

    fn add(&mut self, host: u8, app: impl App + 'static) {
        if let Err(violation) = self.world.add_app(self.hosts[usize::from(host)], app) {
            panic!("{violation}");
        }
    }

    /// What both ends of a connection do.
    fn plans(&mut self, most: u64) -> (Plan, Plan) {
        let (client, server) = draw_plans(self.rng, most, self.notes);
        self.notes
            .say(&format!("client {client:?}\nserver {server:?}"));
        (client, server)
    }

    /// All connect to one listener, which may be late to accept, and small.
    fn one_listener(&mut self, most: u64) {
        let count = self.count;
        let plans: Vec<_> = (0..count).map(|_| self.plans(most)).collect();
        let (v6, server) = (self.is_v6(), self.pick());
        let to = SocketAddr::from((address(server + 1, v6), SERVER_PORT));
        let of_client: Vec<_> = plans.iter().map(|(_, server)| server.clone()).collect();
        let plan =
            move |client: SocketAddr| of_client[usize::from(client.port() - CLIENT_PORT)].clone();
        let mut listener = Server::new(to, count.into(), plan);
        if self.rng.chance(200_000) {
            // SYNs that come again come all at once: in each of their few rounds enough must find
            // room.
            let backlog = 1 + self.rng.below(8) as usize + usize::from(count / 2);
            let late = micros(self.rng, 1, 3_000_000);
            self.notes
                .say(&format!("backlog {backlog}, accepted after {late:?}"));
            listener = listener
                .with_options(ListenOptions {
                    backlog,
                    ..ListenOptions::default()
                })
                .accepting_after(late);
        }
        self.add(server, listener);
        for (index, (plan, _)) in (0..count).zip(plans) {
            let others = self.hosts.len() as u64 - 1;
            let client = (server + 1 + self.rng.below(others) as u8) % self.hosts.len() as u8;
            let local = (address(client + 1, v6), CLIENT_PORT + index).into();
            self.add(client, Peer::connecting_from(local, to, plan));
        }
    }

    fn a_listener_each(&mut self, most: u64) {
        for index in 0..self.count {
            let plans = self.plans(most);
            let (client_plan, server_plan) = plans;
            let (server, client) = self.pick_two();
            let v6 = self.is_v6();
            let on = SocketAddr::from((address(server + 1, v6), SERVER_PORT + index));
            self.add(server, Server::new(on, 1, move |_| server_plan.clone()));
            self.add(client, Peer::connecting(on, client_plan));
        }
    }

    /// Both ends connect at the same instant, and again where they do not meet.
    fn simultaneous(&mut self, most: u64) {
        self.notes.say("simultaneous opens");
        for index in 0..self.count {
            let plans = self.plans(most);
            let (a, b) = self.pick_two();
            let v6 = self.is_v6();
            let left = SocketAddr::from((address(a + 1, v6), CLIENT_PORT + index));
            let right = SocketAddr::from((address(b + 1, v6), SERVER_PORT + index));
            self.add(a, Peer::connecting_from(left, right, plans.0).insisting());
            self.add(b, Peer::connecting_from(right, left, plans.1).insisting());
        }
    }
}

const MOST_BYTES: u64 = 1_500_000;
const SERVER_PORT: u16 = 7_000;
const CLIENT_PORT: u16 = 40_000;
