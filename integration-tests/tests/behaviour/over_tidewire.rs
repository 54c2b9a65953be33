//! The suite over Tidewire's sockets.

use tidewire::net;

const OVER: crate::Implementation = crate::Implementation::Tidewire;

#[allow(clippy::duplicate_mod, reason = "the same cases, with another import")]
#[path = "cases/mod.rs"]
pub(crate) mod cases;
