//! Direction of a frame on a lab's link.

/// The way a frame travels over a lab's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the left host to the right one.
    ToRight,
    /// From the right host to the left one.
    ToLeft,
}
