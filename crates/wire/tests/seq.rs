//! Properties of sequence-number arithmetic (RFC 9293 §3.4).

use proptest::prelude::*;
use tidewire_wire::SeqNum;

fn seq() -> impl Strategy<Value = SeqNum> {
    // Around the wrap and the half-way point as often as anywhere.
    prop_oneof![
        any::<u32>(),
        (0_u32..8).prop_map(|n| n.wrapping_sub(4)),
        (0_u32..8).prop_map(|n| (1_u32 << 31).wrapping_add(n).wrapping_sub(4)),
    ]
    .prop_map(SeqNum::new)
}

proptest! {
    #[test]
    fn addition_is_undone_by_subtraction(a in seq(), n in any::<u32>()) {
        prop_assert_eq!(a + n - n, a);
        prop_assert_eq!(a.add(n), a + n);
        prop_assert_eq!(a.sub(n), a - n);
        let mut sum = a;
        sum += n;
        prop_assert_eq!(sum, a + n);
        prop_assert_eq!((a + n).raw(), a.raw().wrapping_add(n));
    }

    #[test]
    fn distance_is_what_was_added(a in seq(), n in any::<i32>()) {
        prop_assert_eq!((a + n.cast_unsigned()).distance(a), n);
    }

    #[test]
    fn order_is_the_sign_of_the_distance(a in seq(), b in seq()) {
        let distance = a.raw().wrapping_sub(b.raw()).cast_signed();
        prop_assert_eq!(a.distance(b), distance);
        prop_assert_eq!(a.lt(b), distance < 0);
        prop_assert_eq!(a.le(b), distance <= 0);
        prop_assert_eq!(a.gt(b), distance > 0);
        prop_assert_eq!(a.ge(b), distance >= 0);
    }

    #[test]
    fn of_two_numbers_one_is_before_the_other(a in seq(), b in seq()) {
        // Half the space apart is the one exception, tested below.
        let half = a.distance(b) == i32::MIN;
        prop_assert_eq!(a.lt(b), b.gt(a) || half);
        prop_assert_eq!(a.le(b), b.ge(a) || half);
        prop_assert_eq!(u8::from(a.lt(b)) + u8::from(a == b) + u8::from(a.gt(b)), 1);
    }

    #[test]
    fn order_is_kept_by_a_shift(a in seq(), n in 1_u32..1 << 31, shift in any::<u32>()) {
        prop_assert!(a.lt(a + n) && (a + n).gt(a));
        prop_assert!((a + shift).lt(a + shift + n));
        prop_assert_eq!(a.max(a + n), a + n);
        prop_assert_eq!((a + n).max(a), a + n);
        prop_assert_eq!(a.min(a + n), a);
        prop_assert_eq!((a + n).min(a), a);
    }

    #[test]
    fn order_is_transitive_within_half_the_space(a in seq(), m in 0_u32..1 << 30, n in 0_u32..1 << 30) {
        let (b, c) = (a + m, a + m + n);
        prop_assert!(a.le(b) && b.le(c) && a.le(c));
    }

    #[test]
    fn a_window_holds_its_length(start in seq(), len in any::<u32>(), n in any::<u32>()) {
        prop_assert_eq!((start + n).in_window(start, len), n < len);
    }
}

#[test]
fn half_the_space_apart_each_is_before_the_other() {
    let (a, b) = (SeqNum::new(7), SeqNum::new(7) + (1 << 31));
    assert!(a.lt(b) && b.lt(a) && !a.gt(b) && !b.gt(a));
}

#[test]
fn around_the_wrap() {
    let last = SeqNum::new(u32::MAX);
    let first = SeqNum::new(0);
    assert_eq!(last + 1, first);
    assert!(last.lt(first) && first.gt(last));
    assert_eq!(first.distance(last), 1);
    assert!(first.in_window(last, 2) && !first.in_window(last, 1) && !last.in_window(last, 0));
    assert_eq!(format!("{last} {last:?}"), "4294967295 4294967295");
}
