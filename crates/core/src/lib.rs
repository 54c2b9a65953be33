//! Tidewire's protocol core: TCP over IPv4 and IPv6 on Ethernet, sans-I/O.
//!
//! One type, [`Stack`], is the entry. It owns no socket, no clock, no thread and no task: frames
//! and time go in, frames, deadlines and events come out. So the same code runs under a tokio
//! driver and in virtual time, and does the same thing every time. All randomness comes from one
//! [`Secret`].
//!
//! ```text
//!    handle_frame            handle_timeout       connect  listen  accept  conn(id).write ...
//!         |                        |                              |
//!         v                        |                              |
//!   ip::Network::receive           |                              |
//!         | Upcall                 |                              |
//!         v                        v                              v
//!   stack/delivery -------> tcp::Connection, half-open record, TIME-WAIT record, listener
//!                                  |
//!                                  v
//!                               settle
//!                                  |
//!          +-----------------------+---------------------+
//!          v                       v                     v
//!      poll_event             poll_timeout         poll_transmit
//! ```
//!
//! The crate is `no_std` with `alloc`, and has no `unsafe` code. Nothing a peer sends can make it
//! panic: what is wrong is dropped and counted ([`DropReason`]).
//!
//! # Files
//!
//! A room is a folder or a file of `src`. It may use the rooms below it and none above:
//!
//! ```text
//!                 stack
//!              ip       tcp
//!                 types
//!         time   error   offload
//! ```
//!
//! `ARCHITECTURE.md`, beside `src`, tells how a frame, a write and a handshake pass through them.
//!
//! ## Bottom: plain values
//!
//! ```text
//! lib                    This page, and the public names
//! time                   Instants and durations in nanoseconds
//! error                  Errors of the public calls, one enum per operation
//! offload/mod            RxMeta and TxOffload: offloads of a frame; FrameBuffer
//! offload/segment        Software segmentation of super-frames
//! offload/coalesce       Software receive coalescing
//! offload/tests          Property tests of both
//! types/mod              Vocabulary of all rooms above
//! types/id               Ids of connections and listeners: index and generation
//! types/tuple            4-tuple of a connection
//! types/drop             Drop reasons
//! types/stats            Counters of the whole stack
//! types/events           Events for the application
//! types/link             Link capabilities: MAC address, MTU, offloads
//! types/slices           Payload of a frame as slices of memory
//! types/hash             Secret of a stack, and the keyed hashes derived from it
//! types/ip_fields        Hop limit and traffic class
//! ```
//!
//! ## `ip/`: network layer
//!
//! ```text
//! ip/mod                 The room's parts and names
//! ip/network             Network: the state of the layer, and Upcall, what a frame means above it
//! ip/addr                Own addresses, prefixes, gateways, predicates
//! ip/route               Next hops, source addresses, MTUs
//! ip/ingress             Received frames: Ethernet, IPv4, IPv6
//! ip/packet              Packets to send: Ethernet and IP headers
//! ip/outbox              Frames of no connection that wait for the driver
//! ip/loopback            Packets to own addresses
//! ip/neighbor            Neighbour cache and its states
//! ip/neighbor/tests      Its tests
//! ip/arp                 ARP
//! ip/ndp                 NDP
//! ip/announce            Address probes, conflicts, announcements
//! ip/announcer           Their state: tentative addresses, pending announcements
//! ip/icmp                ICMP dispatch and echo
//! ip/errors_in           Received ICMP errors
//! ip/report              Report of an ICMP error, and the segment that it quotes
//! ip/errors_out          Sent ICMP errors
//! ip/error_limit         Rate limit of sent ICMP errors
//! ip/path_mtu            Path MTU cache
//! ```
//!
//! ## `tcp/`: one connection
//!
//! ```text
//! tcp/mod                The room's parts and names
//! tcp/tcb                Connection, the transmission control block, and its two halves
//! tcp/state              States, and the transitions of RFC 9293 figure 5
//! tcp/segment            Segments received and segments to send
//! tcp/config             TcpConfig: configuration of a connection
//! tcp/info               TcpInfo: a connection seen from outside
//! tcp/negotiation        Options of the SYNs: offer, and agreement
//! tcp/half_open          Half-open record: passive SYN-RECEIVED
//! tcp/syn_cookies        SYN cookies: making and checking
//! tcp/time_wait          TIME-WAIT record
//! tcp/iss                Initial sequence numbers and timestamp offsets
//! tcp/timestamps         Clocks of the timestamps option
//! tcp/timer              Timer table of a connection
//! tcp/path               Path to the peer: MTU, and errors that are not final
//! tcp/challenge          Rate limits of challenge ACKs
//! tcp/ack_policy         When to acknowledge: at once, or after a delay
//! tcp/autotune           Sizes of the buffers
//! tcp/send_buffer        Send buffer
//! tcp/recv_buffer        Receive buffer and reassembly
//! tcp/recv_buffer/tests  Its tests
//! tcp/ranges             Sets of stream positions as ranges
//! tcp/pool               Free lists of blocks and queues
//! tcp/pressure           Memory pressure on a connection
//! tcp/progress           What limited the sender, and the delivery rate
//! tcp/input/mod          SEGMENT ARRIVES: the order of the checks, and their verdict
//! tcp/input/syn_sent     The checks in SYN-SENT
//! tcp/input/timestamps   PAWS and TS.Recent
//! tcp/input/acceptable   First check: sequence number
//! tcp/input/reset        Second and fourth check: RST, SYN
//! tcp/input/ack          Fifth check: ACK, SACK, window
//! tcp/input/data         Seventh check: segment text
//! tcp/input/fin          Eighth check: FIN
//! tcp/output/mod         next_segment: plan, then commit or hold
//! tcp/output/plan        What leaves next, or what holds it back
//! tcp/output/sizing      How much: windows, whole segments, Nagle, SWS avoidance
//! tcp/output/pacing      When: the pace of a congestion controller
//! tcp/output/commit      A plan becomes a segment and is accounted for
//! tcp/output/hold        What limits the sender, and the timer that ends it
//! tcp/output/options     Options of segments after the handshake
//! tcp/output/window      The window we advertise
//! tcp/output/timeout     Timers that fire: retransmission, persist, lifetime
//! tcp/output/keep_alive  Keep-alive probes
//! tcp/recovery/mod       Loss recovery: in flight, selectively acknowledged, lost
//! tcp/recovery/sent      Sent records
//! tcp/recovery/rtt       Round trip estimation and RTO
//! tcp/congestion/mod     CongestionControl, and the choice of a controller
//! tcp/congestion/window  Congestion window shared by NewReno and CUBIC
//! tcp/congestion/newreno NewReno
//! tcp/congestion/cubic   CUBIC
//! ```
//!
//! ## `stack/`: all connections
//!
//! ```text
//! stack/mod              Stack: inputs, outputs, views
//! stack/config           StackConfig
//! stack/ingress          From a frame to a TCP segment
//! stack/delivery         Demultiplexing: connection, half-open record, TIME-WAIT record, listener
//! stack/flow             Flow table, keyed by 4-tuple
//! stack/conns            Connection table, with the stack's marks on each connection
//! stack/slab             Generational slab
//! stack/lifecycle        Insertion, settle, timers, TIME-WAIT, removal
//! stack/open             Active open
//! stack/passive_open     From a SYN to a half-open record, and on to a connection
//! stack/handshakes       Table of half-open records
//! stack/cookies          Handshakes by SYN cookie
//! stack/time_wait        Table of TIME-WAIT records
//! stack/conn             Conn: calls on one connection
//! stack/options          Socket options of one connection
//! stack/listeners        Calls on listeners
//! stack/listener         Listener and its accept queue
//! stack/bindings         Bound addresses
//! stack/locals           Local addresses and ports in use
//! stack/ports            Ephemeral ports
//! stack/scheduler        Connections ready to send, deadlines, event sources
//! stack/deadlines        Heap of deadlines, corrected lazily
//! stack/events           Event queue
//! stack/egress           From a segment plan to a frame
//! stack/headers          Headers of a segment
//! stack/transmit         Transmit: a frame to send
//! stack/loopback         Segments from this stack to itself
//! stack/paths            Path-MTU updates and ICMP errors of connections
//! stack/addresses        Calls on own addresses: probe, announce
//! stack/memory           Memory budget and pressure
//! stack/trace            Segment trace
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable
    )
)]

extern crate alloc;

mod error;
mod ip;
mod offload;
mod stack;
mod tcp;
mod time;
mod types;

pub use error::{
    ConfigError, ConnError, ConnectError, ListenError, ReadError, ShutdownError, WriteError,
};
pub use ip::{Gateways, IpCidr};
pub use offload::{Coalescer, FrameBuffer, RxChecksum, RxMeta, TxOffload, segment};
pub use stack::{
    BindOptions, BindingId, Conn, ConnectOptions, ConnectionCounts, Direction, ListenOptions,
    Stack, StackConfig, TraceEntry, Transmit,
};
pub use tcp::congestion::{
    AckSample, Algorithm, CongestionControl, CongestionEvent, Cubic, NewReno, initial_window,
};
pub use tcp::{BufferSize, KeepAlive, SendLimit, State, TcpConfig, TcpInfo, Transition};
pub use tidewire_wire as wire;
pub use time::{Duration, Instant};
pub use types::{ConnEvents, ConnId, DropReason, Event, LinkCaps, ListenerId, Secret, Stats};
