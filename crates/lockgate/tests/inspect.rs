//! `lockgate inspect` through the real program.

mod common;

use common::Place;
use serde_json::{Value as Json, json};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/refused").join(name).display().to_string()
}

fn inspect(place: &Place, arguments: &[&str]) -> (i32, Json) {
    let mut all = vec!["inspect", "--json"];
    all.extend(arguments);
    let ran = place.plain(&all);
    (ran.status, ran.json())
}

const MESSAGE: &str = r#"{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": [{"type": "image_url", "image_url": {"url": "https://images.example.com/a.png"}}], "type": "human"}}"#;

#[test]
fn d11_a_file_is_told_and_the_digest_stays_the_same() {
    let place = Place::new();
    place.file("message.json", MESSAGE);
    let (status, told) = inspect(&place, &["message.json"]);
    assert_eq!(
        (status, &told["ok"], &told["value"]["kind"]),
        (0, &json!(true), &json!("langchain_envelope")),
        "{told}"
    );
    assert_eq!(told["value"]["can"]["hosts"][0]["what"], "https://images.example.com/a.png");
    assert_eq!(told["value"]["refused"], json!([]));
    let (_, again) = inspect(&place, &["message.json"]);
    assert_eq!(told, again);
    place.file("message.json", &MESSAGE.replace("a.png", "b.png"));
    let (_, other) = inspect(&place, &["message.json"]);
    assert_ne!(told["value"]["digest"], other["value"]["digest"]);
}

#[test]
fn d09_hosts_are_checked_against_a_manifest() {
    let place = Place::new();
    place.file("message.json", MESSAGE);
    place.file("lockgate.toml", "[http.images]\nhosts = [\"images.example.com\"]\n");
    place.file("other.toml", "[http.images]\nhosts = [\"example.net\"]\n");
    assert_eq!(inspect(&place, &["message.json", "--manifest", "lockgate.toml"]).0, 0);
    let (status, told) = inspect(&place, &["message.json", "--manifest", "other.toml"]);
    assert_eq!((status, &told["value"]["refused"][0]["code"]), (1, &json!("host_not_granted")), "{told}");
}

#[test]
fn d03_allowed_types_are_chosen_by_name() {
    let place = Place::new();
    let document = example("type_not_allowed.json");
    for (allow, expected) in [("messages", 1), ("core", 0), ("Document", 0), ("AIMessage,Document", 0), ("none", 1)] {
        assert_eq!(inspect(&place, &[&document, "--allow", allow]).0, expected, "{allow}");
    }
    let (status, told) = inspect(&place, &[&document, "--allow", "Documents"]);
    assert_eq!((status, &told["error"]["code"]), (2, &json!("misconfigured")));
    assert!(told["error"]["hint"].as_str().is_some_and(|hint| hint.contains("Document")), "{told}");
}

#[test]
fn d07_a_pickle_is_told_by_what_it_names() {
    let place = Place::new();
    let ran = place.plain(&["inspect", &example("code_refused.pkl")]);
    assert_eq!(ran.status, 1);
    assert!(ran.stdout.contains("pickle") && ran.stdout.contains("posix.system"), "{}", ran.stdout);
    assert!(ran.stdout.contains("code_refused") && ran.stdout.contains("digest of this report"), "{}", ran.stdout);
}

#[test]
fn d11_standard_input_is_read_and_what_cannot_be_read_is_said() {
    let place = Place::new();
    let mut child = place
        .command(&["inspect", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(b"\x80\x04K\x01.").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let told: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &told["value"]["kind"]), (Some(1), &json!("pickle")));
    let (status, told) = inspect(&place, &["missing.json"]);
    assert_eq!(status, 2);
    assert!(told["error"]["message"].as_str().is_some_and(|message| message.contains("missing.json")), "{told}");
}

#[test]
fn d06_what_has_no_end_is_refused() {
    let place = Place::new();
    let (status, told) = inspect(&place, &["/dev/zero"]);
    assert_eq!((status, &told["error"]["code"]), (1, &json!("too_large")), "{told}");
}

#[test]
fn d11_names_in_a_file_command_no_terminal() {
    let place = Place::new();
    place.file("call.json", "{\"type\": \"tool_use\", \"name\": \"\\u001b[2J\\nrefused\", \"input\": {}}");
    let ran = place.plain(&["inspect", "call.json"]);
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stdout.contains("\nrefused"), "{:?}", ran.stdout);
}
