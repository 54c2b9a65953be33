//! Frames into a stack under tokio, on a link in memory.
#![no_main]

#[path = "../../tidewire/tests/fuzz/device.rs"]
mod device;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    device::frames_into_device(input);
});
