//! A program without `std`, without an allocator and without a start file: it links only if
//! `tidewire-wire` needs none of them.

#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;

use tidewire_wire::{Checksum, Frame, TcpOptions};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Named by the unwind tables of the distributed `core`; never called, for a panic aborts.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Reaches every parser and an emitter, so that the linker has to resolve what they call.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let frame = black_box([0_u8; 64]);
    black_box(Frame::parse(&frame).is_ok());
    let mut buffer = [0_u8; 40];
    black_box(TcpOptions::default().emit(&mut buffer).is_ok());
    let mut sum = Checksum::new();
    sum.add_bytes(&buffer);
    black_box(sum.finish());
    loop {}
}
