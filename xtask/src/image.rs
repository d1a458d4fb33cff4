//! Makes `crates/cell/image/js.wasm`, and only when its inputs have changed.

use crate::{guest, tools};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Changed when the way of making the image changes, so that older ones are made again.
const RECIPE: &str = "image recipe 1";

/// Written beside the image: what it was made from, and what came out.
#[derive(Serialize, Deserialize)]
struct Made {
    inputs_sha256: String,
    wasm_sha256: String,
    wasm_bytes: usize,
}

/// Builds the guest unless the image at hand was made from the same inputs.
pub fn make(force: bool) -> Result<(), String> {
    let root = workspace_root()?;
    let folder = root.join("crates/cell/image");
    let (image, record) = (folder.join("js.wasm"), folder.join("js.wasm.json"));
    let tools = tools::find()?;
    let inputs = inputs_digest(&root, &tools)?;
    if !force && is_current(&image, &record, &inputs) {
        println!("`{}` is up to date", image.display());
        return Ok(());
    }
    let wasm = read(&guest::build(&root, &tools)?)?;
    let made = Made { inputs_sha256: inputs, wasm_sha256: hex(&Sha256::digest(&wasm)), wasm_bytes: wasm.len() };
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot create `{}`: {error}", folder.display()))?;
    // The record goes last: an image without one is made again.
    replace(&image, &wasm)?;
    let json = serde_json::to_string_pretty(&made).map_err(|error| format!("cannot write the record: {error}"))?;
    replace(&record, format!("{json}\n").as_bytes())?;
    println!("`{}`: {} bytes, sha256 {}", image.display(), wasm.len(), made.wasm_sha256);
    Ok(())
}

fn workspace_root() -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).ok_or_else(|| "the workspace has no root".to_string())
}

fn is_current(image: &Path, record: &Path, inputs: &str) -> bool {
    let (Ok(wasm), Ok(record)) = (std::fs::read(image), std::fs::read(record)) else {
        return false;
    };
    let Ok(made) = serde_json::from_slice::<Made>(&record) else {
        return false;
    };
    made.inputs_sha256 == inputs && made.wasm_sha256 == hex(&Sha256::digest(&wasm))
}

/// Digest of the recipe, the tools' versions and every file of the guest, by relative path.
fn inputs_digest(root: &Path, tools: &tools::Tools) -> Result<String, String> {
    let guest = root.join("guests/js");
    let mut files = Vec::new();
    list_files(&guest, &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    add(&mut digest, RECIPE.as_bytes());
    add(&mut digest, tools.versions.as_bytes());
    for file in files {
        let name = file.strip_prefix(&guest).unwrap_or(&file);
        add(&mut digest, name.to_string_lossy().as_bytes());
        add(&mut digest, &read(&file)?);
    }
    Ok(hex(&digest.finalize()))
}

/// Lengths are hashed too, so that no two lists of parts have the same digest.
fn add(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_le_bytes());
    digest.update(part);
}

fn list_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot list `{}`: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot list `{}`: {error}", folder.display()))?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                list_files(&path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

/// Writes beside and renames, so that an interrupted run leaves no half image.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
