//! Writes the documentation that is a list in the code.

use std::path::{Path, PathBuf};

use lockgate_authority::ReasonCode;

/// What makes the files under `docs/` true again.
const COMMAND: &str = "cargo run --release -p xtask -- docs";

const REASONS: &str = "# Reasons

Why a crossing was refused, an effect failed or a cell was ended. A code is the `code` of an error in `--json` output, of a
refusal or outcome in the journal, and of the `LockgateError` that a program catches. Codes are added when needed; none
changes its meaning.

";

/// Writes every generated file.
pub fn write() -> Result<(), String> {
    for (file, text) in files() {
        std::fs::write(&file, text).map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
        println!("wrote {}", file.display());
    }
    Ok(())
}

fn files() -> Vec<(PathBuf, String)> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let reasons = format!(
        "<!-- Written by `{COMMAND}` from crates/authority/src/reason.rs. -->\n\n{REASONS}{}",
        ReasonCode::markdown_table()
    );
    vec![(docs.join("reasons.md"), reasons)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a06_the_documented_list_of_reasons_is_the_one_in_the_code() {
        for (file, text) in files() {
            let written = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(written == text, "`{}` is stale; run `{COMMAND}`", file.display());
        }
    }
}
