//! Makes what the crate embeds: the guest, initialised once and kept as the image that every cell starts from, and that
//! image compiled to machine code, so that the program starts without compiling anything and has no compiler in it.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use wasmtime::{Config, Engine};

mod snapshot;

include!("../src/engine_config.rs");

/// The guest, made by `cargo run --release -p xtask -- image`.
const GUEST: &str = "image/js.wasm";
/// A guest for the tests; the packaged crate may lack it.
const TINY: &str = "tests/tiny.wat";

/// Processors that the machine code is made for, the most able first: the program takes the first that fits.
#[cfg(target_arch = "x86_64")]
const PROCESSORS: [(&str, &[&str]); 2] = [("v3", &X86_64_V3), ("v2", &X86_64_V2)];
#[cfg(not(target_arch = "x86_64"))]
const PROCESSORS: [(&str, &[&str]); 1] = [("any", &[])];

/// The instructions of x86-64-v2 (from 2009 on) that the compiler makes use of.
#[cfg(target_arch = "x86_64")]
const X86_64_V2: [&str; 6] = ["has_cmpxchg16b", "has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt"];
/// The same of x86-64-v3 (from 2013 on).
#[cfg(target_arch = "x86_64")]
const X86_64_V3: [&str; 12] = [
    "has_cmpxchg16b",
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_avx",
    "has_avx2",
    "has_fma",
    "has_bmi1",
    "has_bmi2",
    "has_lzcnt",
];

fn main() {
    for input in [GUEST, TINY, "src/engine_config.rs", "build/main.rs", "build/snapshot.rs"] {
        println!("cargo::rerun-if-changed={input}");
    }
    if let Err(problem) = make() {
        println!("cargo::error={problem}");
    }
}

fn make() -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let guest = std::fs::read(GUEST).map_err(|error| {
        format!(
            "the JavaScript guest `crates/cell/{GUEST}` cannot be read ({error}); \
             make it with `cargo run --release -p xtask -- image`"
        )
    })?;
    let image = snapshot::take(&guest)?;
    let digest: Vec<String> = Sha256::digest(&image).iter().map(|byte| format!("0x{byte:02x}")).collect();
    write(&out.join("js.sha256.rs"), format!("[{}]", digest.join(", ")).as_bytes())?;
    let names = compile_for_all(&out, "js", &image)?;
    let list = |stem: &str| -> String {
        let parts = names.iter().map(|name| format!("(\"{name}\", include_bytes!(\"{stem}.{name}.cwasm\"))"));
        format!("[{}]", parts.collect::<Vec<_>>().join(", "))
    };
    write(&out.join("js.compiled.rs"), list("js").as_bytes())?;
    // The tests' guest is compiled here because nothing else in this crate can compile.
    if Path::new(TINY).exists() {
        let tiny = wat::parse_file(TINY).map_err(|error| format!("`{TINY}`: {error}"))?;
        compile_for_all(&out, "tiny", &tiny)?;
        write(&out.join("tiny.compiled.rs"), list("tiny").as_bytes())?;
    }
    Ok(())
}

/// One file for each kind of processor, all made at once; gives their names.
fn compile_for_all(out: &Path, stem: &str, wasm: &[u8]) -> Result<Vec<&'static str>, String> {
    let target = variable("TARGET")?;
    std::thread::scope(|scope| {
        let makers: Vec<_> = PROCESSORS
            .iter()
            .map(|(name, features)| {
                let (target, path) = (target.as_str(), out.join(format!("{stem}.{name}.cwasm")));
                scope
                    .spawn(move || compile(wasm, target, features).and_then(|code| write(&path, &code)).map(|()| *name))
            })
            .collect();
        makers.into_iter().map(|maker| maker.join().map_err(|_| "the compiler panicked".to_string())?).collect()
    })
}

fn compile(wasm: &[u8], target: &str, features: &[&str]) -> Result<Vec<u8>, String> {
    let problem = |error: wasmtime::Error| format!("the image cannot be compiled for `{target}`: {error:#}");
    let mut config = compiler_config();
    config.target(target).map_err(problem)?;
    for feature in features {
        // SAFETY: the program asks the processor for these features when it loads the code, and refuses what it lacks.
        unsafe { config.cranelift_flag_enable(feature) };
    }
    Engine::new(&config).and_then(|engine| engine.precompile_module(wasm)).map_err(problem)
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("cargo gave no `{name}`: {error}"))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}
