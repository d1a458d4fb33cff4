//! The command line as a person and a program meet it: the real binary, a jailed worker, a real journal.

mod common;
#[path = "cli/streams.rs"]
mod streams;

use common::{LOCKGATE, Place, Ran};
use serde_json::{Value as Json, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the repository, where the examples are.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn with_stdin(place: &Place, arguments: &[&str], text: &str) -> Ran {
    let mut child = place
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("standard input takes it");
    Ran::from(child.wait_with_output().expect("the program ends"))
}

// Programs

#[test]
fn f01_javascript_runs_and_gives_its_result() {
    let place = Place::new();
    let ran = place.program("export default async () => ({ list: [1, 2.5, null], text: 'ß', yes: true });", &[]);
    assert_eq!(ran.value(), json!({"list": [1, 2.5, null], "text": "ß", "yes": true}));
    let object = ran.json();
    for key in ["journal", "session", "head", "refused", "usage"] {
        assert!(!object[key].is_null(), "`{key}` is missing in {object}");
    }
    place.verify();
}

#[test]
fn f01_typescript_keeps_the_place_of_its_errors() {
    let place = Place::new();
    let typed = "interface Wide { a: number }\nexport default function (input: Wide): number {\n  const x: Wide = input as Wide; throw new TypeError('a' + x.a);\n}\n";
    place.file("typed.ts", typed);
    let error = place.lockgate(&["run", "typed.ts", "--input", "{\"a\":7}"]).error(1, "program_failed");
    assert_eq!(error["message"], "TypeError: a7");
    assert_eq!((&error["file"], &error["line"]), (&json!("typed.ts"), &json!(3)));
    // The same program with every type blanked out by hand has its error at the same column.
    let blank = |text: &str| " ".repeat(text.len());
    let erased = typed
        .replace("interface Wide { a: number }", &blank("interface Wide { a: number }"))
        .replace(": Wide", &blank(": Wide"))
        .replace(": number", &blank(": number"))
        .replace(" as Wide", &blank(" as Wide"));
    place.file("erased.mjs", &erased);
    let same = place.lockgate(&["run", "erased.mjs", "--input", "{\"a\":7}"]).error(1, "program_failed");
    assert_eq!((&same["line"], &same["column"]), (&error["line"], &error["column"]));
    let column = error["column"].as_u64().expect("a column");
    assert!((34..=63).contains(&column), "the column {column} is outside the statement");
}

#[test]
fn f01_standard_input_is_a_program() {
    let place = Place::new();
    let journal = place.journal();
    let arguments = ["run", "-", "--json", "--journal", journal.to_str().expect("text"), "--input", "[20, 22]"];
    let ran = with_stdin(&place, &arguments, "export default (n: number[]): number => n[0] + n[1];");
    assert_eq!(ran.value(), 42);
}

#[test]
fn f01_modules_import_their_neighbours() {
    let place = Place::new();
    place.file("lib/sum.ts", "import { one } from '../one.js';\nexport const sum = (a: number): number => a + one;");
    place.file("one.ts", "export const one = 1;");
    place.file("data.json", "{\"n\": 40}");
    place.file("main.mjs", "import { sum } from './lib/sum.ts'; import data from './data.json' with { type: 'json' };\nexport default sum(data.n);");
    assert_eq!(place.lockgate(&["run", "main.mjs"]).value(), 41);
}

#[test]
fn f01_commonjs_requires_its_neighbours() {
    let place = Place::new();
    place.file("half.cjs", "module.exports = n => n / 2;");
    place.file("main.cjs", "const half = require('./half.cjs');\nmodule.exports = input => half(input.n);");
    assert_eq!(place.lockgate(&["run", "main.cjs", "--input", "{\"n\": 84}"]).value(), 42);
}

#[test]
fn f01_input_comes_from_a_flag_or_a_file() {
    let place = Place::new();
    place.file("in.json", "{\"deep\": [{\"a\": 1}]}");
    let echo = "export default input => input;";
    assert_eq!(place.program(echo, &["--input", "@in.json"]).value(), json!({"deep": [{"a": 1}]}));
    assert_eq!(place.program(echo, &["--input", "\"text\""]).value(), "text");
    assert_eq!(place.program("export default (...all) => all[0] === undefined;", &[]).value(), true);
}

#[test]
fn f01_eval_gives_the_completion_value_and_awaits_promises() {
    let place = Place::new();
    assert_eq!(place.eval("const n = 6; n * 7", &[]).value(), 42);
    assert_eq!(place.eval("Promise.resolve([1, 2]).then(l => l.length)", &[]).value(), 2);
    let journal = place.journal();
    let plain = place.plain(&["eval", "'as it is'", "--quiet", "--journal", journal.to_str().expect("text")]);
    assert_eq!((plain.status, plain.stdout.as_str(), plain.stderr.as_str()), (0, "as it is\n", ""));
}

#[test]
fn f01_console_output_stays_off_standard_output() {
    let place = Place::new();
    let ran = place.eval("console.log('to', 'a person'); 'to a program'", &[]);
    assert_eq!(ran.value(), "to a program");
    assert_eq!(ran.stderr, "to a person\n");
}

#[test]
fn f01_terminal_sequences_of_a_guest_are_shown_and_not_sent() {
    let place = Place::new();
    let journal = place.journal();
    let script = "console.log('\\u001b[2Jlog'); '\\u001b]0;title\\u0007\\u202e'";
    let ran = place.plain(&["eval", script, "--journal", journal.to_str().expect("text")]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for forbidden in ['\u{1b}', '\u{7}', '\u{202e}'] {
        assert!(!ran.stdout.contains(forbidden) && !ran.stderr.contains(forbidden), "{ran:?}");
    }
}

#[test]
fn f01_exit_status_says_who_is_to_blame() {
    let place = Place::new();
    assert_eq!(place.eval("1", &[]).status, 0);
    place.eval("throw new Error('mine')", &[]).error(1, "program_failed");
    place.eval("1", &["--limit", "cpu=much"]).error(2, "misconfigured");
    place.eval("for (;;);", &["--limit", "cpu=100ms"]).error(3, "limit_cpu");
    place.eval("1", &["--in-process-weaker"]).error(4, "wall_unavailable");
    place.verify();
}

#[test]
fn f01_failures_in_json_have_their_place() {
    let place = Place::new();
    let thrown = place.program("\n\n  null.x;\n", &[]).error(1, "program_failed");
    assert_eq!(
        (&thrown["file"], &thrown["line"], &thrown["name"]),
        (&json!("program.js"), &json!(3), &json!("TypeError"))
    );
    assert!(thrown["column"].as_u64().is_some_and(|column| column > 2), "{thrown}");
    let syntax = place.program("const a = 1;\nconst b = ;\n", &[]).error(1, "program_failed");
    assert_eq!((&syntax["file"], &syntax["line"], &syntax["column"]), (&json!("program.js"), &json!(2), &json!(11)));
    assert_eq!(syntax["name"], "SyntaxError");
    let plain = place.plain(&["run", "program.js"]);
    assert_eq!(plain.status, 1);
    assert!(plain.stderr.contains("program.js:2:11"), "{plain:?}");
}

#[test]
fn f01_completions_for_shells() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = place.plain(&["completions", shell]);
        assert_eq!(ran.status, 0, "{ran:?}");
        for command in ["run", "eval", "doctor", "journal", "explain"] {
            assert!(ran.stdout.contains(command), "`{command}` is missing for {shell}");
        }
    }
    assert_eq!(place.plain(&["completions", "nosuch"]).status, 2);
}

#[test]
fn g05_trace_prints_a_manifest_that_suffices() {
    let place = Place::new();
    place.file("in/a.txt", "a");
    place.file("in/b.txt", "b");
    place.file(
        "wide.toml",
        "[fs.data]\npath = \"in\"\nallow = [\"read\", \"list\", \"write\", \"remove\"]\n[kv.unused]\nallow = [\"get\"]\n",
    );
    let source = "export default async () => (await lockgate.fs.data.readText('a.txt')) + Object.keys(lockgate.fs);";
    let traced = place.program(source, &["--manifest", "wide.toml", "--trace"]);
    assert_eq!(traced.value(), "adata");
    let manifest = traced.json()["manifest"].as_str().expect("a manifest").to_owned();
    place.file("traced.toml", &manifest);
    assert_eq!(place.program(source, &["--manifest", "traced.toml"]).value(), "adata");
    // And it grants no more than was used.
    for absent in ["write", "remove", "unused"] {
        assert!(!manifest.contains(absent), "`{absent}` was not used:\n{manifest}");
    }
    let more = "export default lockgate.fs.data.write('c.txt', 'c').catch(e => e.code);";
    assert_eq!(place.program(more, &["--manifest", "traced.toml", "--limit", "output=1KiB"]).value(), "op_not_granted");
    assert!(!place.path("in/c.txt").exists());
}

// Bad input

#[test]
fn f01_bad_programs_are_named() {
    let place = Place::new();
    let missing = place.lockgate(&["run", "nope.ts"]);
    missing.trouble(2, "not_found", &["`nope.ts`"]);
    std::fs::write(place.path("latin.js"), b"'\xe4'").expect("written");
    place.lockgate(&["run", "latin.js"]).trouble(2, "malformed", &["`latin.js`", "UTF-8"]);
    place.lockgate(&["run", "."]).error(2, "not_found");
    place.file("long.js", &" ".repeat((4 << 20) + 1));
    place.lockgate(&["run", "long.js"]).trouble(2, "too_large", &["`long.js`"]);
    // What a program imports is its own affair.
    place.program("import './gone.js';", &[]).error(1, "not_found");
    let none = place.plain(&["run"]);
    assert!(none.status == 2 && none.stderr.contains("<PROGRAM>"), "{none:?}");
    let unknown = place.plain(&["run", "a.js", "--alow", "x"]);
    assert!(unknown.status == 2 && unknown.stderr.contains("--allow"), "no suggestion: {unknown:?}");
}

#[test]
fn f01_bad_manifests_say_the_line_and_the_next_step() {
    let place = Place::new();
    place.file("data/x", "");
    let with = |text: &str| {
        place.file("lockgate.toml", text);
        place.eval("1", &["--manifest", "lockgate.toml"])
    };
    let unknown = with("agent = \"a\"\n[fs.data]\npath = \"data\"\nallow = [\"read\"]\nalow = 1\n");
    let unknown = unknown.trouble(2, "misconfigured", &["`alow`", "lockgate.toml:5:1"]);
    assert!(unknown["hint"].as_str().expect("a hint").contains("`allow`"), "{unknown}");
    assert_eq!(
        (&unknown["file"], &unknown["line"], &unknown["column"]),
        (&json!("lockgate.toml"), &json!(5), &json!(1))
    );
    let wrong = with("[limits]\nwall = 5\n").error(2, "misconfigured");
    assert_eq!(wrong["line"], 2);
    assert!(wrong["message"].as_str().expect("text").contains("integer `5`"), "{wrong}");
    let two = with("isolation = \"loose\"\n[limits]\nwall = true\n").error(2, "misconfigured");
    assert_eq!(two["problems"].as_array().map(Vec::len), Some(2), "{two}");
    place.eval("1", &["--manifest", "none.toml"]).trouble(2, "misconfigured", &["`none.toml`"]);
    assert!(!place.journal().exists(), "a manifest that is refused leaves no journal behind");
}

#[test]
fn f01_a_directory_that_does_not_exist_is_named() {
    let place = Place::new();
    place.eval("1", &["--allow", "fs:data=missing"]).trouble(2, "misconfigured", &["`[fs.data]`", "`missing`"]);
    place.file("plain.txt", "");
    place.eval("1", &["--allow", "fs:data=plain.txt"]).trouble(2, "misconfigured", &["`[fs.data]`", "`plain.txt`"]);
}

#[test]
fn f01_bad_flags_say_what_is_expected() {
    let place = Place::new();
    place.eval("1", &["--input", "{a"]).trouble(2, "misconfigured", &["not JSON"]);
    place.eval("1", &["--input", "@missing.json"]).error(2, "misconfigured");
    place.eval("1", &["--limit", "cpu"]).trouble(2, "misconfigured", &["NAME=VALUE"]);
    place.eval("1", &["--limit", "cpy=1s"]).trouble(2, "misconfigured", &["`cpy`"]);
    place.eval("1", &["--limit", "memory=lots"]).trouble(2, "misconfigured", &["`lots`"]);
    place.eval("1", &["--allow", "nothing"]).error(2, "misconfigured");
    place.eval("1", &["--allow", "fs:data=.:fly"]).error(2, "misconfigured");
}

const TOOL_SERVER: &str = r#"
// A tool server by hand: JSON-RPC, one message a line. `die` ends the process in the middle of a call.
const lines = require("node:readline").createInterface({ input: process.stdin });
const send = message => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const text = text => [{ type: "text", text }];
lines.on("line", line => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === "initialize") {
    send({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "by-hand", version: "1" } } });
  } else if (method === "tools/list") {
    const tool = name => ({ name, inputSchema: { type: "object" } });
    send({ id, result: { tools: [tool("say"), tool("fail"), tool("die"), tool("hidden")] } });
  } else if (method === "tools/call" && params.name === "die") {
    process.exit(1);
  } else if (method === "tools/call" && params.name === "fail") {
    send({ id, result: { isError: true, content: text("not today") } });
  } else if (method === "tools/call") {
    send({ id, result: { content: text(params.name + " " + JSON.stringify(params.arguments)) } });
  } else {
    send({ id, error: { code: -32601, message: "unknown method" } });
  }
});
"#;

fn tool_manifest(place: &Place, tools: &str) {
    place.file("server.cjs", TOOL_SERVER);
    place.file(
        "lockgate.toml",
        &format!("[tool.hand]\ncommand = [\"node\", \"server.cjs\"]\nreads = [\"server.cjs\"]\ntools = {tools}\n[fs.out]\npath = \".\"\nallow = [\"write\"]\n"),
    );
}

#[test]
fn a06_tools_are_called_and_their_errors_are_values() {
    let place = Place::new();
    tool_manifest(&place, "[\"say\", \"fail\"]");
    let source = "export default async () => {
      const { hand } = lockgate.tools;
      return [Object.keys(hand).sort(), await hand.say({ a: 1 }), await hand.fail({}).catch(e => [e.name, e.code]), typeof hand.hidden];
    };";
    let value = place.program(source, &["--manifest", "lockgate.toml"]).value();
    assert_eq!(value, json!([["fail", "say"], "say {\"a\":1}", ["LockgateError", "tool_error"], "undefined"]));
}

#[test]
fn a06_a_tool_server_that_dies_in_a_call_is_an_error_of_the_call() {
    let place = Place::new();
    tool_manifest(&place, "[\"say\", \"die\"]");
    let source = "export default async () => {
      const { hand } = lockgate.tools;
      const died = await hand.die({}).catch(e => e.code);
      await lockgate.fs.out.write('after.txt', 'kept');
      return [died, await hand.say({}).catch(e => e.code)];
    };";
    let value = place.program(source, &["--manifest", "lockgate.toml"]).value();
    assert_eq!(value, json!(["tool_unavailable", "tool_unavailable"]));
    assert_eq!(place.read("after.txt"), "kept");
    place.verify();
}

#[test]
fn f01_a_tool_server_that_cannot_start_is_named() {
    let place = Place::new();
    let with = |text: &str| {
        place.file("lockgate.toml", text);
        place.eval("1", &["--manifest", "lockgate.toml"])
    };
    let absent = with("[tool.gone]\ncommand = [\"./no-such-server\"]\ntools = [\"say\"]\n");
    absent.trouble(2, "misconfigured", &["`[tool.gone]`"]);
    let mute = with(
        "[tool.mute]\ncommand = [\"node\", \"-e\", \"console.error('my own words'); process.exit(3)\"]\ntools = [\"say\"]\n",
    );
    mute.trouble(2, "misconfigured", &["`[tool.mute]`", "my own words"]);
    tool_manifest(&place, "[\"sya\"]");
    let slip = place.eval("1", &["--manifest", "lockgate.toml"]).trouble(2, "misconfigured", &["`sya`"]);
    assert!(slip["hint"].as_str().expect("a hint").contains("say"), "{slip}");
}

#[test]
fn f01_a_journal_of_a_newer_version_is_left_alone() {
    let place = Place::new();
    place.eval("1", &[]).value();
    let mut bytes = std::fs::read(place.journal()).expect("a journal");
    // SQLite keeps `user_version` as four bytes, the highest first, from byte 60 of the file.
    let version = u32::from_be_bytes(bytes[60..64].try_into().expect("four bytes"));
    bytes[60..64].copy_from_slice(&(version + 1000).to_be_bytes());
    std::fs::write(place.journal(), &bytes).expect("written");
    place.eval("1", &[]).trouble(2, "misconfigured", &["format 1001", "up to format 1"]);
    assert_eq!(std::fs::read(place.journal()).expect("still there"), bytes, "not a byte of it was touched");
    assert_ne!(place.lockgate(&["journal", "verify"]).status, 0);
}

#[test]
fn f01_a_file_that_is_no_journal_is_left_alone() {
    let place = Place::new();
    std::fs::write(place.journal(), "dear diary").expect("written");
    place.eval("1", &[]).trouble(2, "misconfigured", &["not a journal"]);
    assert_eq!(place.read("journal.sqlite"), "dear diary");
}

#[test]
fn w01_a_weaker_wall_must_be_asked_for_by_its_name() {
    let place = Place::new();
    place.eval("1", &["--in-process-weaker"]).trouble(4, "wall_unavailable", &["seccomp", "landlock"]);
    place.file("trusted.toml", "isolation = \"trusted\"\n");
    assert_eq!(place.eval("1", &["--in-process-weaker", "--manifest", "trusted.toml"]).value(), 1);
    place.file("unwalled.toml", "[wall]\nminimum = []\n");
    place.eval("1", &["--manifest", "unwalled.toml"]).error(2, "misconfigured");
}

#[test]
fn a07_where_nothing_can_be_recorded_nothing_is_done() {
    let place = Place::new();
    std::fs::create_dir(place.path("full")).expect("made");
    std::fs::create_dir(place.path("out")).expect("made");
    place.file(
        "program.js",
        "export default async () => { for (let i = 0; i < 3000; i++) await lockgate.fs.out.write(`f${i}`, 'x'.repeat(50)); };",
    );
    // A disk of its own with room for a few entries; the journal is copied out before it is gone.
    let script = format!(
        "mount -t tmpfs -o size=300k lockgate-full full && \
         {{ {LOCKGATE} run program.js --allow fs:out=out:write --limit crossings=5000 --json --journal full/journal.sqlite; \
            status=$?; cp full/journal.sqlite* .; exit $status; }}"
    );
    let flags: &[&str] = if is_root() { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] };
    let output = Command::new("unshare").args(flags).args(["sh", "-c", &script]).current_dir(place.root()).output();
    let ran = Ran::from(output.expect("`unshare` of util-linux is there"));
    ran.trouble(4, "journal_unavailable", &["journal"]);

    let written: Vec<String> = std::fs::read_dir(place.path("out"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(!written.is_empty() && written.len() < 3000, "{} files", written.len());
    place.verify();
    let intents: Vec<Json> =
        place.entries_of("intent").iter().map(|entry| entry["body"]["args"]["path"].clone()).collect();
    for name in written {
        assert!(intents.contains(&Json::from(name.as_str())), "`{name}` was written without a record");
    }
}

#[test]
fn a07_padding_hides_nothing_of_what_was_done() {
    let place = Place::new();
    std::fs::create_dir(place.path("out")).expect("made");
    let script = "const pad = 'x'.repeat(20000);
        lockgate.fs.out.write('stolen.txt', pad).then(() => lockgate.kv.notes.set('secret', pad))";
    place.eval(script, &["--allow", "fs:out=out:write", "--allow", "kv:notes"]).value();
    let intents = place.entries_of("intent");
    assert_eq!(intents[0]["body"]["args"]["path"], "stolen.txt", "{intents:?}");
    assert_eq!(intents[0]["body"]["args"]["data"]["bytes"], 20000);
    assert_eq!(intents[1]["body"]["args"]["key"], "secret");
    place.verify();
}

#[test]
fn j02_a_disk_without_room_is_not_taken_for_damage() {
    let place = Place::new();
    std::fs::create_dir(place.path("full")).expect("made");
    let script = format!(
        "mount -t tmpfs -o size=512k lockgate-full full && {LOCKGATE} eval 1 --journal full/j.sqlite >/dev/null 2>&1 && \
         {{ cat /dev/zero > full/fill; {LOCKGATE} journal verify --journal full/j.sqlite; status=$?; rm full/fill; \
            {LOCKGATE} journal verify --journal full/j.sqlite >&2 || exit 9; exit $status; }}"
    );
    let flags: &[&str] = if is_root() { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] };
    let output = Command::new("unshare").args(flags).args(["sh", "-c", &script]).current_dir(place.root()).output();
    let ran = Ran::from(output.expect("`unshare` of util-linux is there"));
    // A journal at rest needs no room to be read.
    assert!(ran.status == 0 || ran.status == 2 && ran.stderr.contains("full"), "{ran:?}");
}

#[test]
fn n06_the_file_of_the_stores_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.eval("lockgate.kv.n.set('token', 'secret-value')", &["--allow", "kv:n"]).value();
    let mode = std::fs::metadata(place.path("stores.sqlite")).expect("beside the journal").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a07_a_limit_on_file_sizes_is_told_like_a_full_disk() {
    let place = Place::new();
    let script = "(async () => { for (let i = 0; i < 3000; i++) await lockgate.kv.k.set('a', 'x'.repeat(15000)); })()";
    // Files may grow to 2 MB; with less the workers' image finds no room.
    let limited = format!(
        "ulimit -f 4000; exec {LOCKGATE} eval \"$1\" --allow kv:k --limit crossings=10000 --json --journal journal.sqlite"
    );
    let output = Command::new("sh")
        .args(["-c", &limited, "sh", script])
        .current_dir(place.root())
        .env("HOME", place.root())
        .output();
    Ran::from(output.expect("there is a shell")).trouble(4, "journal_unavailable", &["journal"]);
    place.verify();
    assert!(!place.entries_of("intent").is_empty());
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

// The journal

#[test]
fn j02_a_flipped_byte_is_found_by_session_and_serial() {
    let place = Place::new();
    let script = "lockgate.random.bytes(3).then(() => 'a known text of this test')";
    let session = place.eval(script, &[]).json()["session"].as_str().expect("a session").to_owned();
    place.verify();
    let entries = place.entries();
    let known = |entry: &&Json| entry["body"]["result"] == "a known text of this test";
    let serial = entries.iter().find(known).expect("it is recorded")["serial"].to_string();
    let mut bytes = std::fs::read(place.journal()).expect("a journal");
    let known = b"a known text of this test";
    let at = bytes.windows(known.len()).position(|part| part == known).expect("the result is in an entry");
    bytes[at + 3] ^= 1;
    std::fs::write(place.journal(), &bytes).expect("written");
    let verified = place.lockgate(&["journal", "verify"]);
    assert_eq!(verified.status, 1, "{verified:?}");
    let findings = verified.json()["findings"].to_string();
    assert!(findings.contains(&session), "the session is not named: {findings}");
    assert!(findings.contains(&serial), "the serial {serial} is not named: {findings}");
    let plain = place.plain(&["journal", "verify", "--journal", "journal.sqlite"]);
    assert!(plain.status == 1 && plain.stdout.contains(&session), "{plain:?}");
}

#[test]
fn j02_a_noted_head_rules_out_a_rewritten_journal() {
    let place = Place::new();
    let head = place.eval("1", &[]).json()["head"].as_str().expect("a head").to_owned();
    assert_eq!(place.lockgate(&["journal", "verify", "--expect", &head]).status, 0);
    // Another journal, sound in itself, in its place.
    for file in std::fs::read_dir(place.root()).expect("listed") {
        let path = file.expect("an entry").path();
        if path.to_string_lossy().contains("journal.sqlite") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    place.eval("1", &[]).value();
    place.verify();
    assert_eq!(place.lockgate(&["journal", "verify", "--expect", &head]).status, 1);
    let garbage = place.lockgate(&["journal", "verify", "--expect", "no head"]);
    assert_eq!(garbage.status, 2, "{garbage:?}");
}

#[test]
fn j02_show_tail_and_export_agree() {
    let place = Place::new();
    place.file("data/a.txt", "a");
    let script = "lockgate.fs.data.readText('a.txt').then(() => lockgate.fs.data.write('b', 'b').catch(e => e.code))";
    let ran = place.eval(script, &["--allow", "fs:data=data"]);
    let session = ran.json()["session"].as_str().expect("a session").to_owned();
    assert_eq!(ran.value(), "op_not_granted");
    let shown = place.lockgate(&["journal", "show", &session[..8]]);
    let kinds: Vec<String> = shown
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).expect("JSON")["kind"].as_str().expect("a kind").to_owned())
        .collect();
    assert_eq!(kinds.first().map(String::as_str), Some("start"));
    assert_eq!(kinds.last().map(String::as_str), Some("end"));
    assert_eq!(kinds.iter().filter(|kind| *kind == "refusal").count(), 1, "{kinds:?}");
    let tail = place.lockgate(&["journal", "tail", "-n", "100", "--idle", "50"]);
    assert_eq!(tail.stdout.lines().count(), kinds.len(), "{tail:?}");
    assert_eq!(place.lockgate(&["journal", "sessions"]).stdout.lines().count(), 1);

    assert_eq!(place.lockgate(&["journal", "export", "--output", "out.jsonl"]).status, 0);
    assert_eq!(place.lockgate(&["journal", "verify", "--export", "out.jsonl"]).status, 0);
    let export = place.read("out.jsonl");
    place.file("cut.jsonl", &export.replacen("a.txt", "b.txt", 1));
    if export.contains("a.txt") {
        assert_eq!(place.lockgate(&["journal", "verify", "--export", "cut.jsonl"]).status, 1);
    }
    let lines: Vec<&str> = export.lines().collect();
    let swapped: Vec<&str> = lines[..2].iter().chain([&lines[3], &lines[2]]).chain(&lines[4..]).copied().collect();
    place.file("swapped.jsonl", &(swapped.join("\n") + "\n"));
    assert_eq!(place.lockgate(&["journal", "verify", "--export", "swapped.jsonl"]).status, 1);
    let missing = place.plain(&["journal", "verify", "--journal", "nowhere.sqlite", "--json"]);
    assert_eq!(missing.status, 2, "{missing:?}");
    assert!(!place.path("nowhere.sqlite").exists(), "nothing is created by looking");
}

// The machine and the manifest

#[test]
fn g21_doctor_says_that_every_wall_holds() {
    let place = Place::new();
    let ran = place.plain(&["doctor", "--json"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let report = ran.json();
    assert_eq!(report["ok"], true);
    for wall in ["no_new_privileges", "seccomp", "landlock"] {
        let up = report["walls"].as_array().expect("walls").iter().any(|w| w["wall"] == wall && w["up"] == true);
        assert!(up, "`{wall}` is down: {}", report["walls"]);
    }
    let attempts = report["with_every_wall"].as_array().expect("attempts");
    assert!(attempts.len() > 30 && attempts.iter().all(|attempt| attempt["blocked"] == true), "{attempts:?}");
    // The same attempts do succeed where no wall stands, so their failure says something.
    let open = report["with_no_wall"].as_array().expect("attempts");
    assert!(open.iter().filter(|attempt| attempt["blocked"] == false).count() > 20, "{open:?}");
    // And a tool server inside its wall.
    let servers = report["tool_servers"]["attempts"].as_array().expect("attempts");
    assert!(servers.len() == 10 && servers.iter().all(|attempt| attempt["blocked"] == true), "{servers:?}");
    assert!(servers.iter().filter(|attempt| attempt["blocked_without_a_wall"] == false).count() >= 8, "{servers:?}");
}

#[test]
fn a15_explain_says_by_which_grant_and_what_would_allow_it() {
    let place = Place::new();
    place.file(
        "lockgate.toml",
        "[fs.data]\npath = \"data\"\nallow = [\"read\"]\nunder = \"2024\"\n[http.api]\nhosts = [\"api.example.com\"]\n",
    );
    let explain = |arguments: &[&str]| {
        let mut all = vec!["explain", "--manifest", "lockgate.toml", "--json"];
        all.extend(arguments);
        place.plain(&all)
    };
    let allowed = explain(&["fs.data", "read", "2024/a.csv"]);
    assert_eq!((allowed.status, &allowed.json()["value"]["allowed"]), (0, &json!(true)));
    let refused = explain(&["fs.data", "read", "2025/a.csv"]);
    assert_eq!((refused.status, &refused.json()["value"]["code"]), (1, &json!("path_not_granted")));
    let refused = explain(&["http", "GET", "https://other.example.com/"]).json();
    assert_eq!(refused["value"]["code"], "host_not_granted");
    assert!(refused["value"]["addition"].to_string().contains("other.example.com"), "{refused}");
    assert_eq!(explain(&["http", "POST", "https://api.example.com/"]).json()["value"]["code"], "method_not_granted");
    assert_eq!(explain(&["nowhere", "read"]).status, 2);
    assert_eq!(explain(&["fs.data", "read", "../up"]).status, 2);
    assert!(!place.journal().exists(), "explaining touches nothing");
}

// The examples

#[test]
fn f01_the_main_example_runs_as_the_readme_says() {
    let root = repository();
    let server = root.join("examples/node_modules/@modelcontextprotocol/server-filesystem");
    assert!(server.exists(), "run `./x` once: it installs the tool server of the examples");
    let place = Place::new();
    let copy = place.path("examples");
    let copied =
        Command::new("cp").arg("-r").arg(root.join("examples/report")).arg(place.root().join("report")).status();
    assert!(copied.is_ok_and(|status| status.success()));
    std::fs::create_dir_all(&copy).expect("made");
    let _ = std::fs::remove_file(place.path("report/out/report.md"));
    std::fs::create_dir_all(place.path("report/out")).expect("made");
    let manifest = place
        .read("report/lockgate.toml")
        .replace("../../node_modules", &root.join("examples/node_modules").display().to_string())
        .replace(
            "\"../node_modules\"",
            &Json::from(root.join("examples/node_modules").display().to_string()).to_string(),
        );
    place.file("report/lockgate.toml", &manifest);
    let run = ["run", "report/report.ts", "--manifest", "report/lockgate.toml", "--journal", "journal.sqlite"];
    let ran = place.plain(&run);
    assert_eq!(ran.status, 0, "{ran:?}");
    let answer: Json = serde_json::from_str(&ran.stdout).expect("the result alone is on standard output");
    assert_eq!(answer, json!({"days": 1461, "wettestYear": "2014", "sent": "no: host_not_granted"}));
    for words in [
        "refused",
        "`collector.example.net` is not granted (host_not_granted)",
        "journal.sqlite",
        "4 allowed, 1 refused",
    ] {
        assert!(ran.stderr.contains(words), "`{words}` is missing in:\n{}", ran.stderr);
    }
    assert!(place.read("report/out/report.md").starts_with("# Seattle weather"));
    let head = ran.stderr.lines().find_map(|line| line.strip_prefix("head")).expect("a head").trim().to_owned();
    assert_eq!(place.lockgate(&["journal", "verify", "--expect", &head]).status, 0);
}

#[test]
fn n01_n02_the_nested_example_gets_nothing_more() {
    let example = repository().join("examples/nested");
    let place = Place::new();
    let (program, manifest) = (example.join("nested.js"), example.join("lockgate.toml"));
    let flags = [program.to_str().expect("text"), "--manifest", manifest.to_str().expect("text")];
    let ran = place.lockgate(&["run", flags[0], flags[1], flags[2]]);
    let no = |what: &str, code: &str| json!({"what": what, "allowed": false, "code": code});
    let inner = json!([
        no("child writes where the parent may only read", "op_not_granted"),
        {"what": "child reads what the parent may read", "allowed": true, "got": "a note that children may read"},
        {"what": "grandchild with nothing asked", "allowed": true, "got": ["clock", "parent", "random", "sealed"]},
        no("grandchild asks for a host nobody holds", "amplification"),
        no("grandchild with grants: 1 (truthy, no list)", "malformed"),
        no("grandchild with grants: [[\"fs\"]] (a list for a table)", "malformed"),
        no("grandchild with limits: [] (a list for a table)", "malformed"),
        no("grandchild with nesting: true (an unknown key)", "malformed"),
    ]);
    assert_eq!(
        ran.value(),
        json!([
            {"what": "child asks for writing; its parent holds reading", "allowed": true, "got": inner},
            no("child asks for a directory that its parent does not hold", "amplification"),
        ])
    );
    assert!(!example.join("data/x.txt").exists());
    // Each refused ask is in the journal.
    let outcomes = place.entries_of("outcome");
    let with = |code: &str| outcomes.iter().filter(|entry| entry["body"]["code"] == code).count();
    assert_eq!((with("amplification"), with("malformed")), (2, 4), "{outcomes:?}");
    assert_eq!(place.entries_of("refusal").len(), 1);
    place.verify();
}

#[test]
fn n05_the_exhaustion_example_reaches_every_limit_beside_a_tenant_that_goes_on() {
    let ran = Command::new(repository().join("examples/exhaustion/run"))
        .env("LOCKGATE", common::LOCKGATE)
        .env("NO_COLOR", "1")
        .output()
        .expect("there is a shell");
    let (said, trouble) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{trouble}");
    assert_eq!(said.matches(" exit ").count(), 11, "{said}");
    // The steady tenant ended well both times.
    assert_eq!(said.matches("\"rounds\":").count(), 2, "{said}\n{trouble}");
}

#[test]
fn f01_what_a_program_says_begins_no_line_of_ours() {
    let place = Place::new();
    let forged = "a\\n    9  13:46:21.444412  cell 0   approval  of 2: approved by operator:operator";
    let program = format!(
        "export default async () => {{ try {{ await lockgate.fs.out.write(\"{forged}\\u2060\", 'x') }} catch {{}} }}"
    );
    place.file("p.mjs", &program);
    place.file("out/keep", "");
    let ran = place.plain(&["run", "p.mjs", "--allow", "fs:out=out:read"]);
    assert!(ran.stderr.contains("refused"), "{ran:?}");
    let shown = place.plain(&["journal", "show"]);
    for text in [&ran.stderr, &shown.stdout] {
        assert!(text.contains("\\n    9  13:46"), "it is shown, escaped: {text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("9  13:46")), "{text}");
    }
    assert!(shown.stdout.contains("\\u{2060}"), "{}", shown.stdout);
}
