//! Fields of the IP header that an application may choose.

/// Fields of the IP header that an application may choose per connection (RFC 9293 §3.9.1.9,
/// SHLD-22, and §3.9.2).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct IpFields {
    pub(crate) hop_limit: u8,
    /// TOS or traffic class, the ECN bits zero.
    pub(crate) traffic_class: u8,
}

impl IpFields {
    /// Default where the application chose nothing: RFC 1700's hop limit.
    pub(crate) const DEFAULT: Self = Self {
        hop_limit: 64,
        traffic_class: 0,
    };
}
