//! Host: a stack, its interface, and the applications on it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use bytes::Bytes;
use tidewire_core::{
    ConfigError, Duration, Event, Instant, IpCidr, LinkCaps, Secret, Stack, StackConfig,
};
use tidewire_wire::MacAddr;

use crate::app::{App, Owned};
use crate::laws::Connections;
use crate::rng::Rng;

/// Names a host of a world.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct HostId(pub(crate) usize);

/// What a host is made of.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The stack's configuration. MTU and offloads are those of the link once there is one.
    pub stack: StackConfig,
    /// The stack's secret; drawn from the world's seed by default.
    pub secret: Option<[u8; 16]>,
    /// Whether the stack hands out super-frames, which the interface cuts to the link's MTU.
    pub segmentation_offload: bool,
    /// How long the interface gathers frames to hand over super-frames; not at all by default.
    pub receive_coalescing: Option<Duration>,
    /// Most lateness of a timeout, drawn evenly: no driver is exact.
    pub timer_slack: Duration,
}

impl HostConfig {
    /// A host with one address, Ethernet, defaults otherwise. Its MAC address is made from the IP
    /// address.
    #[must_use]
    pub fn new(address: IpCidr) -> Self {
        let [.., a, b, c, d] = match address.address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let mac = MacAddr([2, 0, a, b, c, d]);
        Self {
            stack: StackConfig::new(address, LinkCaps::ethernet(mac, 1_500)),
            secret: None,
            segmentation_offload: false,
            receive_coalescing: None,
            timer_slack: Duration::ZERO,
        }
    }

    /// The same host with an interface that segments and coalesces.
    #[must_use]
    pub fn with_offload(self) -> Self {
        Self {
            segmentation_offload: true,
            receive_coalescing: Some(Duration::from_micros(50)),
            ..self
        }
    }
}

/// An application's place on its host.
#[derive(Debug)]
pub(crate) struct AppSlot {
    /// Empty while it runs.
    pub(crate) app: Option<Box<dyn App>>,
    /// When it will be woken next.
    pub(crate) wake_at: Option<Instant>,
}

/// A host while a world runs.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) config: HostConfig,
    pub(crate) stack: Stack,
    pub(crate) rng: Rng,
    /// The pipe its interface sends into, once it is linked.
    pub(crate) pipe: Option<usize>,
    pub(crate) connections: Connections,
    pub(crate) apps: Vec<AppSlot>,
    /// Applications that have something left to do.
    pub(crate) unfinished: usize,
    /// Steps so far: what costs much is checked every so many.
    pub(crate) steps: u64,
    pub(crate) owners: BTreeMap<Owned, usize>,
    pub(crate) runnable: VecDeque<usize>,
    /// Events of connections and listeners that no application owns.
    pub(crate) events: Vec<Event>,
    /// Frames that wait to be coalesced, each with whether it is corrupt.
    pub(crate) batch: Vec<(Bytes, bool)>,
    /// The earliest timer event in the heap.
    pub(crate) armed: Option<Instant>,
    /// When the last timeout was, and how many there were at that instant.
    pub(crate) timeouts: (Instant, u32),
}

impl Host {
    pub(crate) fn new(config: HostConfig, mut rng: Rng, now: Instant) -> Result<Self, ConfigError> {
        let drawn = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        let secret = Secret::new(config.secret.unwrap_or_else(|| drawn.to_le_bytes()));
        let stack = Stack::new(config.stack.clone(), secret, now)?;
        let name = config
            .stack
            .addresses
            .first()
            .map(|cidr| cidr.address.to_string())
            .unwrap_or_default();
        Ok(Self {
            name,
            config,
            stack,
            rng,
            pipe: None,
            connections: Connections::default(),
            apps: Vec::new(),
            unfinished: 0,
            steps: 0,
            owners: BTreeMap::new(),
            runnable: VecDeque::new(),
            events: Vec::new(),
            batch: Vec::new(),
            armed: None,
            timeouts: (now, 0),
        })
    }

    /// The link as the stack should see it.
    pub(crate) fn link_caps(&self, ip_mtu: u32, up: bool) -> LinkCaps {
        let caps = LinkCaps {
            ip_mtu,
            up,
            ..LinkCaps::ethernet(self.config.stack.link.mac, ip_mtu)
        };
        if self.config.segmentation_offload {
            caps.with_offload()
        } else {
            caps
        }
    }

    pub(crate) fn mac(&self) -> MacAddr {
        self.config.stack.link.mac
    }

    /// Sorts the stack's events: owned ones make their application run.
    pub(crate) fn take_events(&mut self) {
        while let Some(event) = self.stack.poll_event() {
            let source = match event {
                Event::Conn(id, _) => {
                    self.connections.touch(id);
                    Owned::Conn(id)
                }
                Event::Acceptable(id) => Owned::Listener(id),
                _ => continue,
            };
            match self.owners.get(&source) {
                Some(&app) => self.wake(app),
                None => self.events.push(event),
            }
        }
    }

    /// Adds an application, to be run.
    pub(crate) fn add_app(&mut self, app: Box<dyn App>) {
        self.unfinished += usize::from(!app.is_done());
        self.apps.push(AppSlot {
            app: Some(app),
            wake_at: None,
        });
        self.wake(self.apps.len() - 1);
    }

    /// The time an application asked for has come.
    pub(crate) fn wake_up(&mut self, app: usize, now: Instant) {
        // It may have gone with a reboot.
        if let Some(slot) = self.apps.get_mut(app)
            && slot.wake_at.take_if(|at| *at == now).is_some()
        {
            self.wake(app);
        }
    }

    fn wake(&mut self, app: usize) {
        if !self.runnable.contains(&app) {
            self.runnable.push_back(app);
        }
    }
}
