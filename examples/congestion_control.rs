//! A user-defined congestion controller: TCP Vegas beside CUBIC, in virtual time.
//!
//! ```text
//! cargo run -p tidewire-examples --example congestion_control
//! ```
//!
//! CUBIC fills the bottleneck's queue until frames are dropped. Vegas (Brakmo et al., 1994) stops
//! growing once a few of its own segments wait there. On a real interface, set it by
//! `Stack::on("eth0").tcp(..)`, or per connection by `TcpStream::set_congestion`.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};

use tidewire_core::{
    AckSample, Algorithm, CongestionControl, CongestionEvent, Duration, Instant, IpCidr,
    initial_window,
};
use tidewire_sim::{HostConfig, LinkConfig, Peer, Plan, Server, World};

/// Limits of the number of its own segments in the queue.
const WAITING: (u64, u64) = (2, 4);

#[derive(Debug)]
struct Vegas {
    mss: u64,
    cwnd: u64,
    ssthresh: u64,
    /// End of the current round trip: the window changes once per round trip.
    round_ends: Instant,
}

impl Vegas {
    fn algorithm() -> Algorithm {
        Algorithm::Custom(|mss| {
            Box::new(Self {
                mss: mss.into(),
                cwnd: initial_window(mss),
                ssthresh: u64::MAX,
                round_ends: Instant::ZERO,
            })
        })
    }
}

impl CongestionControl for Vegas {
    fn name(&self) -> &'static str {
        "vegas"
    }

    fn on_ack(&mut self, sample: &AckSample) {
        let (Some(rtt), Some(min_rtt)) = (sample.rtt, sample.min_rtt) else {
            return;
        };
        if sample.in_recovery || sample.now < self.round_ends {
            return;
        }
        self.round_ends = sample.now + rtt;
        // The part of the window that waits in the queue.
        let queued = self.cwnd as f64 * (1.0 - min_rtt.as_nanos() as f64 / rtt.as_nanos() as f64);
        let queued = queued as u64 / self.mss;
        if queued > WAITING.1 {
            self.cwnd = (self.cwnd - self.mss).max(2 * self.mss);
            self.ssthresh = self.cwnd;
        } else if queued < WAITING.0 && sample.cwnd_limited {
            let slow_start = self.cwnd < self.ssthresh;
            self.cwnd += if slow_start { self.cwnd / 2 } else { self.mss };
        }
    }

    fn on_congestion(&mut self, event: &CongestionEvent) {
        self.ssthresh = (event.flight_size / 2).max(2 * self.mss);
        self.cwnd = self.ssthresh;
    }

    fn on_rto(&mut self, event: &CongestionEvent) {
        self.on_congestion(event);
        self.cwnd = self.mss;
    }

    fn set_mss(&mut self, mss: u32) {
        self.mss = mss.into();
    }

    fn cwnd(&self) -> u64 {
        self.cwnd
    }

    fn ssthresh(&self) -> u64 {
        self.ssthresh
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("20 MB over a link of 100 Mbit/s and 20 ms with a queue of 250 kB");
    for (name, algorithm) in [("cubic", Algorithm::Cubic), ("vegas", Vegas::algorithm())] {
        let mut world = World::new(1);
        let [client, server] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        let http = SocketAddr::new(server, 80);
        let mut sender = HostConfig::new(IpCidr::new(server, 24));
        sender.stack.tcp.congestion = algorithm;
        let server = world.add_host(sender)?;
        let client = world.add_host(HostConfig::new(IpCidr::new(client, 24)))?;
        let link = LinkConfig {
            rate: Some(12_500_000), // bytes per second
            queue: 250_000,         // bytes, one round trip's worth
            ..LinkConfig::with_delay(Duration::from_millis(10))
        };
        world.link(client, server, link);
        world.add_app(server, Server::new(http, 1, |_| Plan::bulk(20_000_000)))?;
        world.add_app(client, Peer::connecting(http, Plan::bulk(0)))?;
        world.run_until_done(Instant::ZERO + Duration::from_secs(3600))?;
        let dropped = world.link_stats(server).overflowed;
        println!(
            "{name}: {} ms, {dropped} frames dropped",
            world.now().duration_since(Instant::ZERO).as_millis()
        );
    }
    Ok(())
}
