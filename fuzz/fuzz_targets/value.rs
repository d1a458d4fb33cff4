#![no_main]

use lockgate_fuzz::generators::ValueBytes;
use lockgate_fuzz::oracles;

libfuzzer_sys::fuzz_target!(|input: ValueBytes| oracles::value(&input.into_bytes()));
