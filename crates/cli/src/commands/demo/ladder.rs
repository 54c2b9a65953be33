//! Recorded connection of a demo, and the check of its states.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use tidewire::Stack;
use tokio::runtime::Runtime;

use super::arena::Arena;
use super::settings::CARRIER;
use crate::commands::failure::Failure;
use crate::commands::hosts::{side, start_stack};
use crate::interrupt::Interrupt;
use crate::kernel::{Kernel, KernelStates};
use crate::lab::Direction;
use crate::ladder::{Flags, Ladder, Recording};
use crate::stack::{StackStates, Tidewire};
use crate::state::State;
use crate::traffic::converse;

/// Records one connection from a stack on the left to the kernel on the right.
pub(super) fn record(
    arena: &Arena,
    main: &Runtime,
    interrupt: &Interrupt,
) -> Result<Ladder, Failure> {
    let recording = Recording {
        link: CARRIER.link("slow0", None, Some("10.76.0.1/24")),
        delay: WIRE_DELAY,
        port: PORT,
        title: "A TCP connection, Tidewire to Linux".into(),
        left: "Tidewire".into(),
        right: "Linux".into(),
    };
    let wire = recording.prepare(&arena.lab)?;
    let stack = Stack::on("slow0")
        .address("10.76.0.2/24")
        .offload(false)
        .trace(1024);
    let stack = start_stack(&arena.left, stack)?;
    let left = StackStates::new(stack.clone());
    let right = arena.lab.right().run(KernelStates::open)?;

    let client = side(&arena.left, Tidewire(stack));
    let server = side(&arena.right, Kernel::default());
    let address = SocketAddr::from(([10, 76, 0, 1], PORT));
    let ladder = wire.run(left, right, || {
        main.block_on(async {
            tokio::select! {
                outcome = converse(&client, &server, address, THINKING_TIME) => outcome,
                () = interrupt.raised() => Err(io::ErrorKind::Interrupted.into()),
            }
        })
    });
    if interrupt.is_raised() {
        return Err(Failure::Interrupted);
    }
    ladder.map_err(|error| Failure::failed("the recorded connection", error))
}

/// Checks that the record has the handshake, a FIN each way, and the final state of each end.
pub(super) fn check(ladder: &Ladder) -> Result<(), Failure> {
    let flags = ladder.steps.iter().map(|step| step.flags.to_string());
    let handshake: Vec<String> = flags.take(3).collect();
    let has_fin = |direction| {
        let mut steps = ladder.steps.iter();
        steps.any(|step| step.direction == direction && step.flags.has(Flags::FIN))
    };
    let (left, right) = (ladder.left_states(), ladder.right_states());
    let holds = handshake == ["SYN", "SYN ACK", "ACK"]
        && has_fin(Direction::ToRight)
        && has_fin(Direction::ToLeft)
        && left.contains(&State::Established)
        && right.contains(&State::Established)
        && left.last() == Some(&State::TimeWait)
        && right.last() == Some(&State::Closed);
    if holds {
        return Ok(());
    }
    let names = |states: &[State]| {
        let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
        names.join(", ")
    };
    Err(Failure::Failed(format!(
        "the recorded connection is not an orderly one: Tidewire was {}; Linux was {}",
        names(&left),
        names(&right)
    )))
}

/// How long a segment is on its way.
pub(super) const WIRE_DELAY: Duration = Duration::from_millis(10);
/// Longer than either end waits to acknowledge, so that each FIN has an acknowledgement of its own.
const THINKING_TIME: Duration = Duration::from_millis(60);
const PORT: u16 = 7000;
