//! Tool servers behind the gate: inside walls of their own, their arguments and results of the types that they announce.

mod common;

use common::Place;
use serde_json::{Value as Json, json};

/// A server with the tools that a test gives it as `tools`, each a function of its arguments.
const SERVER: &str = r#"
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const fs = require("fs"), net = require("net");
const any = { type: "object" };
const attempt = (act) => { try { return String(act()); } catch (error) { return error.code; } };
const tools = TOOLS;
require("readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === "initialize") say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "s", version: "0" } } });
  else if (method === "tools/list") say({ id, result: { tools: Object.entries(tools).map(([name, { run, ...tool }]) => ({ name, inputSchema: any, ...tool })) } });
  else if (method === "tools/call") say({ id, result: { content: [], structuredContent: await tools[params.name].run(params.arguments) } });
  else if (id !== undefined) say({ id, error: { code: -32601, message: "no such method" } });
});
"#;

/// A place with a manifest of one server, `[tool.s]`, of all its tools.
fn place(tools: &str, names: &[&str], lines: &str) -> Place {
    let place = Place::new();
    place.file("server.cjs", &SERVER.replace("TOOLS", tools));
    let names = Json::from(names.to_vec());
    let section = "command = [\"node\", \"server.cjs\"]\nreads = [\"server.cjs\"";
    place.file("lockgate.toml", &format!("[tool.s]\n{section}{lines}\ntools = {names}\n"));
    place
}

fn run(place: &Place, source: &str) -> Json {
    let program = format!(
        "const {{ s }} = lockgate.tools;\n\
         const code = (call) => call.then((value) => value, (error) => [error.code, error.message, error.hint ?? null]);\n\
         export default async () => {source};"
    );
    place.program(&program, &["--manifest", "lockgate.toml"]).value()
}

/// The tools whose calls were begun.
fn begun(place: &Place) -> Vec<String> {
    let ops =
        place.entries_of("intent").into_iter().filter_map(|entry| entry["body"]["op"].as_str().map(str::to_owned));
    ops.filter(|op| ["add", "far", "plain"].contains(&op.as_str())).collect()
}

/// Tools that try what a section does not give.
const REACHES: &str = r#"{
  read: { run: ({ path }) => ({ got: attempt(() => fs.readFileSync(path, "utf8")) }) },
  write: { run: ({ path }) => ({ got: attempt(() => (fs.writeFileSync(path, "x"), "ok")) }) },
  gate: { run: () => ({ got: attempt(() => fs.readFileSync(`/proc/${process.ppid}/environ`, "utf8")) }) },
  kill: { run: () => ({ got: attempt(() => process.kill(process.ppid, "SIGKILL")) }) },
  connect: { run: ({ port }) => new Promise((done) => {
    const socket = net.connect({ port, host: "127.0.0.1" });
    socket.on("connect", () => { socket.destroy(); done({ got: "ok" }); });
    socket.on("error", (error) => done({ got: error.code }));
  }) },
}"#;
const REACH: [&str; 5] = ["read", "write", "gate", "kill", "connect"];

#[test]
fn m09_a_tool_server_reaches_what_its_section_says_and_nothing_else() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let attack = |place: &Place| {
        place.file(".ssh/id_ed25519", "a key");
        place.file("given/note.txt", "a note");
        let at = |name: &str| Json::from(place.path(name).to_str().expect("UTF-8"));
        let (key, note, out, loose) = (at(".ssh/id_ed25519"), at("given/note.txt"), at("out/new.txt"), at("new.txt"));
        std::fs::create_dir_all(place.path("out")).expect("it can be made");
        run(
            place,
            &format!(
                "Promise.all([s.read({{ path: {key} }}), s.read({{ path: {note} }}), s.write({{ path: {out} }}), s.write({{ path: {loose} }}), \
                 s.gate({{}}), s.kill({{}}), s.connect({{ port: {port} }})].map((call) => call.then((value) => value.got)))"
            ),
        )
    };
    let strict = place(REACHES, &REACH, "]");
    let nothing = json!(["EACCES", "EACCES", "EACCES", "EACCES", "EACCES", "EPERM", "EPERM"]);
    std::fs::create_dir_all(strict.path("out")).expect("it can be made");
    assert_eq!(attack(&strict), nothing);
    assert!(!strict.path("new.txt").exists());
    let given = place(REACHES, &REACH, &format!(", \"given\"]\nwrites = [\"out\"]\nconnect = [{port}]"));
    std::fs::create_dir_all(given.path("given")).expect("it can be made");
    std::fs::create_dir_all(given.path("out")).expect("it can be made");
    assert_eq!(attack(&given), json!(["EACCES", "a note", "ok", "EACCES", "EACCES", "EPERM", "ok"]));
    assert_eq!(given.read("out/new.txt"), "x");
}

#[test]
fn m09_no_wall_is_for_trusted_code_and_is_told() {
    let place = place(REACHES, &REACH, "]");
    let manifest = place.read("lockgate.toml").replace("reads = [\"server.cjs\"]\n", "wall = \"none\"\n");
    place.file("lockgate.toml", &manifest);
    let refused = place.eval("1", &["--manifest", "lockgate.toml"]).error(2, "misconfigured");
    let problem = &refused["problems"][0];
    assert_eq!(problem["key"], "tool.s.wall", "{refused}");
    assert!(problem["message"].as_str().expect("a message").contains("without a wall"), "{refused}");
    place.file("lockgate.toml", &format!("isolation = \"trusted\"\n{manifest}"));
    place.file(".ssh/id_ed25519", "a key");
    let key = Json::from(place.path(".ssh/id_ed25519").to_str().expect("UTF-8"));
    let program = format!("export default () => lockgate.tools.s.read({{ path: {key} }})");
    let ran = place.program(&program, &["--manifest", "lockgate.toml"]);
    assert_eq!(ran.value(), json!({"got": "a key"}));
    assert!(ran.stderr.contains("`tool.s` runs without a wall"), "{ran:?}");
}

#[test]
fn m09_a_server_cannot_be_given_its_own_manifest_to_change() {
    let place = place(REACHES, &REACH, "]\nwrites = [\".\"]");
    let refused = place.eval("1", &["--manifest", "lockgate.toml"]);
    refused.trouble(2, "misconfigured", &["`[tool.s]`", "`writes`", "the manifest's own directory"]);
    place.file("lockgate.toml", &place.read("lockgate.toml").replace("[\".\"]", "[\"nowhere\"]"));
    let missing = place.eval("1", &["--manifest", "lockgate.toml"]);
    missing.trouble(2, "misconfigured", &["`writes` has `nowhere`"]);
}

/// Tools with types, one of which nobody can use.
const TYPED: &str = r#"{
  add: {
    inputSchema: { type: "object", properties: { left: { type: "integer", maximum: 10 }, right: { type: "integer" } }, required: ["left", "right"], additionalProperties: false },
    outputSchema: { type: "object", properties: { sum: { type: "integer" } }, required: ["sum"] },
    run: ({ left, right }) => ({ sum: right === 0 ? "nothing" : left + right }),
  },
  far: { inputSchema: { type: "object", properties: { a: { $ref: "https://example.com/a.json" } } }, run: () => ({}) },
  plain: { run: (args) => args },
}"#;

#[test]
fn d06_arguments_of_another_type_are_refused_before_anything_is_done() {
    let place = place(TYPED, &["add", "far", "plain"], "]");
    let value = run(
        &place,
        "[await s.add({ left: 1, right: 2 }), await code(s.add({ left: 'x', right: 2 })), await code(s.add({ left: 11, right: 2 })), \
          await code(s.add({ left: 1 })), await code(s.add({ left: 1, right: 2, more: 3 }))]",
    );
    assert_eq!(value[0], json!({"sum": 3}));
    for (index, place) in [(1, "`/left`"), (2, "`/left`"), (3, "`\"right\"`"), (4, "`/more`")] {
        let refused = &value[index];
        assert_eq!(refused[0], "arguments_mismatch", "{value}");
        assert!(refused[1].as_str().expect("a message").contains(place), "{refused}");
        assert!(refused[2].as_str().expect("a hint").contains("schema"), "{refused}");
    }
    assert_eq!(begun(&place), ["add"]);
    assert_eq!(place.entries_of("refusal").len(), 4);
    place.verify();
}

#[test]
fn d06_a_result_of_another_type_is_refused_and_recorded_as_done() {
    let place = place(TYPED, &["add"], "]");
    let value = run(&place, "code(s.add({ left: 1, right: 0 }))");
    assert_eq!(value[0], "result_mismatch", "{value}");
    assert!(value[1].as_str().expect("a message").contains("has run"), "{value}");
    assert!(!value[1].as_str().expect("a message").contains("nothing"), "the result is not told: {value}");
    assert_eq!(begun(&place), ["add"]);
    let outcomes = place.entries_of("outcome");
    assert!(outcomes.iter().any(|outcome| outcome.to_string().contains("result_mismatch")), "{outcomes:?}");
}

#[test]
fn m05_a_tool_whose_schema_cannot_be_used_is_named_and_the_others_work() {
    let place = place(TYPED, &["add", "far"], "]");
    let program = "export default async () => [await lockgate.tools.s.add({ left: 1, right: 2 }), await lockgate.tools.s.far({}).catch((error) => error.code)];";
    let ran = place.program(program, &["--manifest", "lockgate.toml"]);
    assert_eq!(ran.value(), json!([{"sum": 3}, "tool_unusable"]));
    assert!(ran.stderr.contains("\"far\"") && ran.stderr.contains("https://example.com/a.json"), "{ran:?}");
    assert_eq!(begun(&place), ["add"], "what is refused is never begun");
}

#[test]
fn d08_keys_of_javascript_cross_in_neither_direction() {
    let place = place(TYPED, &["plain"], "]");
    let value = run(
        &place,
        "[await s.plain({ a: 218.84000000000015, text: '__proto__' }), await code(s.plain(JSON.parse('{\"a\": {\"__proto__\": 1}}'))), \
          await code(s.plain({ constructor: 1 }))]",
    );
    assert_eq!(value[0], json!({"a": 218.84000000000015, "text": "__proto__"}));
    assert_eq!(value[1][0], "key_refused", "{value}");
    assert!(value[1][1].as_str().expect("a message").contains("`/a/__proto__`"), "{value}");
    assert_eq!(value[2][0], "key_refused", "{value}");
}

#[test]
fn a07_what_its_server_says_changes_something_is_not_read_only() {
    let tools = |hint: &str| {
        format!("{{ drop: {{ annotations: {{ readOnlyHint: {hint} }}, run: () => ({{ done: true }}) }} }}")
    };
    let lines = "]\nread_only = [\"drop\"]";
    let refused = place(&tools("false"), &["drop"], lines);
    let ran = refused.program("export default () => lockgate.tools.s.drop({})", &["--manifest", "lockgate.toml"]);
    ran.trouble(2, "misconfigured", &["`drop`", "changes something"]);
    // What it says in its favour counts for nothing by itself; the operator's word does.
    let taken = place(&tools("true"), &["drop"], lines);
    assert_eq!(run(&taken, "s.drop({})"), json!({"done": true}));
    let asked = taken.plain(&["trust", "diff"]);
    assert!(asked.stdout.contains("takes your word that the tool `drop` changes nothing"), "{asked:?}");
}
