//! Builds `guests/js` for WebAssembly, the same bytes from any checkout and any home directory.

use crate::tools::{TARGET, Tools};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the guest in release and returns the path of its module.
pub fn build(root: &Path, tools: &Tools) -> Result<PathBuf, String> {
    let guest = root.join("guests/js");
    let target_dir = root.join("target/guest");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--lib", "--locked", "--target", TARGET])
        .arg("--manifest-path")
        .arg(guest.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("CC_wasm32_unknown_unknown", &tools.clang)
        .env("AR_wasm32_unknown_unknown", &tools.archiver)
        .env("CFLAGS_wasm32_unknown_unknown", c_flags(root))
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(root))
        .env_remove("RUSTFLAGS")
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !status.success() {
        return Err(format!("building `{}` failed", guest.display()));
    }
    module_path(&target_dir, &guest)
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
    let mut pairs = vec![(cargo_home, "/cargo"), (root.display().to_string(), "/lockgate")];
    if let Ok(output) = Command::new("rustc").args(["--print", "sysroot"]).output() {
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_string();
        if !sysroot.is_empty() {
            pairs.push((sysroot, "/rust"));
        }
    }
    pairs
}
