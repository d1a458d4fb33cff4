//! What the types of the crossing do not let anyone write outside this crate: each text is given to the compiler, which
//! must refuse it, and for the reason named.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Before each text: everything public, and a value of any type that is asked for.
const PRELUDE: &str = "#![deny(unused_must_use)]
use lockgate_crossing::*;
pub fn any<T>() -> T { loop {} }
pub fn needs_clone<T: Clone>() {}
pub fn needs_default<T: Default>() {}
";

/// What the types are for. It compiles; so what is refused below is refused for its own sake.
const LAWFUL: &str = "
pub fn perform(mut ready: Ready, book: &mut CellBook, recorder: &dyn Recorder) -> Option<Reply> {
    let _ = (ready.cell(), ready.kind(), ready.name(), ready.grant(), ready.target());
    let _ = ready.take_args();
    settle(book, ready.outcome(any()).opening(1), 0, recorder)
}
pub fn wait(pending: Pending, recorder: &dyn Recorder, effects: &'static (dyn Effects + Sync)) {
    pending.when_durable(recorder, |ready| if let Ok(ready) = ready { let _ = effects.act(ready); });
}
";

/// What is tried, and what the compiler must say.
type Attempt = (&'static str, &'static str);

#[test]
fn a01_only_the_path_makes_what_an_effect_takes() {
    refuse(&[
        ("pub fn f() -> Ready { Ready { ..any() } }", "E0451"),
        ("pub fn f() -> Pending { Pending { ..any() } }", "E0451"),
        ("pub fn f() { needs_default::<Ready>(); }", "E0277"),
        ("pub use lockgate_crossing::path::resolve;", "E0603"),
        ("pub use lockgate_crossing::Allowed;", "E0432"),
        ("pub fn f(effects: &dyn Effects) -> Acted { effects.act(\"read\") }", "E0308"),
    ]);
}

#[test]
fn a01_what_was_allowed_is_what_is_done() {
    refuse(&[
        ("pub fn f(mut ready: Ready) { ready.grant = any(); }", "E0616"),
        ("pub fn f(mut ready: Ready) { ready.target = any(); }", "E0616"),
        ("pub fn f(mut ready: Ready) { ready.args = any(); }", "E0616"),
        ("pub fn f(ready: Ready) { *ready.target() = any(); }", "E0594"),
        ("pub fn f(mut ready: Ready) { ready.allowance += 1; }", "E0616"),
    ]);
}

#[test]
fn a01_an_intent_allows_one_effect() {
    refuse(&[
        ("pub fn f() { needs_clone::<Ready>(); }", "E0277"),
        ("pub fn f() { needs_clone::<Pending>(); }", "E0277"),
        ("pub fn f(e: &dyn Effects, ready: Ready) -> (Acted, Acted) { (e.act(ready), e.act(ready)) }", "E0382"),
        ("pub fn f(ready: Ready) -> (Outcome, Outcome) { (ready.outcome(any()), ready.outcome(any())) }", "E0382"),
    ]);
}

#[test]
fn a07_an_effect_that_must_wait_for_its_record_waits() {
    refuse(&[
        ("pub fn f(e: &dyn Effects, pending: Pending) -> Acted { e.act(pending) }", "E0308"),
        ("pub fn f(e: &dyn Effects, pending: Pending) -> Acted { e.act(pending.ready) }", "E0616"),
        ("pub fn f(pending: Pending) -> Ready { pending.into() }", "E0277"),
    ]);
}

#[test]
fn a07_only_an_outcome_is_answered_and_none_is_dropped_unseen() {
    refuse(&[
        ("pub fn f() -> Outcome { Outcome { ..any() } }", "E0451"),
        ("pub fn f() { needs_default::<Outcome>(); }", "E0277"),
        ("pub fn f() { needs_clone::<Outcome>(); }", "E0277"),
        ("pub fn f(outcome: &mut Outcome) { outcome.intent = 1; }", "E0616"),
        ("pub fn f(outcome: &mut Outcome) { outcome.result = any(); }", "E0616"),
        ("pub fn f(b: &mut CellBook, r: &dyn Recorder) -> Option<Reply> { settle(b, Ok(any()), 0, r) }", "E0308"),
        ("pub fn f(ready: Ready) { ready.outcome(any()); }", "Outcome` that must be used"),
    ]);
}

fn refuse(attempts: &[Attempt]) {
    let compiler = Compiler::find();
    for (text, expected) in attempts {
        let said = compiler.refusal_of(text).unwrap_or_else(|| panic!("this compiles:\n{text}"));
        let errors: Vec<_> = said.lines().filter(|line| line.contains("error")).collect();
        assert!(said.contains(expected), "expected {expected} for\n{text}\ngot\n{}", errors.join("\n"));
    }
}

/// The compiler, with this crate as this test was built with it.
struct Compiler {
    library: PathBuf,
    dependencies: PathBuf,
    scratch: TempDir,
}

impl Compiler {
    /// Of the libraries of this crate in the target directory, the newest with which lawful use compiles.
    fn find() -> Compiler {
        let test = std::env::current_exe().expect("a test has a file");
        let dependencies = test.parent().expect("a file lies in a directory").to_owned();
        let mut libraries: Vec<_> = std::fs::read_dir(&dependencies)
            .expect("the directory is there")
            .map(|entry| entry.expect("the directory can be listed").path())
            .filter(|file| is_library(file))
            .collect();
        libraries.sort_by_key(|file| std::cmp::Reverse(file.metadata().and_then(|data| data.modified()).ok()));
        let mut said = String::from("no library of this crate");
        for library in libraries {
            let scratch = tempfile::tempdir().expect("the system has room for a directory");
            let compiler = Compiler { library, dependencies: dependencies.clone(), scratch };
            match compiler.refusal_of(LAWFUL) {
                None => return compiler,
                Some(refusal) => said = refusal,
            }
        }
        panic!("lawful use of this crate does not compile:\n{said}")
    }

    /// What the compiler says against `text`, or nothing where it compiles.
    fn refusal_of(&self, text: &str) -> Option<String> {
        let source = self.scratch.path().join("attempt.rs");
        std::fs::write(&source, format!("{PRELUDE}{text}\n")).expect("the directory can be written to");
        let output = Command::new("rustc")
            .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=short"])
            .arg("-o")
            .arg(self.scratch.path().join("attempt.rmeta"))
            .arg(format!("-Ldependency={}", self.dependencies.display()))
            .arg(format!("--extern=lockgate_crossing={}", self.library.display()))
            .arg(&source)
            .output()
            .expect("a crate that was compiled has a compiler");
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn is_library(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("liblockgate_crossing-") && name.ends_with(".rlib")
}
