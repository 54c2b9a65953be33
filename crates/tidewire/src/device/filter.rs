//! BPF filter of the packet socket: frames to the own MAC address, ARP and IPv6 to groups.

use socket2::SockFilter;
use tidewire_core::wire::MacAddr;

/// Accepts frames to `mac`, and of those to a group (broadcast included) ARP and IPv6; rejects all
/// else, and frames of a VLAN, which is another link: the kernel shows them without their tag. A
/// rejected frame costs a tenth of a microsecond and no wake-up.
pub(super) fn program(mac: MacAddr) -> Vec<SockFilter> {
    let [a, b, c, d, e, f] = mac.0;
    let high = u32::from_be_bytes([a, b, c, d]);
    let low = u32::from(u16::from_be_bytes([e, f]));
    instructions(high, low)
        .into_iter()
        .map(|(code, jt, jf, k)| SockFilter::new(code, jt, jf, k))
        .collect()
}

type Instruction = (u16, u8, u8, u32);

fn instructions(high: u32, low: u32) -> [Instruction; 13] {
    [
        (LOAD_U32, 0, 0, VLAN_TAG),      // 0: the tag that was taken off
        (JUMP_SET, 10, 0, VLAN_ID),      // 1: of a VLAN: 12
        (LOAD_U32, 0, 0, 0),             // 2: destination, first four bytes
        (JUMP_EQ, 0, 2, high),           // 3: else 6
        (LOAD_U16, 0, 0, 4),             // 4: destination, last two bytes
        (JUMP_EQ, 5, 0, low),            // 5: own address: 11
        (LOAD_U8, 0, 0, 0),              // 6: destination, first byte
        (JUMP_SET, 0, 4, GROUP_BIT),     // 7: not a group: 12
        (LOAD_U16, 0, 0, 12),            // 8: EtherType
        (JUMP_EQ, 1, 0, ETHERTYPE_ARP),  // 9: 11
        (JUMP_EQ, 0, 1, ETHERTYPE_IPV6), // 10: 11, else 12
        (RETURN, 0, 0, ACCEPT),          // 11
        (RETURN, 0, 0, REJECT),          // 12
    ]
}

const LOAD_U32: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const LOAD_U16: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LOAD_U8: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const JUMP_EQ: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// An address beyond every frame, at which the kernel answers for `skb->vlan_tci`.
const VLAN_TAG: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_VLAN_TAG).cast_unsigned();
/// The bits of the tag that name a VLAN; none of them marks a mere priority.
const VLAN_ID: u32 = 0x0fff;
const GROUP_BIT: u32 = 1;
const ETHERTYPE_ARP: u32 = 0x0806;
const ETHERTYPE_IPV6: u32 = 0x86dd;
/// More bytes than any frame has.
const ACCEPT: u32 = 0x7fff_ffff;
const REJECT: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn accepts(own: [u8; 6], frame: &[u8; 14], vlan: u32) -> bool {
        let [a, b, c, d, e, f] = own;
        let program = instructions(
            u32::from_be_bytes([a, b, c, d]),
            u32::from(u16::from_be_bytes([e, f])),
        );
        let (mut pc, mut acc) = (0, 0);
        loop {
            let (code, jt, jf, k) = program[pc];
            let at = k as usize;
            pc += 1;
            let jump = match code {
                LOAD_U32 if k == 0xffff_f02c => {
                    acc = vlan;
                    continue;
                }
                LOAD_U32 => {
                    acc = u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
                    continue;
                }
                LOAD_U16 => {
                    acc = u32::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
                    continue;
                }
                LOAD_U8 => {
                    acc = u32::from(frame[at]);
                    continue;
                }
                JUMP_EQ => acc == k,
                JUMP_SET => acc & k != 0,
                RETURN => return k != 0,
                other => panic!("instruction {other:#x}"),
            };
            pc += usize::from(if jump { jt } else { jf });
        }
    }

    #[test]
    fn takes_own_frames_arp_and_ipv6_groups_and_nothing_else() {
        const OWN: [u8; 6] = [0x02, 1, 2, 3, 4, 5];
        let frame = |to: [u8; 6], ethertype: u16| {
            let mut frame = [0; 14];
            frame[..6].copy_from_slice(&to);
            frame[12..].copy_from_slice(&ethertype.to_be_bytes());
            frame
        };
        let broadcast = [0xff; 6];
        let ipv6_group = [0x33, 0x33, 0xff, 0, 0, 2];
        let accepted = [
            (OWN, 0x0800),
            (OWN, 0x0806),
            (broadcast, 0x0806),
            (ipv6_group, 0x86dd),
        ];
        let rejected = [
            ([0x02, 1, 2, 3, 4, 6], 0x0800),
            ([0x02, 1, 2, 9, 4, 5], 0x0800),
            (broadcast, 0x0800),
            ([1, 0, 0x5e, 0, 0, 251], 0x0800),
            ([0x01, 0x80, 0xc2, 0, 0, 0], 0x0027),
        ];
        for (to, ethertype) in accepted {
            assert!(
                accepts(OWN, &frame(to, ethertype), 0),
                "{to:02x?} {ethertype:#x}"
            );
            // A tag of priority 7; one of VLAN 20.
            assert!(accepts(OWN, &frame(to, ethertype), 0xe000));
            assert!(!accepts(OWN, &frame(to, ethertype), 20));
        }
        for (to, ethertype) in rejected {
            assert!(
                !accepts(OWN, &frame(to, ethertype), 0),
                "{to:02x?} {ethertype:#x}"
            );
        }
    }
}
