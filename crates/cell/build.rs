//! Compiles the pre-initialised image for this machine, so that the program starts without compiling anything.

use sha2::{Digest, Sha256};
use std::path::Path;

include!("src/engine_config.rs");

const IMAGE: &str = "image/js.wasm";

fn main() {
    println!("cargo::rerun-if-changed={IMAGE}");
    println!("cargo::rerun-if-changed=src/engine_config.rs");
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(problem) = compile() {
        println!("cargo::error={problem}");
    }
}

fn compile() -> Result<(), String> {
    let out = std::env::var("OUT_DIR").map_err(|error| format!("cargo gave no `OUT_DIR`: {error}"))?;
    let wasm = std::fs::read(IMAGE).map_err(|error| {
        format!(
            "the JavaScript image `crates/cell/{IMAGE}` cannot be read ({error}); \
             make it with `cargo run --release -p xtask -- image`"
        )
    })?;
    let engine = wasmtime::Engine::new(&compiler_config())
        .map_err(|error| format!("the WebAssembly engine cannot be configured: {error:#}"))?;
    let compiled = engine
        .precompile_module(&wasm)
        .map_err(|error| format!("the JavaScript image cannot be compiled: {error:#}"))?;
    let digest: Vec<String> = Sha256::digest(&wasm).iter().map(|byte| format!("0x{byte:02x}")).collect();
    write(Path::new(&out).join("js.cwasm"), &compiled)?;
    write(Path::new(&out).join("js.wasm"), &wasm)?;
    write(Path::new(&out).join("js.sha256.rs"), format!("[{}]", digest.join(", ")).as_bytes())
}

fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), String> {
    let path = path.as_ref();
    std::fs::write(path, bytes).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}
