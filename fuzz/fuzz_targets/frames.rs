#![no_main]

use lockgate_fuzz::generators::FrameBytes;
use lockgate_fuzz::oracles;

libfuzzer_sys::fuzz_target!(|input: FrameBytes| oracles::frames(&input.into_bytes()));
