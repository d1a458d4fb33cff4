//! Builds `guests/js` for WebAssembly, the same bytes from any checkout and any home directory.

use crate::tools::{TARGET, Tools};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the guest in release and returns the path of its module.
pub fn build(root: &Path, tools: &Tools) -> Result<PathBuf, String> {
    let guest = root.join("guests/js");
    let target_dir = root.join("target/guest");
    // Sources must lie where they will be compiled before their places can be replaced.
    run(cargo("fetch", &guest).args(["--locked", "--quiet"]))?;
    let mut build = cargo("build", &guest);
    build
        .args(["--release", "--lib", "--locked", "--target", TARGET])
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("CC_wasm32_unknown_unknown", &tools.clang)
        .env("AR_wasm32_unknown_unknown", &tools.archiver)
        .env("CFLAGS_wasm32_unknown_unknown", c_flags(root))
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(root))
        .env_remove("RUSTFLAGS");
    run(&mut build)?;
    module_path(&target_dir, &guest)
}

fn cargo(command: &str, guest: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(command).arg("--manifest-path").arg(guest.join("Cargo.toml"));
    cargo
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("building the guest failed; cargo said why above".to_string()) }
}

/// The guest's module is named after its package.
fn module_path(target_dir: &Path, guest: &Path) -> Result<PathBuf, String> {
    let manifest = guest.join("Cargo.toml");
    let text =
        std::fs::read_to_string(&manifest).map_err(|error| format!("cannot read `{}`: {error}", manifest.display()))?;
    let name = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("name = \"")?.strip_suffix('"'))
        .ok_or_else(|| format!("`{}` has no package name", manifest.display()))?;
    let file = format!("{}.wasm", name.replace('-', "_"));
    Ok(target_dir.join(TARGET).join("release").join(file))
}

/// Paths of this machine are replaced, so that they neither leak into the image nor change its bytes.
fn rust_flags(root: &Path) -> String {
    remapped(root).iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect::<Vec<_>>().join("\x1f")
}

fn c_flags(root: &Path) -> String {
    remapped(root).iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}")).collect::<Vec<_>>().join(" ")
}

fn remapped(root: &Path) -> Vec<(String, &'static str)> {
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo_home = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let mut pairs = vec![(cargo_home.clone(), "/cargo"), (root.display().to_string(), "/lockgate")];
    // Named after the registry and how it was reached; the last pair that fits is the one used.
    let registries = std::fs::read_dir(Path::new(&cargo_home).join("registry/src")).into_iter().flatten();
    pairs.extend(registries.flatten().map(|registry| (registry.path().display().to_string(), "/crates")));
    if let Ok(output) = Command::new("rustc").args(["--print", "sysroot"]).output() {
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_string();
        if !sysroot.is_empty() {
            pairs.push((sysroot, "/rust"));
        }
    }
    pairs
}
