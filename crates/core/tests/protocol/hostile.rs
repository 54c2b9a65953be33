//! Malformed and forged frames: dropped and counted, without a panic.

use tidewire_core::wire::{SeqNum, TcpFlags, TcpHeader, TcpOptions, TcpTimestamps};
use tidewire_core::{BufferSize, DropReason, RxChecksum, RxMeta, State};

use crate::common::*;

fn dropped(t: &Tester) -> u64 {
    t.stack.stats().drops().map(|(_, count)| count).sum()
}

#[test]
fn a_truncated_frame_is_dropped_and_counted() {
    let mut t = Tester::established(FULL);
    let frame = t.frame_of(&seg(ACK | PSH).len(20));
    for len in 0..frame.len() {
        t.frame(&frame[..len]);
        assert_eq!(dropped(&t), len as u64 + 1, "{len} bytes");
    }
    t.silent();
    assert_eq!(t.dropped(DropReason::Malformed), frame.len() as u64);
    t.frame(&frame);
    assert_eq!(t.read(100), Ok(20));
}

#[test]
fn a_frame_with_one_byte_changed_is_dropped_and_counted() {
    // RFC 9293: MUST-3.
    let mut t = Tester::established(FULL);
    let frame = t.frame_of(&seg(ACK | PSH).len(20));
    let mut changes = 0;
    for at in 0..frame.len() {
        // The Ethernet source address does not matter.
        if (6..12).contains(&at) {
            continue;
        }
        for flip in 1..=u8::MAX {
            let mut changed = frame.clone();
            changed[at] ^= flip;
            t.frame(&changed);
            changes += 1;
            assert_eq!(dropped(&t), changes, "byte {at} ^ {flip}");
        }
    }
    t.silent();
    assert_eq!(
        (t.state(), t.conn().info().recv_queue),
        (State::Established, 0)
    );
    t.frame(&frame);
    assert_eq!(t.read(100), Ok(20));
}

#[test]
fn padding_behind_the_packet_is_not_data() {
    let mut t = Tester::established(PLAIN);
    let mut frame = t.frame_of(&seg(ACK).len(1));
    frame.extend([0xee; 40]);
    t.frame(&frame);
    assert_eq!(t.read(100), Ok(1));
}

#[test]
fn options_of_any_shape_are_survived() {
    // MUST-6 and MUST-7: unknown options are skipped, illegal lengths do not end the connection.
    let mut t = Tester::established(PLAIN);
    let frame = t.frame_of(&seg(ACK).len(8));
    for kind in 0..=u8::MAX {
        for len in 0..=u8::MAX {
            let mut bytes = frame.clone();
            // The first bytes of the payload become options.
            bytes[46] = 0x70;
            bytes[54..62].copy_from_slice(&[kind, len, 0xff, 1, kind, len, 3, 0]);
            let mut bytes: &[u8] = &bytes;
            let meta = RxMeta {
                checksum: RxChecksum::Verified,
                ..RxMeta::default()
            };
            t.stack.handle_frame(t.now, &mut bytes, meta);
        }
    }
    t.pump();
    assert_eq!(t.state(), State::Established);
}

#[test]
fn options_stand_in_any_segment_at_any_place() {
    // MUST-4, MUST-5, MUST-64: no-operation options shift the others to odd offsets, the
    // end-of-list option hides the rest, and an MSS option outside of a SYN is ignored (MUST-65).
    for flags in [ACK, ACK | PSH, FIN_ACK] {
        let mut t = Tester::established(PLAIN);
        let mss = t.conn().info().snd_mss;
        let mut bytes = t.frame_of(&seg(flags).len(20));
        // The first twelve bytes of the payload become options.
        bytes[46] = 0x80;
        bytes[54..66].copy_from_slice(&[1, 254, 3, 9, 1, 2, 4, 0, 100, 0, 77, 0]);
        let mut frame: &[u8] = &bytes;
        let meta = RxMeta {
            checksum: RxChecksum::Verified,
            ..RxMeta::default()
        };
        t.stack.handle_frame(t.now, &mut frame, meta);
        let (mut read, now) = ([0; 100], t.now);
        assert_eq!(t.conn().read(now, &mut read), Ok(8));
        assert_eq!(read[..8], bytes[66..74]);
        assert_eq!(t.conn().info().snd_mss, mss);
        let closing = if flags == FIN_ACK {
            State::CloseWait
        } else {
            State::Established
        };
        assert_eq!(t.state(), closing);
    }
}

/// A small generator with a fixed seed, so that a failure can be reproduced.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[test]
fn random_changes_to_frames_of_a_live_connection_are_survived() {
    // 100,000 frames with up to four bytes changed, on a device that reports every checksum as
    // valid.
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut t = Tester::established(FULL);
    for _ in 0..100_000 {
        let len = random.below(3) as usize * 50;
        let segment = match random.below(8) {
            0 => seg(FIN_ACK),
            1 => seg(SYN),
            2 => seg(ACK).sack(&[(10, 20), (30, 40)]),
            _ => seg(ACK | PSH).len(len),
        };
        let next = t.flow.next;
        let mut frame = t.frame_of(&segment);
        t.flow.next = next;
        for _ in 0..random.below(5) {
            let at = 34 + random.below(frame.len() as u64 - 34) as usize;
            frame[at] = random.next() as u8;
        }
        let mut bytes: &[u8] = &frame;
        let meta = RxMeta {
            checksum: RxChecksum::Verified,
            segment_len: (random.below(4) == 0).then(|| random.next() as u16),
        };
        t.stack.handle_frame(t.now, &mut bytes, meta);
        t.pump();
        t.sent.clear();
        if t.state() == State::Closed {
            t = Tester::established(FULL);
            t.flow.window = random.next() as u16;
        }
    }
}

#[test]
fn random_segments_around_the_window_are_survived() {
    // 100,000 segments around the edges of the windows, while the application reads and writes.
    let mut random = Random(0xfeed_f00d_dead_beef);
    let mut t = Tester::listening(4, |config| {
        config.tcp.recv_buffer = BufferSize::Fixed(20_000);
        config.max_half_open = 8;
        config.max_time_wait = 4;
        config.max_connections = 8;
    });
    let mut ids = Vec::new();
    for round in 0..100_000 {
        let info = ids
            .last()
            .and_then(|&id| t.stack.conn(id))
            .map(|conn| conn.info())
            .unwrap_or_default();
        if random.below(30) == 0 {
            t.flow = flow(1_000 + random.below(6) as u16, PORT);
        }
        let near = |random: &mut Random, at: u64| {
            let offsets = [0, 1, u64::MAX, 1_460, 20_000, 20_001, 1 << 31, 1 << 16];
            at.wrapping_add(offsets[random.below(8) as usize]) as u32
        };
        let seq = t.flow.isn.add(near(&mut random, 1 + info.bytes_received));
        let ack = near(&mut random, 1 + info.bytes_acked + info.unacked);
        let header = TcpHeader {
            src_port: t.flow.port,
            dst_port: if random.below(50) == 0 { 81 } else { PORT },
            seq: if random.below(4) == 0 {
                SeqNum::new(random.next() as u32)
            } else {
                seq
            },
            ack: t.flow.stack_isn.add(ack),
            flags: match random.below(4) {
                0 => TcpFlags::from_bits(random.next() as u16),
                1 => SYN,
                _ => ACK,
            },
            window: random.next() as u16,
            checksum: 0,
            urgent: random.next() as u16,
        };
        let options = TcpOptions {
            mss: (random.below(3) == 0).then(|| random.next() as u16),
            window_scale: (random.below(3) == 0).then(|| random.next() as u8),
            sack_permitted: random.below(2) == 0,
            timestamps: (random.below(2) == 0).then(|| TcpTimestamps {
                value: (random.next() >> random.below(64)) as u32,
                echo: random.next() as u32,
            }),
            ..TcpOptions::default()
        };
        let payload = vec![0; random.below(3) as usize * random.below(900) as usize];
        t.frame(&tcp_frame(t.flow.ip, header, &options, &payload));
        let answer = t.sent.drain(..).rfind(|sent| sent.header.flags == SYN_ACK);
        if let Some(sent) = answer.filter(|_| random.below(10) != 0) {
            // The peer completes this handshake.
            t.flow.isn = sent.header.ack.sub(1);
            t.flow.stack_isn = sent.header.seq;
            let last = seg(ACK).seq(1).ack(1).win(random.next() as u16);
            t.peer(match sent.options.timestamps {
                Some(ts) => last.ts(ts.echo, ts.value),
                None => last,
            });
        }
        t.sent.clear();
        t.arp.clear();
        t.other.clear();
        while let Some((id, _)) = t.stack.accept(t.listener.unwrap()) {
            ids.push(id);
        }
        let now = t.now;
        let picked = ids.get(random.below(8) as usize).copied();
        if let Some(mut conn) = picked.and_then(|id| t.stack.conn(id)) {
            match random.below(8) {
                0 => drop(conn.write(now, &[0; 3_000])),
                1 => drop(conn.read(now, &mut [0; 5_000])),
                2 if random.below(10) == 0 => drop(conn.shutdown_write(now)),
                3 if random.below(10) == 0 => conn.close(now),
                4 if random.below(10) == 0 => conn.abort(now),
                _ => {}
            }
        }
        if round % 64 == 0 {
            t.pump();
            t.advance(ms(random.below(3_000)));
            while t.stack.poll_event().is_some() {}
        }
        let (connections, half_open, time_wait) = t.counts();
        assert!(connections <= 8 && half_open <= 8 && time_wait <= 4);
        ids.retain(|&id| t.stack.conn(id).is_some());
    }
    // In the end all state times out.
    for id in ids {
        let now = t.now;
        if let Some(conn) = t.stack.conn(id) {
            conn.abort(now);
        }
    }
    t.pump();
    t.advance(secs(5_000));
    assert_eq!(t.counts().1 + t.counts().2, 0);
    let opens = t.stack.stats().passive_opens;
    assert!(opens > 300, "it got somewhere: {opens}");
}
