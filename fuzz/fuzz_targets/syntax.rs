#![no_main]

use lockgate_fuzz::{generators, oracles};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((name, script, text)) = generators::source_text(data) {
        oracles::source(name, script, text);
    }
});
