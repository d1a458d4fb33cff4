//! Finds the compiler, the archiver and the Rust target that the guest needs, or says how to get them.

use std::path::PathBuf;
use std::process::Command;

/// The target the guest is built for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Oldest clang whose WebAssembly output the guest was built with.
const OLDEST_CLANG: u32 = 16;
/// Newest versioned name that is looked for, such as `clang-30`.
const NEWEST_CLANG: u32 = 30;
/// Preferred over any other version, so that the same machine makes the same image.
const PREFERRED_CLANG: u32 = 19;

/// The tools that turn the guest's sources into WebAssembly.
pub struct Tools {
    /// Compiles QuickJS; called as `CC_wasm32_unknown_unknown`.
    pub clang: String,
    /// Archives its objects; called as `AR_wasm32_unknown_unknown`.
    pub archiver: String,
    /// First line of `clang --version` and of `rustc --version`: part of what decides the image's bytes.
    pub versions: String,
}

/// Looks for every tool and names all that are missing in one error.
pub fn find() -> Result<Tools, String> {
    let clang = find_clang();
    let archiver = clang.as_deref().and_then(find_archiver);
    let mut missing = Vec::new();
    if clang.is_none() {
        missing.push(format!("`clang` {OLDEST_CLANG} or newer is not on PATH (Debian and Ubuntu package: `clang`)"));
    }
    if archiver.is_none() {
        missing.push("`llvm-ar` is not on PATH (Debian and Ubuntu package: `llvm`)".to_string());
    }
    if !has_target() {
        missing.push(format!("the Rust target `{TARGET}` is not installed"));
    }
    if let (Some(clang), Some(archiver), true) = (&clang, &archiver, missing.is_empty()) {
        return Ok(Tools {
            versions: format!("{}; {}", first_line(clang, "--version"), first_line("rustc", "--version")),
            clang: clang.clone(),
            archiver: archiver.clone(),
        });
    }
    Err(explain(&missing, clang.is_none() || archiver.is_none()))
}

fn explain(missing: &[String], packages: bool) -> String {
    let mut text = String::from("the JavaScript image cannot be built\n");
    for line in missing {
        text.push_str(&format!("  - {line}\n"));
    }
    text.push_str("run:\n");
    if packages {
        text.push_str(&format!("  sudo apt-get install --yes {}\n", packages_here()));
    }
    if !has_target() {
        text.push_str(&format!("  rustup target add {TARGET}\n"));
    }
    text.push_str("then run the same command again");
    text
}

/// The packages of this distribution; the unversioned ones of Debian 12 are too old.
fn packages_here() -> &'static str {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    match release.lines().any(|line| line == "VERSION_CODENAME=bookworm") {
        true => "clang-19 llvm-19",
        false => "clang llvm",
    }
}

/// The preferred version, else the newest versioned one, else plain `clang` when it is new enough.
fn find_clang() -> Option<String> {
    let versioned = (OLDEST_CLANG..=NEWEST_CLANG).rev().filter(|v| *v != PREFERRED_CLANG);
    std::iter::once(PREFERRED_CLANG)
        .chain(versioned)
        .map(|version| format!("clang-{version}"))
        .chain(std::iter::once("clang".to_string()))
        .find(|name| on_path(name).is_some() && clang_version(name).is_some_and(|v| v >= OLDEST_CLANG))
}

/// `llvm-ar-19` beside `clang-19`, else `llvm-ar`, else any versioned one.
fn find_archiver(clang: &str) -> Option<String> {
    let suffix = clang.strip_prefix("clang").unwrap_or("");
    std::iter::once(format!("llvm-ar{suffix}"))
        .chain(std::iter::once("llvm-ar".to_string()))
        .chain((OLDEST_CLANG..=NEWEST_CLANG).rev().map(|version| format!("llvm-ar-{version}")))
        .find(|name| on_path(name).is_some())
}

fn clang_version(name: &str) -> Option<u32> {
    let line = first_line(name, "--version");
    let after = line.split("clang version ").nth(1)?;
    after.split('.').next()?.parse().ok()
}

fn has_target() -> bool {
    let Ok(output) = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output() else {
        return false;
    };
    let libdir = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    output.status.success() && libdir.is_dir()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn first_line(program: &str, argument: &str) -> String {
    Command::new(program)
        .arg(argument)
        .output()
        .ok()
        .and_then(|output| String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_string))
        .unwrap_or_default()
}
