//! Writes the documentation that is a list in the code.

use std::path::{Path, PathBuf};

use lockgate_authority::{Manifest, Mint, Principal, PrincipalKind, ReasonCode};
use lockgate_decode::{Accept, CODES, Refused, Report, inspect};

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
    vec![(docs.join("reasons.md"), reasons), (docs.join("decoding.md"), decoding(&docs.join("refused")))]
}

const DECODING: &str = "# What is refused when something is read

Every code with which `lockgate inspect` and the decoder refuse, and a file for each. What was found and where is what
`lockgate inspect FILE` says of it; the hosts of files named after a code of a host are checked with
`--manifest docs/refused/lockgate.toml`.

";

/// The table of codes, with what is said of each example now.
fn decoding(examples: &Path) -> String {
    let mut out = format!(
        "<!-- Written by `{COMMAND}` from crates/decode and docs/refused. -->\n\n{DECODING}| code | file | found | where |\n|---|---|---|---|\n"
    );
    for code in CODES {
        for (name, refused) in examples_of(examples, *code) {
            let place =
                if refused.pointer.is_empty() { "the whole".to_owned() } else { format!("`{}`", refused.pointer) };
            out.push_str(&format!("| `{code}` | [{name}](refused/{name}) | {} | {place} |\n", refused.found));
        }
    }
    out
}

/// Files that are named after a code, and their refusal with it.
fn examples_of(examples: &Path, code: ReasonCode) -> Vec<(String, Refused)> {
    names(examples)
        .into_iter()
        .filter(|name| name.split(['.', '-']).next() == Some(code.as_str()))
        .filter_map(|name| {
            let report = look(examples, &name);
            let refused = refusals(&report).into_iter().find(|refused| refused.code == code)?;
            Some((name, refused))
        })
        .collect()
}

fn names(examples: &Path) -> Vec<String> {
    let files = std::fs::read_dir(examples).into_iter().flatten().flatten();
    let mut names: Vec<String> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

fn look(examples: &Path, name: &str) -> Report {
    let mut report = inspect(&std::fs::read(examples.join(name)).unwrap_or_default(), &Accept::default());
    if name.starts_with("host_") || name.starts_with("url_") {
        let text = std::fs::read_to_string(examples.join("lockgate.toml")).unwrap_or_default();
        let manifest = Manifest::parse(&text, "lockgate.toml").unwrap_or_default();
        report.check_hosts(&manifest.hold(Principal::new(PrincipalKind::Agent, "agent"), &mut Mint::new()), 0);
    }
    report
}

fn refusals(report: &Report) -> Vec<Refused> {
    let inner = report.inner.as_ref().map(|inner| refusals(inner)).unwrap_or_default();
    let within = report.within.iter().flat_map(|within| {
        let placed = |refused: Refused| Refused { pointer: format!("{}{}", within.at, refused.pointer), ..refused };
        refusals(&within.report).into_iter().map(placed)
    });
    report.refused.iter().cloned().chain(inner).chain(within).collect()
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

    #[test]
    fn d08_every_code_of_decoding_has_an_example_and_every_example_its_code() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/refused");
        for code in CODES {
            assert!(!examples_of(&examples, *code).is_empty(), "`{code}` has no example");
        }
        let told: usize = CODES.iter().map(|code| examples_of(&examples, *code).len()).sum();
        // All but the manifest that hosts are checked against.
        assert_eq!(told, names(&examples).len() - 1, "an example is not refused with the code that it is named after");
    }

    #[test]
    fn d08_every_code_that_the_decoder_gives_is_listed() {
        fn look(directory: &Path, given: &mut std::collections::BTreeSet<String>) {
            for file in std::fs::read_dir(directory).unwrap().flatten() {
                if file.path().is_dir() {
                    look(&file.path(), given);
                } else if file.file_name() != "lib.rs" {
                    let text = std::fs::read_to_string(file.path()).unwrap();
                    let codes = text.split("ReasonCode::").skip(1);
                    given.extend(codes.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric()).collect()));
                }
            }
        }
        let mut given = std::collections::BTreeSet::new();
        look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/decode/src"), &mut given);
        // Named where they are no reason to refuse.
        for other in ["MethodNotGranted", "UrlPathNotGranted", "ApprovalRequired", "PointNotGranted"] {
            given.remove(other);
        }
        // A file alone does not tell for whom and from where it would be opened.
        for code in lockgate_decode::SEAL_CODES {
            assert!(given.remove(&format!("{code:?}")), "`{code}` is not given");
        }
        // Comes from the decision about a host.
        given.insert("HostNotGranted".to_owned());
        let listed: std::collections::BTreeSet<String> = CODES.iter().map(|code| format!("{code:?}")).collect();
        assert_eq!(given, listed);
    }
}
