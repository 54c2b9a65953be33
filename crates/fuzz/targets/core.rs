//! Frames into the protocol core.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    tidewire_sim::fuzz::frames_into_stack(input);
});
