//! Scenario 4 as it stands in `examples/pipeline`: A generates, B validates, C executes.

mod common;

use common::{LOCKGATE, Place};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pipeline")
}

/// A place with the example's programs and manifests, and the directories that they name.
fn place() -> Place {
    let place = Place::new();
    for entry in std::fs::read_dir(example()).expect("it is there").flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        if name.ends_with(".js") || name.ends_with(".toml") {
            place.file(&name, &std::fs::read_to_string(entry.path()).expect("it is text"));
        }
    }
    place.file("work/keep", "");
    place.file("out/keep", "");
    place
}

fn session(place: &Place, party: &str, input: &Json) -> Json {
    let (program, manifest) = (format!("{party}.js"), format!("{party}.toml"));
    place.lockgate(&["run", &program, "--manifest", &manifest, "--input", &input.to_string()]).value()
}

#[test]
fn a11_c_executes_what_b_validated_and_nothing_else() {
    let place = place();
    session(&place, "a", &Json::Null);
    let said = session(&place, "b", &json!(["double.js", "changed.js", "wrong.js"]));
    assert_eq!(said, json!({"double.js": "ok", "changed.js": "ok", "wrong.js": "bad"}));
    let changed = place.read("work/changed.js");
    place.file("work/changed.js", &format!("{changed}// an afterthought\n"));
    session(&place, "lax", &json!(["elsewhere.js"]));
    let names = ["double.js", "changed.js", "unseen.js", "elsewhere.js", "wrong.js"];
    let did = session(&place, "c", &json!(names));
    // Its receipt names other bytes; nobody validated it; another manifest; B refused it.
    let expected = json!({"double.js": 42, "changed.js": "no_receipt", "unseen.js": "no_receipt", "elsewhere.js": "no_receipt", "wrong.js": "no_receipt"});
    assert_eq!(did, expected);
    assert_eq!(place.read("out/double.js.result"), "42");
    // Undone, the change is none.
    place.file("work/changed.js", &changed);
    assert_eq!(session(&place, "c", &json!(["changed.js"])), json!({"changed.js": 42}));
    // As A wrote it, nothing was started.
    let refused = place.entries_of("refusal");
    let starts =
        refused.iter().filter(|entry| entry["body"]["code"] == "untrusted_data" && entry["body"]["op"] == "spawn");
    assert_eq!(starts.count(), names.len() + 1, "{refused:?}");
    // B never counted as having read what A wrote.
    let b = place
        .entries()
        .into_iter()
        .filter(|entry| entry["kind"] == "intent" && entry["body"]["point"] == "endorse.code");
    assert!(b.into_iter().all(|entry| entry["body"]["label"].is_null()));
    place.verify();
}

#[test]
fn a11_under_another_pinned_manifest_nothing_is_executed() {
    let place = place();
    let pinned = place.read("c.toml");
    let digest = pinned.split("manifest = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a digest");
    session(&place, "a", &Json::Null);
    session(&place, "b", &json!(["double.js"]));
    let receipts = place.entries_of("receipt");
    let receipt = receipts.iter().find(|entry| entry["body"]["point"] == "endorse.code").expect("B left one");
    assert_eq!(receipt["body"]["manifest_sha256"], digest, "`c.toml` pins B's manifest as its receipts name it");
    place.file("c.toml", &pinned.replace(digest, &"ab".repeat(32)));
    assert_eq!(session(&place, "c", &json!(["double.js"])), json!({"double.js": "no_receipt"}));
}

#[test]
fn a11_the_example_runs_and_shows_its_journal_and_why() {
    let ran = Command::new(example().join("run")).env("LOCKGATE", LOCKGATE).output().expect("it starts");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    for word in ["\"double.js\": 42", "no_receipt", "endorse.code: ", "untrusted_data", "generator", "verified"] {
        assert!(said.contains(word), "`{word}` is not in:\n{said}");
    }
}
