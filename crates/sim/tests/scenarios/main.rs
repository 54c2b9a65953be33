//! Scenarios: two hosts on a link that loses exactly what a test says.

mod autotune;
mod close;
mod crowd;
mod handshake;
mod pair;
mod transfer;
