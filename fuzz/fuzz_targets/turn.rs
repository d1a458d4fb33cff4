#![no_main]

use lockgate_fuzz::generators::TurnBytes;
use lockgate_fuzz::oracles;

libfuzzer_sys::fuzz_target!(|input: TurnBytes| oracles::turn(&input.into_bytes()));
