//! Protocol tests: one stack, segment by segment, against a peer played by the test.
//! RFC 9293 §3.10.7 state by state, and timers, options and neighbours.

#[path = "../common/mod.rs"]
mod common;

mod acks;
mod bindings;
mod close;
mod closed;
mod congestion;
mod dsack;
mod events;
mod hostile;
mod icmp_errors;
mod info;
mod ipv6;
mod keep_alive;
mod listen;
mod loopback;
mod memory;
mod ndp;
mod neighbors;
mod options;
mod output;
mod path_mtu;
mod ports;
mod reassembly;
mod recovery;
mod reuse_port;
mod routes;
mod sending;
mod sequence;
mod states;
mod syn_cookies;
mod syn_received;
mod syn_sent;
mod text;
mod time_wait;
mod timers;
mod timestamps;
mod user_timeout;
mod window;
