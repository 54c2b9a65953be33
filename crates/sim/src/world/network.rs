//! Links of a world: attachment, transmission, switching.

use bytes::Bytes;
use tidewire_core::Instant;
use tidewire_wire::{Frame, MacAddr};

use super::router::too_big;
use super::{Happening, LinkId, World};
use crate::host::HostId;
use crate::laws::{Cause, Remark, Violation};
use crate::link::{Arrival, LinkConfig, LinkStats, Pipe};

/// A pipe and where it leads.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) pipe: Pipe,
    pub(super) link: usize,
    pub(super) to: End,
}

#[derive(Copy, Clone, Debug)]
pub(super) enum End {
    Host(usize),
    /// The switch of the pipe's own link.
    Switch,
}

/// A point-to-point link, or a switch with its cables.
pub(super) struct Link {
    /// Hosts, and the pipe each one receives from.
    ports: Vec<(HostId, usize)>,
    intercept: Option<Intercept>,
}

type Intercept = Box<dyn FnMut(Instant, HostId, &Frame<'_>) -> bool>;

impl World {
    /// Joins two hosts; both directions behave alike. A host has one link.
    ///
    /// # Panics
    /// Where one of them has a link already.
    pub fn link(&mut self, a: HostId, b: HostId, config: LinkConfig) -> LinkId {
        let link = LinkId(self.links.len());
        let to_b = self.add_pipe(link, config.clone(), End::Host(b.0));
        let to_a = self.add_pipe(link, config, End::Host(a.0));
        self.links.push(Link {
            ports: vec![(a, to_a), (b, to_b)],
            intercept: None,
        });
        self.plug(a, to_b);
        self.plug(b, to_a);
        link
    }

    /// Joins hosts by a switch. The cable to each host behaves as `config` says, so a frame crosses
    /// two. A frame to a MAC address that no host of the switch has goes to all of them.
    ///
    /// # Panics
    /// Where one of them has a link already.
    pub fn switch(&mut self, hosts: &[HostId], config: LinkConfig) -> LinkId {
        let link = LinkId(self.links.len());
        self.links.push(Link {
            ports: Vec::new(),
            intercept: None,
        });
        for &host in hosts {
            let down = self.add_pipe(link, config.clone(), End::Host(host.0));
            let up = self.add_pipe(link, config.clone(), End::Switch);
            self.links[link.0].ports.push((host, down));
            self.plug(host, up);
        }
        link
    }

    fn add_pipe(&mut self, link: LinkId, config: LinkConfig, to: End) -> usize {
        let pipe = Pipe::new(config, self.rng.fork());
        self.pipes.push(Line {
            pipe,
            link: link.0,
            to,
        });
        self.pipes.len() - 1
    }

    fn plug(&mut self, id: HostId, pipe: usize) {
        let host = &mut self.hosts[id.0];
        assert!(host.pipe.is_none(), "{} has a link already", host.name);
        host.pipe = Some(pipe);
        self.tell_link(id.0);
    }

    /// Tells a stack what its interface is attached to.
    pub(super) fn tell_link(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        if let Some(pipe) = host.pipe {
            let config = &self.pipes[pipe].pipe.config;
            let caps = host.link_caps(config.mtu, config.up);
            // A stack that refuses a link stays without it: nothing it sends gets through then.
            if host.stack.link() != caps && host.stack.set_link(self.now, caps).is_err() {
                self.pipes[pipe].pipe.config.up = false;
            }
        }
    }

    /// Makes `link` behave as `config` says from `at` on. Frames on their way stay on their way.
    pub fn configure_at(&mut self, at: Instant, link: LinkId, config: LinkConfig) {
        self.schedule(at, Happening::Configure { link, config });
    }

    /// Makes frames that `from` sends behave as `config` says, from now on.
    ///
    /// # Errors
    /// The law that broke.
    pub fn configure_from(
        &mut self,
        from: HostId,
        config: LinkConfig,
    ) -> Result<(), Box<Violation>> {
        if let Some(pipe) = self.hosts[from.0].pipe {
            self.pipes[pipe].pipe.config = config;
            self.tell_link(from.0);
        }
        self.settle(from.0, Cause::Call)
    }

    /// Shows `intercept` every frame that a host sends into `link`, as it is on the wire; those for
    /// which it says false are lost.
    pub fn intercept(
        &mut self,
        link: LinkId,
        intercept: impl FnMut(Instant, HostId, &Frame<'_>) -> bool + 'static,
    ) {
        self.links[link.0].intercept = Some(Box::new(intercept));
    }

    /// What the pipe that `from` sends into did so far.
    #[must_use]
    pub fn link_stats(&self, from: HostId) -> LinkStats {
        self.hosts[from.0]
            .pipe
            .map(|pipe| self.pipes[pipe].pipe.stats)
            .unwrap_or_default()
    }

    pub(super) fn configure(
        &mut self,
        link: LinkId,
        config: &LinkConfig,
    ) -> Result<(), Box<Violation>> {
        for line in self.pipes.iter_mut().filter(|line| line.link == link.0) {
            line.pipe.config = config.clone();
        }
        let hosts: Vec<_> = self.links[link.0]
            .ports
            .iter()
            .map(|(host, _)| host.0)
            .collect();
        for host in hosts {
            self.tell_link(host);
            self.settle(host, Cause::Call)?;
        }
        Ok(())
    }

    /// Puts a frame that a host sends on its link.
    pub(crate) fn transmit(&mut self, host: usize, frame: Bytes) {
        let Some(pipe) = self.hosts[host].pipe else {
            return;
        };
        let link = &mut self.links[self.pipes[pipe].link];
        let passes = match (&mut link.intercept, Frame::parse(&frame)) {
            (Some(intercept), Ok(parsed)) => intercept(self.now, HostId(host), &parsed),
            _ => true,
        };
        let path_mtu = self.pipes[pipe].pipe.config.path_mtu;
        let refusal = path_mtu.and_then(|mtu| too_big(&frame, mtu));
        let lost = if passes && refusal.is_none() {
            !self.carry(pipe, frame.clone(), false)
        } else {
            self.pipes[pipe].pipe.lose();
            true
        };
        let remark = if lost { Remark::Lost } else { Remark::Sent };
        self.note(host, remark, &frame);
        if let Some(error) = refusal.filter(|_| passes) {
            self.answer(host, error);
        }
    }

    /// A router's answer to what a host sent.
    fn answer(&mut self, host: usize, error: Bytes) {
        let links = self.links.iter().flat_map(|link| &link.ports);
        let back = links
            .filter(|(to, _)| to.0 == host)
            .map(|&(_, pipe)| pipe)
            .next();
        if let Some(pipe) = back {
            self.carry(pipe, error, false);
        }
    }

    /// A switch has received a frame whole.
    pub(super) fn forward(&mut self, link: usize, frame: &Bytes, corrupted: bool) {
        let mac = |at: usize| {
            frame
                .get(at..)
                .and_then(|bytes| bytes.first_chunk())
                .map(|&mac| MacAddr(mac))
        };
        let (Some(dst), Some(src)) = (mac(0), mac(6)) else {
            return;
        };
        let ports = &self.links[link].ports;
        let known = ports
            .iter()
            .any(|(host, _)| self.hosts[host.0].mac() == dst);
        let takes = |host: &HostId| {
            let own = self.hosts[host.0].mac();
            own != src && (own == dst || !known)
        };
        let pipes: Vec<_> = ports
            .iter()
            .filter(|(host, _)| takes(host))
            .map(|&(_, pipe)| pipe)
            .collect();
        for pipe in pipes {
            self.carry(pipe, frame.clone(), corrupted);
        }
    }

    /// Hands a frame to a pipe and says whether it will arrive.
    fn carry(&mut self, pipe: usize, frame: Bytes, corrupted: bool) -> bool {
        let arrivals = self.pipes[pipe].pipe.carry(self.now, frame);
        let arrives = arrivals[0].is_some();
        for Arrival {
            at,
            frame,
            corrupted: again,
        } in arrivals.into_iter().flatten()
        {
            self.schedule(
                at,
                Happening::Arrive {
                    pipe,
                    frame,
                    corrupted: corrupted || again,
                },
            );
        }
        arrives
    }
}
