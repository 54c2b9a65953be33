//! Driver in virtual time: frames, timeouts and application runs of one host.

use bytes::Bytes;
use tidewire_core::{Coalescer, ConnEvents, DropReason, Instant, RxMeta, TxOffload, segment};
use tidewire_wire::{EtherType, EthernetHeader, Frame, IpProtocol};

use crate::app::{AppCx, Owned};
use crate::laws::{Cause, Law, Observed, Remark, Violation};
use crate::world::{Happening, World};

impl World {
    /// A frame has arrived at a host's interface.
    pub(crate) fn receive(
        &mut self,
        host: usize,
        frame: Bytes,
        corrupted: bool,
    ) -> Result<(), Box<Violation>> {
        let remark = if corrupted {
            Remark::Corrupted
        } else {
            Remark::Received
        };
        self.note(host, remark, &frame);
        if !self.hosts[host].stack.link().up {
            return Ok(());
        }
        let Some(gather) = self.hosts[host].config.receive_coalescing else {
            let cause = if is_ip(&frame) {
                Cause::Frames(1)
            } else {
                Cause::Neighbor
            };
            self.learn(&frame, corrupted);
            self.hosts[host]
                .stack
                .handle_frame(self.now, &mut { frame }, RxMeta::default());
            return self.settle(host, cause);
        };
        self.hosts[host].batch.push((frame, corrupted));
        if self.hosts[host].batch.len() == 1 {
            self.schedule(self.now + gather, Happening::Batch { host });
        }
        Ok(())
    }

    /// An interface hands its batch to the stack, coalesced.
    pub(crate) fn hand_over(&mut self, host: usize) -> Result<(), Box<Violation>> {
        let batch = std::mem::take(&mut self.hosts[host].batch);
        let all_ip = batch.iter().all(|(frame, _)| is_ip(frame));
        let mut coalesced = Vec::new();
        let mut coalescer = Coalescer::new();
        let mut emit = |frame, meta| coalesced.push((frame, meta));
        for (frame, corrupted) in batch {
            self.learn(&frame, corrupted);
            coalescer.push(frame, &mut emit);
        }
        coalescer.flush(&mut emit);
        let count = coalesced.len();
        for (mut frame, meta) in coalesced {
            self.hosts[host]
                .stack
                .handle_frame(self.now, &mut frame, meta);
        }
        let cause = if all_ip {
            Cause::Frames(count)
        } else {
            Cause::Neighbor
        };
        self.settle(host, cause)
    }

    fn learn(&mut self, frame: &Bytes, corrupted: bool) {
        if !corrupted && let Ok(parsed) = Frame::parse(frame) {
            self.flows.received(&parsed);
        }
    }

    /// A timer event of the heap: the stack's deadline may have moved meanwhile.
    pub(crate) fn fire(&mut self, host: usize) -> Result<(), Box<Violation>> {
        let now = self.now;
        let it = &mut self.hosts[host];
        if it.armed == Some(now) {
            it.armed = None;
        }
        if it.stack.poll_timeout().is_none_or(|at| at > now) {
            self.arm(host);
            return Ok(());
        }
        let (at, count) = it.timeouts;
        it.timeouts = (now, if at == now { count + 1 } else { 1 });
        if it.timeouts.1 > MAX_TIMEOUTS {
            let what = format!(
                "{} timeouts at one instant, the next at {:?}",
                it.timeouts.1,
                it.stack.poll_timeout()
            );
            return Err(self.broken(host, Law::NoBusyLoop, what));
        }
        it.stack.handle_timeout(now);
        self.settle(host, Cause::Timeout)
    }

    /// After any input: sends what there is to send, runs the applications that have events, arms
    /// the timer, and checks the laws.
    pub(crate) fn settle(&mut self, host: usize, cause: Cause) -> Result<(), Box<Violation>> {
        self.drain(host, cause)?;
        let mut runs = 0;
        while let Some(app) = self.hosts[host].runnable.pop_front() {
            self.run_app(host, app)?;
            self.drain(host, Cause::Call)?;
            runs += 1;
            if runs > MAX_RUNS {
                return Err(self.broken(
                    host,
                    Law::NoBusyLoop,
                    format!("{runs} runs of applications at one instant"),
                ));
            }
        }
        self.check_waiting(host)?;
        self.arm(host);
        Ok(())
    }

    /// Sends everything the stack has, takes its events, and checks the laws of one step.
    fn drain(&mut self, host: usize, cause: Cause) -> Result<(), Box<Violation>> {
        let mut observed = Observed::default();
        let mut sent = 0;
        while let Some(frame) = self.next_frame(host) {
            self.send(host, &frame.0, frame.1, &mut observed)?;
            sent += 1;
            if sent > MAX_FRAMES {
                return Err(self.broken(
                    host,
                    Law::NoBusyLoop,
                    format!("{sent} frames at one instant"),
                ));
            }
        }
        let it = &mut self.hosts[host];
        it.take_events();
        let result = observed
            .check(cause)
            .and_then(|()| it.connections.check(&mut it.stack, cause));
        result.map_err(|breach| self.violation(host, breach))
    }

    fn next_frame(&mut self, host: usize) -> Option<(Vec<u8>, TxOffload)> {
        let it = &mut self.hosts[host];
        let transmit = it.stack.poll_transmit(self.now)?;
        let mut frame = Vec::with_capacity(transmit.len());
        frame.extend_from_slice(transmit.header());
        transmit
            .payload()
            .iter()
            .for_each(|piece| frame.extend_from_slice(piece));
        let offload = transmit.offload();
        if let Some(id) = transmit.conn() {
            it.connections.touch(id);
        }
        Some((frame, offload))
    }

    /// The interface: completes or segments the frame, has the laws checked, and puts it on the
    /// link.
    fn send(
        &mut self,
        host: usize,
        frame: &[u8],
        offload: TxOffload,
        observed: &mut Observed,
    ) -> Result<(), Box<Violation>> {
        let stack = &self.hosts[host].stack;
        let link = stack.link();
        // A stack without its neighbour's address drops segments that count as sent.
        let lost = [DropReason::NeighborUnresolved, DropReason::NoMemory];
        let complete = lost
            .into_iter()
            .all(|reason| stack.stats().dropped(reason) == 0);
        let mut pieces = Vec::new();
        segment(frame, offload, |piece| {
            pieces.push(Bytes::copy_from_slice(piece));
        });
        let too_much =
            matches!(offload, TxOffload::Tcp { .. }) && frame.len() > link.max_superframe as usize;
        if pieces.is_empty() || too_much || !link.up {
            let what = format!(
                "a frame of {} bytes with {offload:?} on {link:?}",
                frame.len()
            );
            return Err(self.broken(host, Law::WellFormed, what));
        }
        for piece in pieces {
            let parsed = match Frame::parse(&piece) {
                Ok(parsed) => parsed,
                Err(error) => {
                    return Err(self.broken(
                        host,
                        Law::WellFormed,
                        format!("sent a frame that does not parse: {error}"),
                    ));
                }
            };
            match self.flows.sent(&parsed, piece.len(), link.ip_mtu, complete) {
                Ok(segment) => segment.iter().for_each(|segment| observed.add(segment)),
                Err(breach) => return Err(self.violation(host, breach)),
            }
            self.transmit(host, piece);
        }
        Ok(())
    }

    fn run_app(&mut self, host: usize, index: usize) -> Result<(), Box<Violation>> {
        let it = &mut self.hosts[host];
        let Some(mut app) = it.apps[index].app.take() else {
            return Ok(());
        };
        let mut cx = AppCx {
            now: self.now,
            stack: &mut it.stack,
            rng: &mut it.rng,
            ledger: &mut self.ledger,
            wake_after: None,
            owned: Vec::new(),
            spawned: Vec::new(),
            breach: None,
        };
        let was_done = app.is_done();
        app.run(&mut cx);
        let is_done = app.is_done();
        let AppCx {
            wake_after,
            owned,
            spawned,
            breach,
            ..
        } = cx;
        it.unfinished += usize::from(!is_done);
        it.unfinished -= usize::from(!was_done);
        if let Some((id, _)) = app.waits_for() {
            it.connections.touch(id);
        }
        it.apps[index].app = Some(app);
        for owned in owned {
            if let Owned::Conn(id) = owned {
                it.connections.touch(id);
            }
            it.owners.insert(owned, index);
        }
        for app in spawned {
            it.add_app(app);
        }
        if let Some(at) = wake_after.map(|delay| self.now + delay)
            && it.apps[index].wake_at.is_none_or(|earlier| at < earlier)
        {
            it.apps[index].wake_at = Some(at);
            self.schedule(at, Happening::Wake { host, app: index });
        }
        match breach {
            Some(breach) => Err(self.violation(host, breach)),
            None => Ok(()),
        }
    }

    /// [`Law::EveryWaitEnds`]: no application waits for what has come already.
    fn check_waiting(&mut self, host: usize) -> Result<(), Box<Violation>> {
        let it = &mut self.hosts[host];
        it.steps += 1;
        if it.apps.len() > MANY_APPS && !it.steps.is_multiple_of(FULL_CHECK) {
            return Ok(());
        }
        let mut missed = None;
        for (id, events) in it
            .apps
            .iter()
            .filter_map(|slot| slot.app.as_ref()?.waits_for())
        {
            let Some(conn) = it.stack.conn(id) else {
                missed = Some((id, "the connection is gone"));
                break;
            };
            if events.intersects(ConnEvents::CONNECTED) && conn.connect_result().is_some() {
                missed = Some((id, "CONNECTED"));
            } else if events.intersects(ConnEvents::READABLE) && conn.is_readable() {
                missed = Some((id, "READABLE"));
            } else if events.intersects(ConnEvents::WRITABLE) && conn.is_writable() {
                missed = Some((id, "WRITABLE"));
            }
        }
        match missed {
            Some((id, event)) => {
                let info = self.hosts[host].stack.conn(id).map(|conn| conn.info());
                let what =
                    format!("an application waits, no event came: {event} of {id:?}\n  {info:?}");
                Err(self.broken(host, Law::EveryWaitEnds, what))
            }
            None => Ok(()),
        }
    }

    /// Puts the stack's deadline into the heap, unless an earlier timer event is there.
    fn arm(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        let Some(deadline) = it.stack.poll_timeout() else {
            return;
        };
        let deadline = deadline.max(self.now);
        if it
            .armed
            .is_some_and(|armed| armed <= deadline && armed >= self.now)
        {
            return;
        }
        let slack = it.rng.below(it.config.timer_slack.as_nanos());
        let at = Instant::from_nanos(deadline.as_nanos().saturating_add(slack));
        it.armed = Some(at);
        self.schedule(at, Happening::Timer { host });
    }
}

/// Whether a frame carries an IP packet other than ICMPv6, which includes Neighbor Discovery.
fn is_ip(frame: &[u8]) -> bool {
    const NEXT_HEADER: usize = 6;
    let Ok((ethernet, at)) = EthernetHeader::parse(frame) else {
        return false;
    };
    match ethernet.ether_type {
        EtherType::IPV4 => true,
        EtherType::IPV6 => frame.get(at + NEXT_HEADER) != Some(&IpProtocol::ICMPV6.0),
        _ => false,
    }
}

/// More applications than this are checked only every so many steps.
const MANY_APPS: usize = 32;
const FULL_CHECK: u64 = 128;
/// Timeouts at one instant before it is a busy loop: several connections may have the same
/// deadline.
const MAX_TIMEOUTS: u32 = 16;
/// Frames a stack may send at one instant.
const MAX_FRAMES: usize = 100_000;
/// Runs of applications at one instant.
const MAX_RUNS: usize = 100_000;
