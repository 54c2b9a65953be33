//! Range sets: stream positions received out of order, selectively acknowledged, or lost.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::ops::Range;

/// Disjoint, non-adjacent, non-empty ranges. An empty set holds no memory. What a call costs grows
/// with the logarithm of the number of ranges, and with the ranges that it removes or returns.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct SeqRanges(Option<Box<Ranges>>);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Ranges {
    /// End of each range, by its start.
    ends: BTreeMap<u64, u64>,
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
        self.0.as_ref().map_or(0, |set| set.ends.len())
    }

    /// The ranges in ascending order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> {
        let sets = self.0.iter();
        sets.flat_map(|set| set.ends.iter().map(|(&start, &end)| start..end))
    }

    pub(crate) fn first(&self) -> Option<Range<u64>> {
        let (&start, &end) = self.0.as_ref()?.ends.first_key_value()?;
        Some(start..end)
    }

    /// The range that holds `position`.
    pub(crate) fn containing(&self, position: u64) -> Option<Range<u64>> {
        let first = self.0.as_ref()?.ending_after(position).next()?;
        (first.start <= position).then_some(first)
    }

    /// The first part of `within` that is in the set.
    pub(crate) fn first_in(&self, within: &Range<u64>) -> Option<Range<u64>> {
        let range = self.0.as_ref()?.ending_after(within.start).next()?;
        let part = range.start.max(within.start)..range.end.min(within.end);
        (!part.is_empty()).then_some(part)
    }

    /// Whether a range of the set overlaps `range` or lies next to it.
    pub(crate) fn touches(&self, range: &Range<u64>) -> bool {
        let set = self.0.as_ref();
        set.is_some_and(|set| set.last_touching(range).is_some())
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
        let removed = set.remove(&cut);
        if set.ends.is_empty() {
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
        let sets = self.0.iter();
        let mut known = sets.flat_map(move |set| set.ending_after(within.start));
        let mut at = within.start;
        core::iter::from_fn(move || {
            while at < within.end {
                let Some(range) = known.next().filter(|range| range.start < within.end) else {
                    let gap = at..within.end;
                    at = within.end;
                    return Some(gap);
                };
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
    /// The ranges that end after `position`, in ascending order.
    fn ending_after(&self, position: u64) -> impl Iterator<Item = Range<u64>> + '_ {
        let before = self.ends.range(..=position).next_back();
        let holds = before.filter(|&(_, &end)| end > position);
        let from = holds.map_or(position, |(&start, _)| start);
        self.ends.range(from..).map(|(&start, &end)| start..end)
    }

    /// The last range that overlaps `range` or lies next to it.
    fn last_touching(&self, range: &Range<u64>) -> Option<Range<u64>> {
        let (&start, &end) = self.ends.range(..=range.end).next_back()?;
        (end >= range.start).then_some(start..end)
    }

    fn insert(&mut self, add: Range<u64>) -> u64 {
        let before = self.bytes;
        let mut merged = add;
        while let Some(range) = self.last_touching(&merged) {
            self.ends.remove(&range.start);
            self.bytes -= range.end - range.start;
            merged.start = merged.start.min(range.start);
            merged.end = merged.end.max(range.end);
        }
        self.put(merged);
        self.bytes - before
    }

    fn remove(&mut self, cut: &Range<u64>) -> u64 {
        let before = self.bytes;
        while let Some((&start, &end)) = self.ends.range(..cut.end).next_back()
            && end > cut.start
            && !cut.is_empty()
        {
            self.ends.remove(&start);
            self.bytes -= end - start;
            self.put(cut.end..end);
            self.put(start..cut.start);
            if start < cut.start {
                break;
            }
        }
        before - self.bytes
    }

    /// Adds a range that touches no other, unless it is empty.
    fn put(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.bytes += range.end - range.start;
            self.ends.insert(range.start, range.end);
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
