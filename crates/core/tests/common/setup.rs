//! Setup of tests: a stack, a listener, a connection in a given state.

use std::collections::VecDeque;
use std::net::SocketAddr;

use tidewire_core::wire::ArpOperation;
use tidewire_core::{ConnectOptions, Instant, ListenOptions, Secret, Stack, StackConfig, State};

use super::*;

impl Tester {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A stack with a changed configuration, one second after its epoch, which knows its peer's
    /// address.
    pub(crate) fn with(change: impl FnOnce(&mut StackConfig)) -> Self {
        let mut config = config();
        change(&mut config);
        let now = Instant::ZERO + secs(1);
        let stack = Stack::new(config, Secret::new([7; 16]), now).expect("a valid configuration");
        let mut tester = Self {
            stack,
            now,
            flow: flow(40_000, PORT),
            listener: None,
            id: None,
            sent: VecDeque::new(),
            arp: Vec::new(),
            other: Vec::new(),
            neighbors: vec![(PEER_IP, PEER_MAC)],
            written: 0,
            read: 0,
        };
        let asks = arp_frame(ArpOperation::Request, (PEER_MAC, PEER_IP), STACK_IP);
        tester.frame(&asks);
        tester.arp.clear();
        tester
    }

    /// As [`with`](Self::with), with a listener on [`PORT`].
    pub(crate) fn listening(backlog: usize, change: impl FnOnce(&mut StackConfig)) -> Self {
        let mut tester = Self::with(change);
        let options = ListenOptions {
            backlog,
            ..ListenOptions::default()
        };
        let addr = SocketAddr::new(STACK_IP.into(), PORT);
        tester.listener = Some(
            tester
                .stack
                .listen(addr, options)
                .expect("the port is free"),
        );
        tester
    }

    /// An accepted connection of a peer with these options, everything of the handshake looked at.
    pub(crate) fn established(offer: Offer) -> Self {
        Self::established_with(offer, |_| {})
    }

    pub(crate) fn established_with(offer: Offer, change: impl FnOnce(&mut StackConfig)) -> Self {
        let mut tester = Self::listening(16, change);
        tester.handshake(offer);
        tester
    }

    /// Established over a path of 100 ms: SRTT is 100 ms, RTTVAR 50 ms, RTO 300 ms.
    pub(crate) fn with_rtt(offer: Offer) -> Self {
        let mut t = Self::listening(16, |_| {});
        t.syn(offer);
        t.expect(seg(SYN_ACK));
        t.advance(ms(100));
        t.peer(seg(ACK));
        t.accept();
        t
    }

    /// An open by the peer, accepted.
    pub(crate) fn handshake(&mut self, offer: Offer) {
        self.syn(offer);
        self.expect(seg(SYN_ACK).seq(0).ack(1));
        self.peer(seg(ACK));
        self.accept();
        while self.stack.poll_event().is_some() {}
    }

    /// The peer's SYN.
    pub(crate) fn syn(&mut self, offer: Offer) {
        self.flow.timestamps = offer.timestamps;
        self.peer(offer_as(seg(SYN).seq(0), offer));
    }

    pub(crate) fn accept(&mut self) {
        let listener = self.listener.expect("a listener");
        let (id, _) = self.stack.accept(listener).expect("a connection to accept");
        self.id = Some(id);
    }

    /// A connection whose SYN has left.
    pub(crate) fn connecting(change: impl FnOnce(&mut StackConfig)) -> Self {
        let mut tester = Self::with(change);
        tester.connect();
        tester
    }

    pub(crate) fn connect(&mut self) {
        let to = SocketAddr::new(self.flow.ip.into(), self.flow.port);
        let id = self
            .stack
            .connect(self.now, to, ConnectOptions::default())
            .expect("a connection starts");
        self.id = Some(id);
        self.pump();
    }

    /// A connection that the stack opened, everything of the handshake looked at.
    pub(crate) fn connected(offer: Offer) -> Self {
        let mut tester = Self::connecting(|_| {});
        tester.expect(seg(SYN).seq(0));
        tester.flow.timestamps = offer.timestamps;
        tester.peer(offer_as(seg(SYN_ACK).seq(0).ack(1), offer));
        tester.expect(seg(ACK).seq(1).ack(1));
        while tester.stack.poll_event().is_some() {}
        tester
    }

    /// A connection in `state`, reached the usual way. Peer and stack sent only the segments that
    /// this takes.
    pub(crate) fn in_state(state: State, offer: Offer) -> Self {
        let mut tester = Self::established(offer);
        let closes_first = matches!(
            state,
            State::FinWait1 | State::FinWait2 | State::Closing | State::TimeWait
        );
        if closes_first {
            tester.shutdown_write();
            tester.expect(seg(FIN_ACK).seq(1).ack(1));
        }
        match state {
            State::FinWait2 => tester.peer(seg(ACK).ack(2)),
            State::CloseWait | State::LastAck => tester.peer(seg(FIN_ACK)),
            State::Closing => tester.peer(seg(FIN_ACK).ack(1)),
            State::TimeWait => tester.peer(seg(FIN_ACK).ack(2)),
            _ => {}
        }
        if !matches!(
            state,
            State::Established | State::FinWait1 | State::FinWait2
        ) {
            tester.expect(seg(ACK).ack(2));
        }
        if state == State::LastAck {
            tester.shutdown_write();
            tester.expect(seg(FIN_ACK).seq(1).ack(2));
        }
        assert_eq!(tester.state(), state);
        tester.silent();
        while tester.stack.poll_event().is_some() {}
        tester
    }
}
