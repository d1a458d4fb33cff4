#![no_main]

use lockgate_fuzz::oracles;

libfuzzer_sys::fuzz_target!(|text: &str| oracles::manifest(text));
