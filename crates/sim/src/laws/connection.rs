//! Laws checked on a stack's connections: `FlightWithinCwnd`, `EveryWaitEnds`, `OneAckPerFrame`,
//! `MemoryBounded`.

use std::collections::{BTreeMap, BTreeSet};

use tidewire_core::{ConnId, Stack, State, TcpConfig, TcpInfo};

use super::flow::{Ends, Segment};
use super::{Breach, Cause, Law};

/// What a stack sent in one step.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Bare ACKs of each connection.
    bare_acks: BTreeMap<Ends, usize>,
}

impl Observed {
    pub(crate) fn add(&mut self, segment: &Segment) {
        if segment.is_bare_ack() {
            *self.bare_acks.entry(segment.ends).or_default() += 1;
        }
    }

    /// [`Law::OneAckPerFrame`]. A timeout or a call may send an ACK and a probe that looks like
    /// one; a few packets may have waited for an address.
    pub(crate) fn check(&self, cause: Cause) -> Result<(), Breach> {
        let most = match cause {
            Cause::Frames(count) => count,
            Cause::Timeout | Cause::Call => 2,
            Cause::Neighbor => 8,
        };
        match self.bare_acks.iter().find(|&(_, &count)| count > most) {
            Some((ends, count)) => {
                let what = format!(
                    "{count} bare ACKs from {} to {} after {cause:?}",
                    ends.src, ends.dst
                );
                Err(Breach::new(Law::OneAckPerFrame, what))
            }
            None => Ok(()),
        }
    }
}

/// The connections of one host, each with its last snapshot.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    known: BTreeMap<ConnId, Option<TcpInfo>>,
    /// Those that sent something, had an event, or were called in this step.
    touched: BTreeSet<ConnId>,
    steps: u64,
    memory_peak: usize,
    /// Whether memory was full after the last step.
    was_full: bool,
}

impl Connections {
    pub(crate) fn touch(&mut self, id: ConnId) {
        self.known.entry(id).or_default();
        self.touched.insert(id);
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn memory_peak(&self) -> usize {
        self.memory_peak
    }

    /// Checks connections after a step and forgets those that are gone: all connections where they
    /// are few or one is gone; else the touched ones, and all of them every [`FULL_CHECK`] steps.
    pub(crate) fn check(&mut self, stack: &mut Stack, cause: Cause) -> Result<(), Breach> {
        let config = &stack.config().tcp.clone();
        let live = stack.link().up && stack.poll_timeout().is_none();
        self.steps += 1;
        self.memory_peak = self.memory_peak.max(stack.memory_used());
        let mut result = check_budget(stack);
        let was_full = std::mem::replace(&mut self.was_full, is_full(stack));
        // A step of which all is known: no other connection gave memory back in the middle of it.
        let is_plain = matches!(cause, Cause::Frames(1) | Cause::Timeout);
        let kept_full = was_full && is_plain && self.known.len() <= MANY;
        let mut check = |stack: &mut Stack, id, last: &mut Option<TcpInfo>| {
            let Some(info) = stack.conn(id).map(|conn| conn.info()) else {
                return false;
            };
            if result.is_ok() {
                let growth = last.as_ref().filter(|_| kept_full);
                let result_of_one = growth
                    .map_or(Ok(()), |last| check_growth(last, &info))
                    .and_then(|()| check_one(last.as_ref(), &info, config, live));
                result = result_of_one.map_err(|(law, what)| {
                    Breach::new(law, format!("{id:?} in {}: {what}\n  {info:?}", info.state))
                });
            }
            *last = Some(info);
            true
        };
        let touched = std::mem::take(&mut self.touched);
        let some_are_gone = stack.connection_counts().connections < self.known.len();
        if self.known.len() <= MANY || some_are_gone || self.steps.is_multiple_of(FULL_CHECK) {
            self.known.retain(|&id, last| check(stack, id, last));
        } else {
            for id in touched {
                if let Some(last) = self.known.get_mut(&id)
                    && !check(stack, id, last)
                {
                    self.known.remove(&id);
                }
            }
        }
        result
    }
}

/// More connections than this are all checked only every [`FULL_CHECK`] steps.
const MANY: usize = 16;
const FULL_CHECK: u64 = 128;
/// Allowance: bytes that a connection may take each way when memory is full.
pub(crate) const MEMORY_ALLOWANCE: usize = 4 * 1024;
/// The same as charged: blocks have sizes of powers of two, and some are not full.
const ALLOWANCE_CHARGED: usize = 2 * MEMORY_ALLOWANCE;
const MAX_STEP: usize = 64 * 1024;

fn check_one(
    last: Option<&TcpInfo>,
    info: &TcpInfo,
    config: &TcpConfig,
    live: bool,
) -> Result<(), (Law, String)> {
    check_flight(last, info)?;
    check_memory(info, config)?;
    if live { check_timer(info) } else { Ok(()) }
}

/// [`Law::FlightWithinCwnd`]: what was sent in this step left no more in flight than allowed.
fn check_flight(last: Option<&TcpInfo>, info: &TcpInfo) -> Result<(), (Law, String)> {
    let (sent_before, flight_before) =
        last.map_or((0, 0), |last| (last.bytes_sent, last.in_flight));
    let mss = u64::from(info.snd_mss);
    // RFC 3042 (two segments), RFC 8985 §7.3 (the probe). RFC 9937 lets every ACK of a recovery
    // send one segment, and the first retransmission goes out whatever cwnd has shrunk to.
    let allowed = (info.cwnd + 3 * mss).max(flight_before + mss);
    let sent = info.bytes_sent.saturating_sub(sent_before);
    // RFC 6582 §3.2 step 5: without SACK a partial ACK sends one segment again, whatever it leaves
    // in flight by the sender's reckoning, which cannot know what the receiver holds beyond it.
    let is_partial = info.in_recovery && !info.sack && sent <= mss;
    if sent > 0 && !is_partial && info.in_flight > allowed {
        return Err((
            Law::FlightWithinCwnd,
            format!(
                "{} bytes in flight, cwnd {}, {flight_before} before",
                info.in_flight, info.cwnd
            ),
        ));
    }
    Ok(())
}

/// Above three quarters of the budget.
pub(crate) fn is_full(stack: &Stack) -> bool {
    let budget = stack.config().memory;
    stack.memory_used() > budget - budget / 4
}

/// [`Law::MemoryBounded`]: while memory is full, the queue of received data grows to
/// [`MEMORY_ALLOWANCE`] at most, and that of out-of-order data does not grow.
fn check_growth(last: &TcpInfo, info: &TcpInfo) -> Result<(), (Law, String)> {
    let (before, now) = (last.recv_queue, info.recv_queue);
    if now > before.max(MEMORY_ALLOWANCE) || info.out_of_order > last.out_of_order {
        let what = format!(
            "took data with memory full: {now} bytes are to be read, {before} were; {} are out of order, {} were",
            info.out_of_order, last.out_of_order
        );
        return Err((Law::MemoryBounded, what));
    }
    Ok(())
}

/// [`Law::MemoryBounded`], for all connections together. The step in which memory becomes full may
/// take one block or super-frame more. From then on each connection still takes
/// [`MEMORY_ALLOWANCE`] each way.
fn check_budget(stack: &Stack) -> Result<(), Breach> {
    let (used, budget) = (stack.memory_used(), stack.config().memory);
    let full = budget.max(budget / 4 * 3 + MAX_STEP);
    let most = full + 2 * ALLOWANCE_CHARGED * stack.connection_counts().connections;
    if used > most {
        let what = format!("{used} bytes held, the budget is {budget} and {most} the most");
        return Err(Breach::new(Law::MemoryBounded, what));
    }
    Ok(())
}

/// [`Law::MemoryBounded`], for the buffers of one connection.
fn check_memory(info: &TcpInfo, config: &TcpConfig) -> Result<(), (Law, String)> {
    if info.send_queue > config.send_buffer.max() {
        return Err((
            Law::MemoryBounded,
            format!(
                "{} bytes to send, the buffer has {}",
                info.send_queue,
                config.send_buffer.max()
            ),
        ));
    }
    if info.recv_queue + info.out_of_order > config.recv_buffer.max() {
        let held = info.recv_queue + info.out_of_order;
        return Err((
            Law::MemoryBounded,
            format!(
                "{held} bytes received, the buffer has {}",
                config.recv_buffer.max()
            ),
        ));
    }
    Ok(())
}

/// [`Law::EveryWaitEnds`], where the stack has no deadline at all.
fn check_timer(info: &TcpInfo) -> Result<(), (Law, String)> {
    // In these the peer's SYN or the ACK of our FIN is awaited, whatever the counts say.
    let waits = matches!(
        info.state,
        State::SynSent | State::SynReceived | State::FinWait1 | State::Closing | State::LastAck
    );
    let over = matches!(info.state, State::TimeWait | State::Closed);
    if waits || !over && (info.unacked > 0 || info.unsent > 0) {
        return Err((
            Law::EveryWaitEnds,
            format!(
                "{} bytes unacknowledged, {} unsent, no timer",
                info.unacked, info.unsent
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::{Cause, Ends, Observed};
    use crate::laws::Law;

    #[test]
    fn more_acks_than_frames_are_caught() {
        let end = |last| SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), 80));
        let mut observed = Observed::default();
        for (ends, count) in [((1, 2), 2), ((1, 3), 1)] {
            observed.bare_acks.insert(
                Ends {
                    src: end(ends.0),
                    dst: end(ends.1),
                },
                count,
            );
        }
        let law = |cause| observed.check(cause).err().map(|breach| breach.law);
        assert_eq!(law(Cause::Frames(1)), Some(Law::OneAckPerFrame));
        assert_eq!(law(Cause::Frames(2)), None);
        assert_eq!(law(Cause::Call), None);
    }
}
