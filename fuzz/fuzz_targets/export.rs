#![no_main]

use lockgate_fuzz::generators::Damage;
use lockgate_fuzz::oracles;

libfuzzer_sys::fuzz_target!(|damage: Damage| oracles::export(&damage));
