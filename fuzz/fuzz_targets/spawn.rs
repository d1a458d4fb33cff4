#![no_main]

use lockgate_fuzz::generators::ValueBytes;
use lockgate_fuzz::oracles;

libfuzzer_sys::fuzz_target!(|input: ValueBytes| oracles::spawn(&input.into_bytes()));
