//! Memory pressure: its effect on the buffer sizes of a connection.

/// Most bytes of a buffer under high pressure.
pub(crate) const HIGH_PRESSURE_BUFFER: u32 = 16 * 1024;
/// Most bytes of a buffer when memory is full: two segments of the usual size.
pub(crate) const MIN_BUFFER: u32 = 4 * 1024;

/// Levels of memory pressure.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Pressure {
    #[default]
    None,
    High,
    Full,
}

impl Pressure {
    /// A buffer size, reduced under this pressure.
    pub(crate) fn cap(self, size: u32) -> u32 {
        match self {
            Self::None => size,
            Self::High => size.min(HIGH_PRESSURE_BUFFER),
            Self::Full => size.min(MIN_BUFFER),
        }
    }
}
