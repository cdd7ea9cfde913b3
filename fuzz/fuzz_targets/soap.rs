//! Answers of a vCenter: any bytes give objects or an error, never a panic, and no endless memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| inventory::fuzzing::soap(data));
