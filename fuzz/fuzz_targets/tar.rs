//! Pieces of an archive: any bytes give members or an error, and no endless hopping.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| inventory::fuzzing::tar(data));
