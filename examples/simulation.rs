//! A download over links of growing loss, in virtual time: no privilege, no network, no waiting.
//!
//! ```text
//! cargo run -p tidewire-examples --example simulation
//! ```
//!
//! Both ends are the same stack that runs on real interfaces. The simulated world gives them time,
//! randomness and a link, all from one seed, so that a run can be repeated exactly.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};

use tidewire_core::{Duration, Instant, IpCidr};
use tidewire_sim::{HostConfig, LinkConfig, Peer, Plan, Server, World};

const BYTES: u64 = 10_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    println!("10 MB over a link of 100 Mbit/s and 20 ms");
    println!();
    println!("frames lost    duration     rate");
    for percent in [0.0, 0.01, 0.1, 1.0, 3.0] {
        let download = Download::run(1, percent)?;
        println!(
            "{percent:>9} %   {:>7.2} s   {:>5.1} Mbit/s",
            download.seconds,
            BYTES as f64 * 8.0 / download.seconds / 1e6
        );
    }

    let (first, again) = (Download::run(7, 1.0)?, Download::run(7, 1.0)?);
    assert_eq!(first.digest, again.digest);
    println!();
    println!("the same seed gives the same frames at the same times");
    Ok(())
}

struct Download {
    /// Virtual seconds of the download.
    seconds: f64,
    /// Digest over all frames and their times.
    digest: u64,
}

impl Download {
    fn run(seed: u64, lost_percent: f64) -> Result<Self, Box<dyn Error>> {
        let mut world = World::new(seed);
        let [client_ip, server_ip] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        let client = world.add_host(HostConfig::new(IpCidr::new(client_ip, 24)))?;
        let server = world.add_host(HostConfig::new(IpCidr::new(server_ip, 24)))?;
        let link = LinkConfig {
            rate: Some(12_500_000), // bytes per second
            queue: 500_000,         // bytes, one round trip's worth
            loss_ppm: (lost_percent * 10_000.0) as u32,
            ..LinkConfig::with_delay(Duration::from_millis(10))
        };
        world.link(client, server, link);

        let http = SocketAddr::new(server_ip, 80);
        world.add_app(server, Server::new(http, 1, |_| Plan::bulk(BYTES)))?;
        world.add_app(client, Peer::connecting(http, Plan::bulk(0)))?;

        let an_hour = Instant::ZERO + Duration::from_secs(3600);
        if !world.run_until_done(an_hour)? {
            return Err(format!("not done after an hour: {:?}", world.incomplete_streams()).into());
        }
        Ok(Self {
            seconds: world.now().duration_since(Instant::ZERO).as_nanos() as f64 / 1e9,
            digest: world.digest(),
        })
    }
}
