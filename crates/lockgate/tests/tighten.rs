//! `lockgate tighten` through the real program: what it prints suffices, and nothing can be taken from it.

mod common;

use common::{Place, Ran};
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::net::TcpListener;

/// Answers every request with its path; `/moved` leads to `/there`.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or("").to_owned();
            let answer = if path == "/moved" {
                "HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
            } else {
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{path}", path.len())
            };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// A manifest that is too wide everywhere, and a program that needs a part of it.
fn wide(place: &Place, port: u16) {
    place.file("in/2024/a.txt", "a");
    place.file("in/2025/b.txt", "b");
    std::fs::create_dir_all(place.path("out")).expect("a directory can be made");
    place.file(
        "wide.toml",
        &format!(
            r#"isolation = "trusted"
[fs.data]
path = "in"
allow = ["read", "list", "write", "remove"]
[fs.out]
path = "out"
allow = ["read", "write", "list"]
calls = 100
bytes = "1MiB"
[fs.spare]
path = "out"
allow = ["read"]
[http.local]
hosts = ["127.0.0.1", "localhost"]
methods = ["GET", "POST", "DELETE"]
schemes = ["http", "https"]
ports = [{port}, 1]
private = true
calls = 1000
[kv.notes]
allow = ["get", "set", "delete", "list"]
[cell]
children = 8
depth = 3
"#
        ),
    );
}

fn program(port: u16) -> String {
    format!(
        r#"
const child = `export default async () => (await lockgate.kv.notes.get("seen/a")) + (await lockgate.fs.data.readText("2024/a.txt"))`;
export default async () => {{
  const names = (await lockgate.fs.data.list("2024")).map(entry => entry.name);
  await lockgate.fs.out.write("sum.txt", names.join());
  await lockgate.kv.notes.set("seen/a", "yes");
  const first = await (await fetch("http://127.0.0.1:{port}/v1/x")).text();
  const second = await (await fetch("http://127.0.0.1:{port}/v1/y", {{ method: "POST", body: "b" }})).text();
  const third = await (await fetch("http://127.0.0.1:{port}/moved")).text();
  const cell = await lockgate.spawn(child, {{ grants: [{{ kind: "kv", name: "notes" }}, {{ kind: "fs", name: "data" }}] }});
  return [names, first, second, third, await cell.result()];
}};
"#
    )
}

fn run(place: &Place, manifest: &str) -> Ran {
    place.lockgate(&["run", "program.js", "--manifest", manifest])
}

fn tightened(place: &Place, arguments: &[&str]) -> Json {
    let mut all = vec!["tighten"];
    all.extend(arguments);
    let ran = place.lockgate(&all);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.json()["value"].clone()
}

/// Each way to take one grant, or one part of a grant, out of a manifest.
fn smaller(manifest: &str) -> Vec<String> {
    let lines: Vec<&str> = manifest.lines().collect();
    let without = |skip: std::ops::Range<usize>, instead: Option<String>| {
        let mut kept: Vec<String> = lines[..skip.start].iter().map(|line| (*line).to_owned()).collect();
        kept.extend(instead);
        kept.extend(lines[skip.end..].iter().map(|line| (*line).to_owned()));
        kept.join("\n")
    };
    let mut out = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let section = |line: &str| line.starts_with('[') && !line.starts_with("[wall");
        if section(line) {
            let end =
                lines[at + 1..].iter().position(|next| next.starts_with('[')).map_or(lines.len(), |next| at + 1 + next);
            out.push(without(at..end, None));
        }
        let Some((key, value)) = line.split_once(" = ") else { continue };
        // A list of TOML is one of JSON here.
        match serde_json::from_str::<Json>(value) {
            Ok(Json::Array(items)) if key != "minimum" && items.len() > 1 => {
                for leave in 0..items.len() {
                    let mut fewer = items.clone();
                    fewer.remove(leave);
                    out.push(without(at..at + 1, Some(format!("{key} = {}", Json::Array(fewer)))));
                }
            }
            Ok(Json::String(_)) if matches!(key, "under" | "prefix") => {
                out.push(without(at..at + 1, Some(format!("{key} = \"elsewhere/\""))));
            }
            Ok(Json::Number(number)) if matches!(key, "calls" | "children" | "depth") => {
                let less = number.as_u64().expect("a count") - 1;
                out.push(without(at..at + 1, Some(format!("{key} = {less}"))));
            }
            _ => {}
        }
    }
    out
}

#[test]
fn a15_a_tightened_manifest_suffices_and_nothing_can_be_taken_from_it() {
    let (place, port) = (Place::new(), serve());
    wide(&place, port);
    place.file("program.js", &program(port));
    let done = run(&place, "wide.toml").value();
    assert_eq!(done, json!([["a.txt"], "/v1/x", "/v1/y", "/there", "yesa"]));

    let found = tightened(&place, &[]);
    let manifest = found["manifest"].as_str().expect("a manifest").to_owned();
    place.file("tight.toml", &manifest);
    assert_eq!(run(&place, "tight.toml").value(), done, "{manifest}");

    // What is tight stays as it is.
    assert_eq!(tightened(&place, &["--manifest", "tight.toml"])["manifest"], manifest);

    let smaller = smaller(&manifest);
    assert!(smaller.len() > 20, "{smaller:#?}");
    for less in smaller {
        place.file("less.toml", &less);
        let ran = run(&place, "less.toml");
        assert!(ran.status != 0, "this would have sufficed too:\n{less}\nof\n{manifest}");
    }
}

#[test]
fn a15_the_difference_names_what_was_granted_and_never_used() {
    let (place, port) = (Place::new(), serve());
    wide(&place, port);
    place.file("program.js", &program(port));
    let session = run(&place, "wide.toml").json()["session"].as_str().expect("a session").to_owned();
    let found = tightened(&place, &[&session[..8]]);
    let of = |section: &str| {
        let all = found["difference"].as_array().expect("a list").clone();
        all.into_iter().find(|one| one["section"] == section).expect(section)["change"].clone()
    };
    assert_eq!(of("fs.spare"), "gone");
    let key = |section: &str, key: &str| {
        let keys = of(section)["changed"].as_array().expect("keys").clone();
        keys.into_iter().find(|one| one["key"] == key).unwrap_or_else(|| panic!("{key} of {section}: {found}"))
    };
    assert_eq!(key("fs.data", "allow")["gone"], json!(["mkdir", "remove", "stat", "write"]), "{found}");
    assert_eq!(key("http.local", "hosts")["gone"], json!(["localhost"]));
    assert_eq!(key("http.local", "methods")["gone"], json!(["DELETE"]));
    assert_eq!(key("http.local", "paths")["after"], json!("[\"/moved/\", \"/there/\", \"/v1/x/\", \"/v1/y/\"]"));
    assert_eq!((&key("cell", "children")["after"], &key("cell", "depth")["after"]), (&json!("1"), &json!("1")));
    assert_eq!(key("fs.out", "calls")["after"], "1");
    assert_eq!(key("kv.notes", "prefix")["after"], "\"seen/\"");
    // The same for a person, and a manifest that can be kept as it comes.
    let journal = place.journal();
    let journal = journal.to_str().expect("text");
    let shown = place.plain(&["tighten", journal, "--diff"]);
    assert!(shown.status == 0 && shown.stdout.contains("- [fs.spare]"), "{shown:?}");
    let plain = place.plain(&["tighten", "--journal", journal]);
    assert_eq!(plain.stdout, found["manifest"].as_str().expect("a manifest"));
}

#[test]
fn a15_of_several_sessions_the_manifest_suffices_for_each() {
    let place = Place::new();
    place.file("in/a.txt", "a");
    place.file("in/b.txt", "b");
    place.file("wide.toml", "[fs.data]\npath = \"in\"\nallow = [\"read\", \"list\"]\ncalls = 9\n");
    let read = |name: &str| format!("export default lockgate.fs.data.readText('{name}')");
    for name in ["a.txt", "b.txt"] {
        assert_eq!(place.program(&read(name), &["--manifest", "wide.toml"]).status, 0);
    }
    let journal = place.journal();
    let found = place.plain(&["tighten", journal.to_str().expect("text"), "--json"]).json()["value"].clone();
    place.file("tight.toml", found["manifest"].as_str().expect("a manifest"));
    assert_eq!(found["sessions"].as_array().map(Vec::len), Some(2));
    for name in ["a.txt", "b.txt"] {
        assert_eq!(place.program(&read(name), &["--manifest", "tight.toml"]).status, 0, "{found}");
    }
    assert_eq!(tightened(&place, &["--manifest", "wide.toml"])["difference"][0]["section"], "fs.data");
    // Another manifest in the same journal: one must be chosen.
    let mixed = place.plain(&["tighten", journal.to_str().expect("text"), "--json"]);
    let error = mixed.error(2, "misconfigured");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("--manifest")), "{error}");
}

#[test]
fn a15_what_was_too_large_to_be_kept_is_not_guessed() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("out")).expect("a directory can be made");
    place.file(
        "wide.toml",
        "[fs.out]\npath = \"out\"\nallow = [\"read\", \"write\"]\n[fs.in]\npath = \"out\"\nallow = [\"read\"]\n",
    );
    let source = "export default lockgate.fs.out.write('large.txt', 'x'.repeat(20000))";
    assert_eq!(place.program(source, &["--manifest", "wide.toml"]).status, 0);
    let found = tightened(&place, &[]);
    let manifest = found["manifest"].as_str().expect("a manifest").to_owned();
    assert!(!manifest.contains("under") && !manifest.contains("read") && !manifest.contains("fs.in"), "{manifest}");
    assert_eq!(found["remarks"][0]["section"], "fs.out", "{found}");
    place.file("tight.toml", &manifest);
    assert_eq!(place.program(source, &["--manifest", "tight.toml"]).status, 0);
}

#[test]
fn a15_bad_input_to_tighten_is_named() {
    let place = Place::new();
    assert_eq!(place.lockgate(&["tighten"]).status, 2, "there is no journal");
    place.eval("1", &[]);
    let unknown = place.lockgate(&["tighten", "ffffffffffff"]).error(2, "misconfigured");
    assert!(unknown["hint"].as_str().is_some_and(|hint| hint.contains("journal sessions")), "{unknown}");
    place.verify();
    // One byte of the journal changes: nothing is learned from it.
    let journal = place.journal();
    let mut bytes = std::fs::read(&journal).expect("a journal");
    let at = bytes.windows(9).rposition(|window| window == b"isolation").expect("the start is in the file");
    bytes[at + 12] ^= 1;
    std::fs::write(&journal, bytes).expect("it can be changed");
    let damaged = place.lockgate(&["tighten"]);
    assert_eq!(damaged.status, 1, "{damaged:?}");
    assert_eq!(damaged.json()["ok"], false);
}
