//! Scenario 3 as it stands in `examples/checkpoint`: A saves its state, somebody edits the file, B loads it.

mod common;

use common::{LOCKGATE, Place};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/checkpoint")
}

/// A place with the example's files, where A has saved its state.
fn place() -> Place {
    let place = Place::new();
    for entry in std::fs::read_dir(example()).expect("it is there").flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        if name != "run" {
            place.file(&name, &std::fs::read_to_string(entry.path()).expect("it is text"));
        }
    }
    for name in ["state", "orders"] {
        std::fs::create_dir(place.path(name)).expect("it can be made");
    }
    place.file("inbox/letter", "mallory\n");
    save(&place, &json!({}));
    place
}

fn save(place: &Place, input: &Json) {
    place.lockgate(&["run", "a.js", "--manifest", "a.toml", "--input", &input.to_string()]).value();
}

/// What B says that it did, under its manifest without some of the layers.
fn load(place: &Place, without: &[&str]) -> String {
    let is_kept = |line: &&str| !without.iter().any(|layer| line.ends_with(&format!("# layer: {layer}")));
    let whole = std::fs::read_to_string(example().join("b.toml")).expect("it is text");
    let text: Vec<&str> = whole.lines().filter(is_kept).collect();
    assert_eq!(text.len(), whole.lines().count() - without.len(), "each layer is one line");
    place.file("less.toml", &text.join("\n"));
    let _ = std::fs::remove_file(place.path("orders/order.json"));
    let said = place.lockgate(&["run", "b.js", "--manifest", "less.toml"]).value();
    let said = said.as_str().expect("a text").to_owned();
    assert_eq!(place.path("orders/order.json").exists(), said.starts_with("paid"), "{said}");
    said
}

fn put(place: &Place, file: &str) {
    std::fs::copy(place.path(file), place.path("state/run.json")).expect("it can be copied");
}

fn flip(place: &Place, at: usize) {
    let path = place.path("state/run.json");
    let mut bytes = std::fs::read(&path).expect("it is there");
    bytes[at] ^= 0x20;
    std::fs::write(&path, bytes).expect("it can be written");
}

#[test]
fn d10_what_a_saved_reaches_b_and_what_somebody_else_wrote_does_not() {
    let place = place();
    let bytes = std::fs::read(place.path("state/run.json")).expect("it is there");
    assert!(!bytes.windows(3).any(|part| part == b"bob"), "it does not lie open");
    assert_eq!(load(&place, &[]), "paid bob");
    flip(&place, 300);
    assert_eq!(load(&place, &[]), "seal_broken");
    for file in ["poisoned.json", "forged.json"] {
        put(&place, file);
        assert_eq!(load(&place, &[]), "not_sealed", "{file}");
    }
    // The seal alone is enough.
    assert_eq!(load(&place, &["grammar"]), "not_sealed");
    assert_eq!(load(&place, &["label"]), "not_sealed");
    assert_eq!(load(&place, &["grammar", "label"]), "not_sealed");
    place.verify();
}

#[test]
fn d10_yesterdays_state_and_no_state_are_refused() {
    let place = place();
    std::fs::copy(place.path("state/run.json"), place.path("yesterday")).expect("it can be copied");
    save(&place, &json!({"to": "carol"}));
    assert_eq!(load(&place, &[]), "paid carol");
    put(&place, "yesterday");
    assert_eq!(load(&place, &[]), "seal_rolled_back");
    std::fs::remove_file(place.path("state/run.json")).expect("it is there");
    assert_eq!(load(&place, &[]), "seal_rolled_back");
    // A saves again: what is known goes on.
    save(&place, &json!({}));
    assert_eq!(load(&place, &[]), "paid bob");
}

#[test]
fn d10_state_of_another_place_agent_or_gate_is_refused() {
    let place = place();
    std::fs::create_dir(place.path("elsewhere")).expect("it can be made");
    let a = place.read("a.toml");
    place.file("a.toml", &a.replace("path = \"state\"", "path = \"elsewhere\""));
    save(&place, &json!({"to": "mallory"}));
    put(&place, "elsewhere/run.json");
    assert_eq!(load(&place, &[]), "seal_misplaced");
    // Another agent of the same operator, whom B does not name.
    place.file("a.toml", &a.replace("agent = \"a\"", "agent = \"c\""));
    save(&place, &json!({"to": "mallory"}));
    assert_eq!(load(&place, &[]), "seal_foreign");
    // One that does not name B.
    place.file("a.toml", &a.replace("{ readers = [\"b\"] }", "true"));
    save(&place, &json!({}));
    assert_eq!(load(&place, &[]), "seal_not_for_reader");
    // Another operator's gate, with the same names and the same place.
    place.file("a.toml", &a);
    let other = place.path("other/journal.sqlite");
    let other = other.to_str().expect("text");
    let ran = place.plain(&["run", "a.js", "--manifest", "a.toml", "--json", "--journal", other]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(load(&place, &[]), "seal_foreign");
}

#[test]
fn d01_without_the_seal_the_grammar_refuses_what_is_no_message() {
    let place = place();
    put(&place, "poisoned.json");
    assert_eq!(load(&place, &["seal"]), "type_unknown");
    assert_eq!(load(&place, &["seal", "label"]), "type_unknown", "the grammar alone is enough");
    flip(&place, 0);
    assert_eq!(load(&place, &["seal"]), "malformed");
    save(&place, &json!({}));
    flip(&place, 300);
    assert_eq!(load(&place, &["seal"]), "text_not_unicode", "what is sealed is no JSON");
    // The refusal says where.
    put(&place, "poisoned.json");
    load(&place, &["seal"]);
    let outcomes = place.entries_of("outcome");
    let told = outcomes.iter().rev().find(|entry| entry["body"]["code"] == "type_unknown").expect("it is recorded");
    assert!(told["body"]["message"].as_str().expect("a text").contains("at `/0/id`"), "{told}");
}

#[test]
fn a09_with_the_grammar_satisfied_the_label_stops_it_at_the_sink() {
    let place = place();
    put(&place, "forged.json");
    assert_eq!(load(&place, &["seal"]), "untrusted_data");
    assert_eq!(load(&place, &["seal", "grammar"]), "untrusted_data", "the label alone is enough");
    put(&place, "poisoned.json");
    assert_eq!(load(&place, &["seal", "grammar"]), "untrusted_data");
    // What the three of them prevent.
    assert_eq!(load(&place, &["seal", "grammar", "label"]), "paid mallory");
}

#[test]
fn a09_the_label_of_what_was_sealed_comes_back_with_it() {
    let place = place();
    save(&place, &json!({"asks": "letter"}));
    assert_eq!(load(&place, &[]), "untrusted_data", "A had read a letter from outside");
    let refused = place.entries_of("refusal");
    let message = refused.last().expect("it is recorded")["body"]["message"].as_str().expect("a text").to_owned();
    assert!(message.contains("seal of `a` on `fs.state:run.json`"), "{message}");
    // B knows the party, and trusts it.
    let b = place.read("less.toml").replace("trusts = [\"operator\"]", "trusts = [\"web\"]");
    place.file("less.toml", &b);
    let said = place.lockgate(&["run", "b.js", "--manifest", "less.toml"]).value();
    assert_eq!(said, json!("paid mallory"));
}

#[test]
fn d10_what_was_sealed_and_opened_is_recorded_by_its_digest_alone() {
    let place = place();
    let bytes = std::fs::read(place.path("state/run.json")).expect("it is there");
    assert_eq!(load(&place, &[]), "paid bob");
    let notes: Vec<Json> =
        place.entries_of("note").into_iter().filter(|note| note["body"]["seal"].is_string()).collect();
    let done: Vec<_> =
        notes.iter().map(|note| (note["body"]["seal"].clone(), note["body"]["counter"].clone())).collect();
    assert_eq!(done, [(json!("sealed"), json!(1)), (json!("opened"), json!(1))]);
    assert!(notes.iter().all(|note| note["body"]["bytes"] == bytes.len()), "{notes:?}");
    assert_eq!(notes[0]["body"]["sha256"], notes[1]["body"]["sha256"]);
    let journal = place.lockgate(&["journal", "show", "--all"]).stdout;
    assert!(!journal.contains("pay what we owe"), "the content does not lie open in the journal");
    // What the order says does: its point has no seal.
    assert!(journal.contains("bob"));
}

#[test]
fn d11_inspect_tells_what_a_seal_says_of_itself_and_with_the_keys_whether_that_is_so() {
    let place = place();
    let looked = place.plain(&["inspect", "state/run.json", "--json"]);
    let value = &looked.json()["value"];
    assert_eq!((looked.status, &value["kind"]), (1, &json!("lockgate_seal")), "{looked:?}");
    let seal = &value["seal"];
    assert_eq!((&seal["writer"], &seal["readers"], &seal["verified"]), (&json!("a"), &json!(["b"]), &json!(false)));
    assert_eq!((&seal["point"], &seal["counter"]), (&json!("fs.state:run.json"), &json!("1")));
    assert_eq!(seal["manifest_sha256"].as_str().map(str::len), Some(64));
    let keys = place.path("seal.keys");
    let keys = keys.to_str().expect("text");
    let looked = place.plain(&["inspect", "state/run.json", "--json", "--seal-keys", keys]);
    let value = &looked.json()["value"];
    assert_eq!((looked.status, &value["seal"]["verified"]), (0, &json!(true)), "{looked:?}");
    assert_eq!(value["inner"]["kind"], json!("langchain_envelope"));
    flip(&place, 300);
    let looked = place.plain(&["inspect", "state/run.json", "--seal-keys", keys]);
    assert_eq!(looked.status, 1);
    assert!(looked.stdout.contains("not verified") && looked.stdout.contains("seal_broken"), "{looked:?}");
}

#[test]
fn d10_the_example_prints_what_each_layer_refuses() {
    let ran = Command::new(example().join("run")).env("LOCKGATE", LOCKGATE).output().expect("it starts");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{text}{}", String::from_utf8_lossy(&ran.stderr));
    let parts: Vec<&str> = text.split("\n\n").collect();
    let says = |part: &str, line: &str, code: &str| {
        let part = parts.iter().find(|text| text.starts_with(part)).unwrap_or_else(|| panic!("no `{part}`: {text}"));
        let told = part.lines().any(|told| told.trim_start().starts_with(line) && told.ends_with(code));
        assert!(told, "`{line}` is not `{code}`: {part}");
    };
    says("every layer", "as A saved it", "paid bob");
    says("every layer", "one byte changed", "seal_broken");
    says("every layer", "a well-formed call", "not_sealed");
    says("every layer", "yesterday's state", "seal_rolled_back");
    says("every layer", "as A saved it after", "untrusted_data");
    says("without the seal\n", "an object that fetches", "type_unknown");
    says("without the seal\n", "a well-formed call", "untrusted_data");
    says("without the seal\n", "as A saved it", "untrusted_data");
    says("without the grammar\n", "a well-formed call", "not_sealed");
    says("without the label\n", "a well-formed call", "not_sealed");
    says("without the seal and the grammar", "an object that fetches", "untrusted_data");
    says("without any of the three", "a well-formed call", "paid mallory");
}
