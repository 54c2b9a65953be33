//! TCP over IPv6: the header, sizes, super-frames; and what is dropped on the way in.

use tidewire_core::LinkCaps;

use crate::common::*;

const A6: &str = "2001:db8::a/64";
const B6: &str = "2001:db8::b/64";

#[test]
fn a_connection_over_ipv6_begins_with_a_solicitation_and_carries_data_both_ways() {
    let mut pair = Pair::new(&[A6], &[B6]);
    let (client, server) = pair.connect("[2001:db8::b]:80", "[::]:80");
    assert!(pair.log[0].contains("neighbor solicitation, who has 2001:db8::b"));
    assert!(pair.log[1].contains("neighbor advertisement, tgt is 2001:db8::b"));
    assert_eq!(
        pair.lines("neighbor solicitation").len(),
        1,
        "{:#?}",
        pair.log
    );
    transfer(&mut pair, client, server, 300_000);
    let longest = pair.frames.iter().map(Vec::len).max().unwrap();
    assert_eq!(longest, 1514, "full frames, and none longer");
    assert!(
        pair.lines("Flags [S]")[0].contains("mss 1440"),
        "the MTU less 60"
    );
}

#[test]
fn super_frames_go_over_ipv6_too() {
    let mut configs = [host_config(A_MAC, &[A6]), host_config(B_MAC, &[B6])];
    for config in &mut configs {
        config.link = LinkCaps::ethernet(config.link.mac, 1500).with_offload();
    }
    let [a, b] = configs;
    let mut pair = Pair::with(a, b);
    let (client, server) = pair.connect("[2001:db8::b]:80", "[2001:db8::b]:80");
    let frames = transfer(&mut pair, client, server, 2_000_000);
    assert!(frames < 400, "{frames} frames");
    let longest = pair.frames.iter().map(Vec::len).max().unwrap();
    assert!(longest > 60_000 && longest <= 65_549, "{longest}");
}
