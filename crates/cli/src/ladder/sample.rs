//! Sample ladder and snapshot check for tests.

use core::time::Duration;
use std::path::Path;
use std::{env, fs};

use super::model::{Flags, Ladder, Step};
use crate::lab::Direction::{self, ToLeft, ToRight};
use crate::state::State;

/// A whole connection: handshake, request and answer, half-close, the last answer, close.
pub(super) fn ladder() -> Ladder {
    let (syn, fin, psh, ack) = (Flags::SYN.0, Flags::FIN.0, Flags::PSH.0, Flags::ACK.0);
    use State::{CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, Listen};
    use State::{SynReceived, SynSent, TimeWait};
    let steps = vec![
        step(
            0,
            10_041,
            ToRight,
            syn,
            (0, None, 0),
            "MSS 1460, SACK, TS, WS 7",
            SynSent,
            SynReceived,
        ),
        step(
            10_102,
            20_150,
            ToLeft,
            syn | ack,
            (0, Some(1), 0),
            "MSS 1460, SACK, TS, WS 7",
            Established,
            SynReceived,
        ),
        step(
            20_201,
            30_244,
            ToRight,
            ack,
            (1, Some(1), 0),
            "",
            Established,
            Established,
        ),
        step(
            25_310,
            35_352,
            ToRight,
            psh | ack,
            (1, Some(1), 18),
            "",
            Established,
            Established,
        ),
        step(
            35_390,
            45_431,
            ToLeft,
            ack,
            (1, Some(19), 0),
            "",
            Established,
            Established,
        ),
        step(
            40_502,
            50_540,
            ToLeft,
            psh | ack,
            (1, Some(19), 1200),
            "",
            Established,
            Established,
        ),
        step(
            50_580,
            60_622,
            ToRight,
            ack,
            (19, Some(1201), 0),
            "",
            Established,
            Established,
        ),
        step(
            70_711,
            80_752,
            ToRight,
            fin | ack,
            (19, Some(1201), 0),
            "half-close",
            FinWait1,
            CloseWait,
        ),
        step(
            80_803,
            90_850,
            ToLeft,
            ack,
            (1201, Some(20), 0),
            "",
            FinWait2,
            CloseWait,
        ),
        step(
            100_900,
            110_941,
            ToLeft,
            psh | ack,
            (1201, Some(20), 64),
            "retransmission",
            FinWait2,
            CloseWait,
        ),
        step(
            110_990,
            121_030,
            ToRight,
            ack,
            (20, Some(1265), 0),
            "",
            FinWait2,
            CloseWait,
        ),
        step(
            121_100,
            131_141,
            ToLeft,
            fin | ack,
            (1265, Some(20), 0),
            "",
            TimeWait,
            LastAck,
        ),
        step(
            131_190,
            141_231,
            ToRight,
            ack,
            (20, Some(1266), 0),
            "",
            TimeWait,
            Closed,
        ),
    ];
    Ladder {
        schema: Ladder::SCHEMA,
        title: "A TCP connection, Tidewire to Linux".into(),
        left: "Tidewire 10.77.0.2:49152".into(),
        right: "Linux 10.77.0.1:7000".into(),
        left_start: Closed,
        right_start: Listen,
        steps,
    }
}

#[allow(clippy::too_many_arguments)]
fn step(
    departed_us: u64,
    arrived_us: u64,
    direction: Direction,
    flags: u8,
    (seq, ack, len): (u32, Option<u32>, u32),
    note: &str,
    left_state: State,
    right_state: State,
) -> Step {
    Step {
        departed: Duration::from_micros(departed_us),
        arrived: Duration::from_micros(arrived_us),
        direction,
        flags: Flags(flags),
        seq,
        ack,
        len,
        note: note.into(),
        left_state,
        right_state,
    }
}

/// Compares with a stored drawing. With `BLESS` set in the environment it stores the new one
/// instead, for a person to look at.
pub(super) fn assert_snapshot(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/ladder/snapshots")
        .join(name);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, actual).expect("a writable snapshot");
    }
    let expected = fs::read_to_string(&path).expect("a stored snapshot");
    assert_eq!(
        actual, expected,
        "{name} differs; run with BLESS=1 and look at the difference"
    );
}
