#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| driftlock::internals::fuzzing::answer(data));
