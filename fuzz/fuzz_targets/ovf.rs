//! Descriptors and manifests: any bytes give a machine or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| inventory::fuzzing::ovf(data));
