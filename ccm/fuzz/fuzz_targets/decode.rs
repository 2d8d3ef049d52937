#![no_main]

#[path = "../bodies.rs"]
#[allow(dead_code)] // one of them is used here
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::decode(bytes));
