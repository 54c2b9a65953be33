//! Shard: one device, one core stack, one mutex, one driver task.
//!
//! Every call of the application does its work under the lock, inline: it plans and sends frames
//! from the caller's task, and before it would have to wait it receives what has arrived. The
//! driver task does the same when no one calls, and watches the device and the clock. Wakers are
//! taken under the lock and woken after it.
//!
//! Bottom to top: `wakers`, `state` (what the lock guards), `lock`, `drain` and `driver`, `handle`,
//! then what the application holds: `conn`, `accept`, `binding`.

mod accept;
mod binding;
mod conn;
mod drain;
mod driver;
mod handle;
mod lock;
mod state;
mod wakers;

pub(crate) use accept::Listener;
pub(crate) use binding::Binding;
pub(crate) use conn::Connection;
pub(crate) use handle::ShardRef;
pub(crate) use state::{State, Stop};
pub(crate) use wakers::Slot;
