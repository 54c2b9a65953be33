//! TCP segments (RFC 9293 §3.1) and their options (RFC 9293 §3.2, RFC 7323, RFC 2018).

mod flags;
mod header;
mod options;
mod sack;

pub use flags::TcpFlags;
pub use header::TcpHeader;
pub use options::{MAX_WINDOW_SCALE, TcpOption, TcpOptionIter, TcpOptions, TcpTimestamps};
pub use sack::{SackBlock, SackBlocks};
