#![no_main]

use lockgate_fuzz::generators::documents::Document;
use lockgate_fuzz::oracles;

libfuzzer_sys::fuzz_target!(|input: Document| oracles::envelope(&input.into_bytes()));
