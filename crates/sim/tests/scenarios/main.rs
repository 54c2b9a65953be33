//! Two hosts on a link that loses exactly what a test says: each behaviour of a connection, seen on the wire.

mod autotune;
mod close;
mod crowd;
mod handshake;
mod pair;
mod transfer;
