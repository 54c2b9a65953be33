//! The suite over the kernel's sockets.

use tokio::net;

const OVER: crate::Implementation = crate::Implementation::Kernel;

#[path = "cases/mod.rs"]
pub(crate) mod cases;
