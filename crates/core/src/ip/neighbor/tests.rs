//! Tests of the neighbour cache.

use super::{Claim, NeighborCache, Request, Resolution, State};
use crate::time::{Duration, Instant};
use core::net::{IpAddr, Ipv4Addr};
use tidewire_wire::MacAddr;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn ip(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))
}

fn answer(mac: MacAddr) -> Claim {
    Claim {
        solicited: true,
        ..Claim::weak(mac)
    }
}

fn at(secs: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(secs)
}

#[test]
fn asks_three_times_then_gives_up() {
    let mut cache = NeighborCache::new(8);
    assert_eq!(cache.resolve(at(0), ip(1), None), Resolution::Pending);
    assert!(cache.park(ip(1), alloc::vec![1]).is_none());
    for second in 1..3 {
        assert!(cache.pop_request().is_some());
        assert!(cache.on_timeout(at(second)).is_empty());
    }
    assert!(cache.pop_request().is_some());
    let failed = cache.on_timeout(at(3));
    assert_eq!((failed.len(), failed[0].packets.len()), (1, 1));
    assert!(cache.pop_request().is_none() && cache.next_deadline().is_none());
}

#[test]
fn an_answer_is_good_for_a_while_then_verified_on_use() {
    let mut cache = NeighborCache::new(8);
    cache.resolve(at(0), ip(1), None);
    cache.pop_request();
    assert!(cache.on_answer(at(0), ip(1), answer(MAC)).is_some());
    assert_eq!(cache.resolve(at(1), ip(1), None), Resolution::Known(MAC));
    cache.on_timeout(at(31));
    assert_eq!(cache.resolve(at(31), ip(1), None), Resolution::Known(MAC));
    assert_eq!(cache.pop_request(), None, "traffic may confirm it first");
    cache.on_timeout(at(36));
    let to = Some(MAC);
    assert_eq!(cache.pop_request(), Some(Request { target: ip(1), to }));
    // No answer: the entry is removed, and the next packet asks all hosts of the link.
    (37..=39).for_each(|second| drop(cache.on_timeout(at(second))));
    while cache.pop_request().is_some() {}
    assert_eq!(cache.resolve(at(40), ip(1), None), Resolution::Pending);
    assert_eq!(
        cache.pop_request(),
        Some(Request {
            target: ip(1),
            to: None
        })
    );
}

#[test]
fn progress_confirms_a_neighbour_without_a_request() {
    let mut cache = NeighborCache::new(8);
    cache.resolve(at(0), ip(1), None);
    cache.on_answer(at(0), ip(1), answer(MAC));
    cache.pop_request();
    for second in 1..200 {
        cache.on_timeout(at(second));
        let known = cache.resolve(at(second), ip(1), Some(at(second - 1)));
        assert_eq!(known, Resolution::Known(MAC));
    }
    assert_eq!(cache.pop_request(), None);
}

#[test]
fn progress_from_before_a_doubt_confirms_nothing() {
    let mut cache = NeighborCache::new(8);
    cache.resolve(at(0), ip(1), None);
    cache.on_answer(at(0), ip(1), answer(MAC));
    cache.pop_request();
    cache.on_answer(at(10), ip(1), Claim::weak(OTHER));
    cache.resolve(at(11), ip(1), Some(at(9)));
    cache.on_timeout(at(16));
    assert!(cache.pop_request().is_some());
}

#[test]
fn an_overriding_claim_moves_a_neighbour_but_does_not_confirm_it() {
    let mut cache = NeighborCache::new(8);
    cache.resolve(at(0), ip(1), None);
    cache.on_answer(at(0), ip(1), answer(MAC));
    cache.pop_request();
    let claim = Claim {
        solicited: true,
        ..Claim::overriding(OTHER)
    };
    cache.on_answer(at(1), ip(1), claim);
    assert_eq!(cache.resolve(at(1), ip(1), None), Resolution::Known(OTHER));
    cache.on_timeout(at(6));
    let to = Some(OTHER);
    assert_eq!(cache.pop_request(), Some(Request { target: ip(1), to }));
}

#[test]
fn whoever_asks_for_many_at_once_asks_each_of_them_three_times() {
    let mut cache = NeighborCache::new(400);
    let mut asked = alloc::vec![0; 200];
    for n in 0..200 {
        cache.resolve(at(0), ip(n), None);
    }
    for second in 1..=3 {
        while let Some(Request { target, .. }) = cache.pop_request() {
            let IpAddr::V4(target) = target else { continue };
            asked[usize::from(target.octets()[3])] += 1;
        }
        cache.on_timeout(at(second));
    }
    assert!(asked.iter().all(|times| *times == 3), "{asked:?}");
}

#[test]
fn the_indices_stay_true() {
    let mut cache = NeighborCache::new(16);
    for step in 0..5_000_u64 {
        let n = (step * 7 % 61) as u8;
        let now = at(step / 10);
        cache.on_timeout(now);
        match step % 5 {
            0 => drop(cache.on_request(now, ip(n), Claim::overriding(MAC))),
            1 => drop(cache.on_answer(now, ip(n), answer(OTHER))),
            2 => drop(cache.on_answer(now, ip(n), Claim::weak(MAC))),
            _ => drop(cache.resolve(now, ip(n), (step % 3 == 0).then_some(now))),
        }
        let count = |is: fn(&State) -> bool| {
            cache
                .entries
                .values()
                .filter(|entry| is(&entry.state))
                .count()
        };
        assert_eq!(cache.incomplete, count(|state| *state == State::Incomplete));
        assert_eq!(
            cache.stale.len(),
            count(|state| matches!(state, State::Stale(_)))
        );
        let timed = cache
            .entries
            .values()
            .filter(|entry| entry.deadline.is_some());
        assert_eq!(cache.deadlines.len(), timed.count());
        assert!(cache.entries.len() <= 16 && cache.requests.len() <= 16);
    }
}

#[test]
fn nobody_is_moved_by_an_answer_that_nobody_asked_for() {
    let mut cache = NeighborCache::new(8);
    assert!(
        cache.on_answer(at(0), ip(1), answer(MAC)).is_none(),
        "no entry is made"
    );
    cache.resolve(at(0), ip(1), None);
    cache.on_answer(at(0), ip(1), answer(MAC));
    cache.on_answer(at(1), ip(1), answer(OTHER));
    assert_eq!(cache.resolve(at(1), ip(1), None), Resolution::Known(MAC));
}

#[test]
fn the_cache_is_bounded_and_keeps_those_in_use() {
    let mut cache = NeighborCache::new(8);
    cache.resolve(at(0), ip(1), None);
    cache.on_answer(at(0), ip(1), answer(MAC));
    for n in 2..250 {
        cache.resolve(at(0), ip(n), None);
        cache.on_request(at(0), ip(n), Claim::weak(OTHER));
    }
    assert!(cache.entries.len() <= 8);
    assert_eq!(cache.resolve(at(0), ip(1), None), Resolution::Known(MAC));
}
