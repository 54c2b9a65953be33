//! Range sets: stream positions received out of order, selectively acknowledged, or lost.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::ops::Range;

/// A set with fewer ranges keeps its memory until it is empty.
const MIN_CAPACITY: usize = 16;

/// Disjoint, non-adjacent, non-empty ranges in ascending order. An empty set holds no memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct SeqRanges(Option<Box<Ranges>>);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Ranges {
    ranges: VecDeque<Range<u64>>,
    bytes: u64,
}

impl SeqRanges {
    /// Bytes in the set.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |set| set.bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Number of ranges.
    pub(crate) fn count(&self) -> usize {
        self.0.as_ref().map_or(0, |set| set.ranges.len())
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Range<u64>> {
        self.0.iter().flat_map(|set| set.ranges.iter())
    }

    pub(crate) fn first(&self) -> Option<&Range<u64>> {
        self.0.as_ref()?.ranges.front()
    }

    /// The range that holds `position`.
    pub(crate) fn containing(&self, position: u64) -> Option<&Range<u64>> {
        let set = self.0.as_ref()?;
        set.ranges
            .get(set.first_ending_after(position))
            .filter(|range| range.start <= position)
    }

    /// The first part of `within` that is in the set.
    pub(crate) fn first_in(&self, within: &Range<u64>) -> Option<Range<u64>> {
        let set = self.0.as_ref()?;
        let range = set.ranges.get(set.first_ending_after(within.start))?;
        let part = range.start.max(within.start)..range.end.min(within.end);
        (!part.is_empty()).then_some(part)
    }

    /// Whether a range of the set overlaps `range` or lies next to it.
    pub(crate) fn touches(&self, range: &Range<u64>) -> bool {
        let Some(set) = &self.0 else {
            return false;
        };
        let first = set.ranges.partition_point(|known| known.end < range.start);
        set.ranges
            .get(first)
            .is_some_and(|known| known.start <= range.end)
    }

    /// Adds a range and returns how many of its bytes were new.
    pub(crate) fn insert(&mut self, add: Range<u64>) -> u64 {
        if add.is_empty() {
            return 0;
        }
        self.0.get_or_insert_default().insert(add)
    }

    /// Removes a range and returns how many of its bytes were there.
    pub(crate) fn remove(&mut self, cut: Range<u64>) -> u64 {
        let Some(set) = &mut self.0 else {
            return 0;
        };
        let removed = set.remove(cut);
        if set.ranges.is_empty() {
            self.0 = None;
        }
        removed
    }

    /// Removes everything below `position` and returns how many bytes that was.
    pub(crate) fn remove_below(&mut self, position: u64) -> u64 {
        self.remove(0..position)
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// The parts of `within` that are not in the set, in order.
    pub(crate) fn gaps(&self, within: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut at = within.start;
        let mut index = self
            .0
            .as_ref()
            .map_or(0, |set| set.first_ending_after(within.start));
        core::iter::from_fn(move || {
            while at < within.end {
                let range = self.0.as_ref().and_then(|set| set.ranges.get(index));
                let Some(range) = range.filter(|range| range.start < within.end) else {
                    let gap = at..within.end;
                    at = within.end;
                    return Some(gap);
                };
                index += 1;
                let gap = at..range.start;
                at = at.max(range.end);
                if !gap.is_empty() {
                    return Some(gap);
                }
            }
            None
        })
    }
}

impl Ranges {
    fn insert(&mut self, add: Range<u64>) -> u64 {
        // `add` is merged with every range that it overlaps or touches.
        let from = self.ranges.partition_point(|range| range.end < add.start);
        let to = self.ranges.partition_point(|range| range.start <= add.end);
        let before = self.bytes;
        let mut merged = add;
        for range in self.ranges.range(from..to) {
            merged.start = merged.start.min(range.start);
            merged.end = merged.end.max(range.end);
            self.bytes -= range.end - range.start;
        }
        self.bytes += merged.end - merged.start;
        self.replace(from, to, merged);
        self.bytes - before
    }

    fn remove(&mut self, cut: Range<u64>) -> u64 {
        if cut.is_empty() {
            return 0;
        }
        let from = self.first_ending_after(cut.start);
        let to = self.ranges.partition_point(|range| range.start < cut.end);
        if from >= to {
            return 0;
        }
        let before = self.bytes;
        let overlapped = self.ranges.range(from..to);
        let (mut left, mut right) = (cut.start..cut.start, cut.end..cut.end);
        for range in overlapped {
            left.start = left.start.min(range.start);
            right.end = right.end.max(range.end);
            self.bytes -= range.end - range.start;
        }
        self.ranges.drain(from..to);
        self.shrink();
        for (offset, keep) in [left, right]
            .into_iter()
            .filter(|keep| !keep.is_empty())
            .enumerate()
        {
            self.bytes += keep.end - keep.start;
            self.ranges.insert(from + offset, keep);
        }
        before - self.bytes
    }

    fn first_ending_after(&self, position: u64) -> usize {
        self.ranges.partition_point(|range| range.end <= position)
    }

    fn replace(&mut self, from: usize, to: usize, with: Range<u64>) {
        if from < to
            && let Some(slot) = self.ranges.get_mut(from)
        {
            *slot = with;
            self.ranges.drain(from + 1..to);
            self.shrink();
        } else {
            self.ranges.insert(from, with);
        }
    }

    /// Frees memory after the set had many more ranges: the capacity is at most four times the
    /// need.
    fn shrink(&mut self) {
        let needed = self.ranges.len().max(MIN_CAPACITY);
        if self.ranges.capacity() > 4 * needed {
            self.ranges.shrink_to(2 * needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SeqRanges;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const SPACE: usize = 64;

    /// The ranges of a bitmap: the model of the set.
    fn ranges_of(bits: &[bool; SPACE]) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (position, _) in (0u64..).zip(bits).filter(|(_, bit)| **bit) {
            match ranges.last_mut() {
                Some(last) if last.1 == position => last.1 += 1,
                _ => ranges.push((position, position + 1)),
            }
        }
        ranges
    }

    proptest! {
        #[test]
        fn behaves_like_a_bitmap(ops in prop::collection::vec((any::<bool>(), 0usize..SPACE, 0usize..20), 0..100)) {
            let mut set = SeqRanges::default();
            let mut bits = [false; SPACE];
            for (add, start, len) in ops {
                let end = (start + len).min(SPACE);
                let changed = bits[start..end].iter().filter(|bit| **bit != add).count() as u64;
                bits[start..end].fill(add);
                let range = start as u64..end as u64;
                prop_assert_eq!(if add { set.insert(range) } else { set.remove(range) }, changed);
                let want = ranges_of(&bits);
                prop_assert_eq!(set.iter().map(|r| (r.start, r.end)).collect::<Vec<_>>(), want);
                prop_assert_eq!(set.bytes(), bits.iter().filter(|bit| **bit).count() as u64);

                let inverse: [bool; SPACE] = core::array::from_fn(|i| !bits[i]);
                let gaps: Vec<_> = set.gaps(0..SPACE as u64).map(|r| (r.start, r.end)).collect();
                prop_assert_eq!(gaps, ranges_of(&inverse));
                for position in 0..SPACE as u64 {
                    prop_assert_eq!(set.containing(position).is_some(), bits[position as usize]);
                    let within = position..(position + 7).min(SPACE as u64);
                    let first = ranges_of(&bits)
                        .into_iter()
                        .map(|(start, end)| start.max(within.start)..end.min(within.end))
                        .find(|part| !part.is_empty());
                    prop_assert_eq!(set.first_in(&within), first);
                    let near = ranges_of(&bits)
                        .into_iter()
                        .any(|(start, end)| start <= within.end && end >= within.start);
                    prop_assert_eq!(set.touches(&within), near);
                }
            }
        }

        #[test]
        fn gaps_stay_within(start in 0u64..64, len in 0u64..64, ranges in prop::collection::vec((0u64..64, 0u64..9), 0..8)) {
            let mut set = SeqRanges::default();
            for (start, len) in ranges {
                set.insert(start..start + len);
            }
            let within = start..start + len;
            let mut covered = 0;
            for gap in set.gaps(within.clone()) {
                prop_assert!(!gap.is_empty() && gap.start >= within.start && gap.end <= within.end);
                prop_assert!((gap.start..gap.end).all(|position| set.containing(position).is_none()));
                covered += gap.end - gap.start;
            }
            let inside = (within.start..within.end).filter(|position| set.containing(*position).is_some()).count() as u64;
            prop_assert_eq!(covered + inside, len);
        }
    }
}
