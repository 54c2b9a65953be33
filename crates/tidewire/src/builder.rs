//! Builder and start of a stack: settings, device, address probe.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use tidewire_core::wire::{MacAddr, solicited_node};
use tidewire_core::{Gateways, IpCidr, LinkCaps, Secret, StackConfig, TcpConfig};

use crate::clock::Clock;
use crate::device::{
    Device, Impaired, Impairment, Interface, MemoryLink, PacketOptions, PacketSocket, Tap,
};
use crate::error::StackError;
use crate::shard::{ShardRef, State};
use crate::stack::{About, Stack};

impl Stack {
    /// A builder of a stack on a network interface.
    pub fn on(interface: impl Into<String>) -> StackBuilder {
        StackBuilder::new(Place::Interface(interface.into()), PROBE_TIME)
    }

    /// A builder of a stack on one end of a link in memory, which needs no privilege.
    pub fn in_memory(link: MemoryLink) -> StackBuilder {
        // No probe: the only peer belongs to the same program.
        StackBuilder::new(Place::Memory(link), Duration::ZERO)
    }
}

/// Settings of a [`Stack`] to be started; see [`Stack::on`] and [`Stack::in_memory`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct StackBuilder {
    place: Place,
    addresses: Vec<String>,
    gateways: Vec<String>,
    mac: Option<String>,
    tcp: TcpConfig,
    mtu: Option<u32>,
    offload: bool,
    spin: Duration,
    memory: Option<usize>,
    trace: usize,
    probe: Duration,
    capture: Option<PathBuf>,
    impairment: Impairment,
}

/// The link that the stack is started on.
#[derive(Debug)]
enum Place {
    Interface(String),
    Memory(MemoryLink),
}

impl StackBuilder {
    fn new(place: Place, probe: Duration) -> Self {
        Self {
            place,
            addresses: Vec::new(),
            gateways: Vec::new(),
            mac: None,
            tcp: TcpConfig::default(),
            mtu: None,
            offload: true,
            spin: default_spin(),
            memory: None,
            trace: 0,
            probe,
            capture: None,
            impairment: Impairment::default(),
        }
    }

    /// Adds an own address with the length of its on-link prefix, `10.0.0.2/24` or
    /// `2001:db8::2/64`. Required; it must be one that no one has, the kernel included. There may
    /// be several, of both IP versions.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// The next hop for destinations off the own prefixes; one for each IP version, of several the
    /// last counts.
    pub fn gateway(mut self, gateway: impl Into<String>) -> Self {
        self.gateways.push(gateway.into());
        self
    }

    /// The own MAC address, `02:00:00:00:00:01`. The default is a random one of the locally
    /// administered range, different at every start.
    pub fn mac(mut self, mac: impl Into<String>) -> Self {
        self.mac = Some(mac.into());
        self
    }

    /// The defaults of all connections: buffers, timers, congestion control.
    pub fn tcp(mut self, tcp: TcpConfig) -> Self {
        self.tcp = tcp;
        self
    }

    /// The largest IP packet, in bytes, where it is not the interface's MTU. In memory the default
    /// is 1500.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = Some(mtu);
        self
    }

    /// Whether segmentation and checksums are left to the interface, where it can; the default.
    /// Without, every frame leaves complete and no larger than the MTU.
    pub fn offload(mut self, offload: bool) -> Self {
        self.offload = offload;
        self
    }

    /// How long the driver goes on looking for frames after the last one before it sleeps. Zero
    /// saves the processor time that costs, a few tens of microseconds cut the latency of replies
    /// that come soon. The default is 50 us, and zero where there is only one processor.
    pub fn spin(mut self, spin: Duration) -> Self {
        self.spin = spin;
        self
    }

    /// Bytes of memory that all connections may hold together, 256 MiB by default. Near it buffers
    /// and windows shrink, and writes wait; new connections fail with `ENOBUFS` at last.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Traces segments, keeping the newest `capacity` until [`Stack::take_trace`] takes them; zero,
    /// the default, for none.
    pub fn trace(mut self, capacity: usize) -> Self {
        self.trace = capacity;
        self
    }

    /// How long the start waits for another host to claim one of the addresses (RFC 5227 §2.1,
    /// RFC 4862 §5.4); zero to start without asking. The default is 100 ms on an interface, zero in
    /// memory.
    ///
    /// The RFCs wait for one second and for several. A host that is awake answers within
    /// milliseconds, and the stack notices later claims, too ([`Stack::address_conflict`]).
    pub fn probe(mut self, probe: Duration) -> Self {
        self.probe = probe;
        self
    }

    /// Records every frame to a pcapng file, which is created or overwritten. It is complete
    /// whenever the stack is idle.
    pub fn pcap(mut self, path: impl Into<PathBuf>) -> Self {
        self.capture = Some(path.into());
        self
    }

    /// Delays every frame by `delay`, each way: round trips take twice as much longer.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.impairment.transmit_delay = delay;
        self.impairment.receive_delay = delay;
        self
    }

    /// Loses this part of the frames, 0.0 to 1.0, each way.
    pub fn loss(mut self, rate: f64) -> Self {
        self.impairment.transmit_loss = rate;
        self.impairment.receive_loss = rate;
        self
    }

    /// Delay and loss in detail.
    pub fn impair(mut self, impairment: Impairment) -> Self {
        self.impairment = impairment;
        self
    }

    /// Opens the device, checks that no one has the addresses, and spawns the task that drives the
    /// stack on the current tokio runtime, whose I/O and time drivers have to be enabled.
    ///
    /// # Errors
    /// [`StackError`], whose text says what to do.
    pub async fn start(self) -> Result<Stack, StackError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(StackError::NoRuntime);
        }
        let addresses = self.parse_addresses()?;
        let gateways = self.parse_gateways()?;
        let mac = self.parse_mac()?;
        let ips: Vec<IpAddr> = addresses.iter().map(|cidr| cidr.address).collect();
        let (name, mut device) = self.place.open(&ips, mac, self.mtu, self.offload)?;
        if !self.impairment.is_none() {
            device = Box::new(Impaired::new(device, self.impairment));
        }
        if let Some(path) = self.capture {
            let tap = Tap::create(device, &path, &name);
            device = Box::new(tap.map_err(|error| StackError::Capture { path, error })?);
        }

        let first = addresses.first().copied().ok_or(StackError::NoAddress)?;
        let mut config = StackConfig::new(first, device.link());
        config.addresses = addresses;
        config.gateways = gateways;
        config.tcp = self.tcp.clone();
        config.memory = self.memory.unwrap_or(config.memory);
        let mut core = tidewire_core::Stack::new(config, secret()?, Clock::now())?;
        core.set_trace(self.trace);
        let stack = Stack::new(
            ShardRef::start(core, device, self.spin),
            About {
                interface: name,
                mac,
                addresses: ips,
                tcp: self.tcp,
            },
        );
        probe(&stack, self.probe).await?;
        tracing::info!(
            interface = stack.interface(),
            %mac,
            addresses = ?stack.addresses(),
            "stack started"
        );
        Ok(stack)
    }

    fn parse_addresses(&self) -> Result<Vec<IpCidr>, StackError> {
        if self.addresses.is_empty() {
            return Err(StackError::NoAddress);
        }
        self.addresses.iter().map(|text| parse_cidr(text)).collect()
    }

    fn parse_gateways(&self) -> Result<Gateways, StackError> {
        let mut gateways = Gateways::default();
        for text in &self.gateways {
            let gateway = text.parse();
            gateways.set(gateway.map_err(|_| StackError::BadGateway(text.clone()))?);
        }
        Ok(gateways)
    }

    fn parse_mac(&self) -> Result<MacAddr, StackError> {
        let Some(text) = &self.mac else {
            return random_mac();
        };
        text.parse()
            .ok()
            .filter(|mac: &MacAddr| !mac.is_multicast() && mac.0 != [0; 6])
            .ok_or_else(|| StackError::BadMac(text.clone()))
    }
}

impl Place {
    fn open(
        self,
        addresses: &[IpAddr],
        mac: MacAddr,
        mtu: Option<u32>,
        offload: bool,
    ) -> Result<(String, Box<dyn Device>), StackError> {
        match self {
            Self::Interface(name) => {
                let interface = Interface::find(&name, addresses)?;
                let options = PacketOptions {
                    mac,
                    groups: groups_of(addresses),
                    ip_mtu: mtu,
                    offload,
                };
                Ok((name, Box::new(PacketSocket::open(interface, options)?)))
            }
            Self::Memory(link) => {
                let mtu = mtu.unwrap_or(MEMORY_MTU);
                let device = link.into_device(LinkCaps::ethernet(mac, mtu), offload);
                Ok(("memory".into(), Box::new(device)))
            }
        }
    }
}

/// Probes the stack's addresses, waits for conflicts, then announces the addresses (RFC 5227).
async fn probe(stack: &Stack, wait: Duration) -> Result<(), StackError> {
    if wait.is_zero() {
        return Ok(());
    }
    for _ in 0..PROBES {
        stack.shard().with(|state, now| {
            for &address in stack.addresses() {
                state.stack().probe_address(now, address);
            }
        });
        tokio::time::sleep(wait / PROBES).await;
        let conflict = stack
            .shard()
            .inspect(|state| state.stack().address_conflict());
        if let Some((address, mac)) = conflict {
            return Err(StackError::AddressInUse { address, mac });
        }
    }
    let announce = |state: &mut State, now| state.stack().announce_addresses(now);
    stack.shard().with(announce);
    Ok(())
}

fn parse_cidr(text: &str) -> Result<IpCidr, StackError> {
    let parse = || {
        let (address, prefix) = text.split_once('/')?;
        Some(IpCidr::new(address.parse().ok()?, prefix.parse().ok()?))
    };
    parse().ok_or_else(|| StackError::BadAddress(text.to_owned()))
}

/// The multicast MAC addresses of all nodes and of the solicited nodes (RFC 4291 §2.8). ARP needs
/// none: the broadcast address always passes.
fn groups_of(addresses: &[IpAddr]) -> Vec<MacAddr> {
    let mut groups = Vec::new();
    for address in addresses {
        if let IpAddr::V6(address) = *address {
            groups.push(MacAddr::ipv6_multicast(ALL_NODES));
            groups.push(MacAddr::ipv6_multicast(solicited_node(address)));
        }
    }
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// A unicast address of the locally administered range.
fn random_mac() -> Result<MacAddr, StackError> {
    let mut octets = [0; 6];
    getrandom::fill(&mut octets).map_err(|_| StackError::NoEntropy)?;
    octets[0] = octets[0] & !GROUP_BIT | LOCAL_BIT;
    Ok(MacAddr(octets))
}

fn secret() -> Result<Secret, StackError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| StackError::NoEntropy)?;
    Ok(Secret::new(bytes))
}

fn default_spin() -> Duration {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    if processors > 1 {
        DEFAULT_SPIN
    } else {
        Duration::ZERO
    }
}

/// Covers the time that a peer on another processor takes to wake up and answer.
const DEFAULT_SPIN: Duration = Duration::from_micros(50);
const PROBE_TIME: Duration = Duration::from_millis(100);
const PROBES: u32 = 2;
const MEMORY_MTU: u32 = 1500;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Individual/group and universal/local bits of a MAC address' first octet (IEEE 802).
const GROUP_BIT: u8 = 1;
const LOCAL_BIT: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_prefix_length() {
        assert_eq!(
            parse_cidr("10.0.0.2/24").unwrap(),
            IpCidr::new("10.0.0.2".parse().unwrap(), 24)
        );
        for bad in [
            "",
            "10.0.0.2",
            "10.0.0.2/",
            "10.0.0/24",
            "10.0.0.2/300",
            "eth0/24",
        ] {
            assert!(
                matches!(parse_cidr(bad), Err(StackError::BadAddress(text)) if text == bad),
                "{bad}"
            );
        }
    }

    #[test]
    fn there_is_a_gateway_for_each_version() {
        let builder = Stack::on("eth0").gateway("10.0.0.1").gateway("fe80::1");
        let gateways = builder.gateway("10.0.0.9").parse_gateways().unwrap();
        assert_eq!(gateways.v4, Some("10.0.0.9".parse().unwrap()));
        assert_eq!(gateways.v6, Some("fe80::1".parse().unwrap()));
    }

    #[test]
    fn ipv6_addresses_join_their_groups() {
        let groups = groups_of(&[
            "10.0.0.2".parse().unwrap(),
            "2001:db8::1:2".parse().unwrap(),
            "fe80::1:2".parse().unwrap(),
        ]);
        let text: Vec<String> = groups.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["33:33:00:00:00:01", "33:33:ff:01:00:02"]);
    }

    #[test]
    fn a_random_mac_is_local_and_unicast() {
        let macs: Vec<MacAddr> = (0..32).map(|_| random_mac().unwrap()).collect();
        assert!(macs.iter().all(|mac| mac.0[0] & 3 == LOCAL_BIT));
        assert!(macs.iter().any(|mac| mac != &macs[0]));
    }

    #[test]
    fn a_given_mac_must_be_unicast() {
        let parse = |text: &str| Stack::on("eth0").mac(text).parse_mac();
        assert_eq!(
            parse("02:00:00:00:00:01").unwrap(),
            MacAddr([2, 0, 0, 0, 0, 1])
        );
        for bad in [
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "02:00",
        ] {
            assert!(matches!(parse(bad), Err(StackError::BadMac(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn settings_are_checked_before_anything_is_opened() {
        let start = |builder: StackBuilder| builder.start();
        let on = || Stack::on("no-such-iface");
        assert!(matches!(start(on()).await, Err(StackError::NoAddress)));
        assert!(matches!(
            start(on().address("10.0.0.2")).await,
            Err(StackError::BadAddress(_))
        ));
        assert!(matches!(
            start(on().address("10.0.0.2/24").gateway("there")).await,
            Err(StackError::BadGateway(_))
        ));
        assert!(matches!(
            start(on().address("10.0.0.2/24")).await,
            Err(StackError::NoSuchInterface { .. })
        ));
        assert!(matches!(
            start(Stack::on("lo").address("10.0.0.2/24")).await,
            Err(StackError::Loopback { .. })
        ));
    }

    #[test]
    fn a_start_outside_a_runtime_says_so() {
        let mut start = Box::pin(Stack::on("eth0").address("10.0.0.2/24").start());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let poll = start.as_mut().poll(&mut cx);
        assert!(matches!(
            poll,
            std::task::Poll::Ready(Err(StackError::NoRuntime))
        ));
    }
}
