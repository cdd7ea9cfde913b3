//! Answers of an OpenStack cloud: any bytes give servers or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| inventory::fuzzing::json(data));
