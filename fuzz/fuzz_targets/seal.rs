#![no_main]

use lockgate_fuzz::oracles;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracles::seal(bytes));
