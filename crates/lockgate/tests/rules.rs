//! The operator's rules, through the real program.

mod common;

use common::{Place, Ran};
use serde_json::{Value as Json, json};

const MANIFEST: &str = r#"
agent = "assistant"
rules = "rules.cedar"

[fs.inbox]
path = "inbox"
allow = ["read", "list"]

[fs.out]
path = "out"
allow = ["write", "stat", "read"]

[kv.notes]
allow = ["get", "set"]

[cell]
"#;

const QUIET: &str = r#"
@id("quiet-after-inbox")
@reason("what was read there is not to leave")
forbid(principal, action == Action::"fs.out.write", resource)
when { context.session.read.contains(Point::"fs.inbox") };
"#;

fn place(rules: &str) -> Place {
    let place = Place::new();
    place.file("inbox/a", "a letter");
    place.file("out/keep", "");
    place.file("lockgate.toml", MANIFEST);
    place.file("rules.cedar", rules);
    place
}

fn ran(place: &Place, body: &str, flags: &[&str]) -> Ran {
    let source = format!(
        "const {{ fs, kv }} = lockgate;\n\
         const attempt = async (what) => {{ try {{ await what(); return 'done' }} catch (e) {{ return {{ code: e.code, message: e.message }} }} }};\n\
         export default async () => {{ {body} }}"
    );
    place.file("program.mjs", &source);
    let mut all = vec!["run", "program.mjs", "--manifest", "lockgate.toml"];
    all.extend(flags);
    place.lockgate(&all)
}

fn run(place: &Place, body: &str) -> Json {
    ran(place, body, &[]).value()
}

#[test]
fn a16_nothing_is_sent_after_the_inbox_was_read() {
    let place = place(QUIET);
    let value = run(
        &place,
        "const before = await attempt(() => fs.out.write('before', 'x'));
         await fs.inbox.readText('a');
         return [before, await attempt(() => fs.out.write('after', 'x')), await attempt(() => kv.notes.set('k', 1))]",
    );
    let refused = json!({
        "code": "rule_forbids",
        "message": "the rule `quiet-after-inbox` forbids `write` on `fs.out`: what was read there is not to leave",
    });
    assert_eq!(value, json!(["done", refused, "done"]));
    assert!(place.path("out/before").exists() && !place.path("out/after").exists());
    let refusals = place.entries_of("refusal");
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0]["body"]["code"], "rule_forbids");
    assert_eq!(refusals[0]["body"]["point"], "fs.out");
    // The rules in force are in the session's first entry.
    let start = &place.entries_of("start")[0]["body"]["rules"][0];
    assert_eq!(start["text"], QUIET, "{start}");
    assert!(start["file"].as_str().is_some_and(|file| file.ends_with("rules.cedar")), "{start}");
    place.verify();
}

#[test]
fn a16_what_a_child_read_counts_for_the_whole_session() {
    let place = place(QUIET);
    let value = run(
        &place,
        "const child = await lockgate.spawn('export default () => lockgate.fs.inbox.readText(\"a\")',
             { grants: [{ kind: 'fs', name: 'inbox', allow: ['read'] }] });
         await child.result();
         return attempt(() => fs.out.write('after', 'x'))",
    );
    assert_eq!(value["code"], "rule_forbids", "{value}");
}

#[test]
fn a16_a_child_cell_is_under_the_same_rules() {
    let place = place(
        r#"@id("drafts") forbid(principal in Agent::"assistant", action == Action::"fs.out.write", resource)
           unless { context.path like "drafts-*" };
           @id("no-children-with-notes") forbid(principal, action == Action::"cell.spawn", resource)
           when { context.child.asks.contains(Point::"kv.notes") };"#,
    );
    let value = run(
        &place,
        "const source = `export default async () => {
             await lockgate.fs.out.write('drafts-1', 'x');
             try { await lockgate.fs.out.write('final', 'x') } catch (e) { return e.code }
         }`;
         const child = await lockgate.spawn(source, { name: 'writer', grants: [{ kind: 'fs', name: 'out', allow: ['write'] }] });
         const notes = await attempt(() => lockgate.spawn('1', { grants: [{ kind: 'kv', name: 'notes' }] }));
         return [await child.result(), notes.code, (await attempt(() => fs.out.write('final', 'x'))).code]",
    );
    assert_eq!(value, json!(["rule_forbids", "rule_forbids", "rule_forbids"]));
    assert!(place.path("out/drafts-1").exists() && !place.path("out/final").exists());
}

#[test]
fn a16_the_past_counts_calls_and_refusals() {
    let place = place(
        r#"@id("three") forbid(principal, action == Action::"kv.notes.set", resource)
           when { context.session.count["kv.notes.set"] >= 3 };
           @id("calm") forbid(principal, action == Action::"fs.out.write", resource) when { context.session.refusals >= 2 };"#,
    );
    let value = run(
        &place,
        "const codes = [];
         const all = await Promise.all([1, 2, 3, 4, 5].map((n) => attempt(() => kv.notes.set('k' + n, n))));
         return [all.map((one) => one.code ?? one), (await attempt(() => fs.out.write('a', 'x'))).code]",
    );
    assert_eq!(value, json!([["done", "done", "done", "rule_forbids", "rule_forbids"], "rule_forbids"]));
}

#[test]
fn a16_the_past_is_of_one_session() {
    let place = place(QUIET);
    assert_eq!(
        run(&place, "await fs.inbox.readText('a'); return (await attempt(() => fs.out.write('a', 'x'))).code"),
        "rule_forbids"
    );
    assert_eq!(run(&place, "return attempt(() => fs.out.write('a', 'x'))"), "done");
}

#[test]
fn a16_a_condition_that_cannot_be_evaluated_refuses() {
    let place = place(
        r#"@id("overflow") forbid(principal, action == Action::"fs.out.write", resource)
           when { (context.depth + 2) * 9223372036854775807 > 0 };"#,
    );
    let value = run(&place, "return attempt(() => fs.out.write('a', 'x'))");
    assert_eq!(value["code"], "rule_unclear", "{value}");
    assert_eq!(
        value["message"],
        "`write` on `fs.out` cannot be judged by the operator's rules: the rule `overflow` cannot be evaluated"
    );
    assert!(!place.path("out/a").exists());
}

#[test]
fn a16_rules_that_are_wrong_start_no_session() {
    let wrong = "forbid(principal, action == Action::\"fs.out.wriet\", resource);";
    let place = place(wrong);
    let error = ran(&place, "return 1", &[]).trouble(2, "misconfigured", &["rules.cedar:1:29", "fs.out.wriet"]);
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("fs.out.write")), "{error}");
    assert_eq!((&error["line"], &error["column"]), (&json!(1), &json!(29)), "{error}");
    std::fs::remove_file(place.path("rules.cedar")).expect("it is there");
    ran(&place, "return 1", &[]).trouble(2, "misconfigured", &["cannot read the rules", "rules.cedar"]);
    assert!(!place.journal().exists() || place.entries_of("start").is_empty());
}

#[test]
fn a16_a_flag_adds_rules_to_those_of_the_manifest() {
    let place = place("");
    place.file("more/extra.cedar", QUIET);
    let body =
        "await fs.inbox.readText('a'); const one = await attempt(() => fs.out.write('a', 'x')); return one.code ?? one";
    assert_eq!(run(&place, body), "done");
    assert_eq!(ran(&place, body, &["--rules", "more/extra.cedar"]).value(), "rule_forbids");
    let evaluated = place.eval("1 + 1", &["--rules", "more/extra.cedar"]);
    evaluated.trouble(2, "misconfigured", &["the rules have 2 problems"]);
}

#[test]
fn a16_the_command_checks_rules_and_shows_what_they_can_name() {
    let place = place(
        "@id(\"a\") forbid(principal, action in Action::\"fs.out\", resource) when { context.path == \"x\" };\n\
         @id(\"b\") @ask(\"really?\") forbid(principal, action == Action::\"fs.out.write\", resource);\n",
    );
    let checked = place.plain(&["rules", "check", "--manifest", "lockgate.toml", "--json"]).value();
    assert_eq!(checked["operations"]["fs.out.write"], 2, "{checked}");
    assert_eq!(checked["operations"]["fs.out.read"], 1, "{checked}");
    assert_eq!(checked["rules"][1]["ask"], "really?", "{checked}");
    assert_eq!(checked["files"][0]["sha256"].as_str().map(str::len), Some(64), "{checked}");
    let told = place.plain(&["rules", "check", "--manifest", "lockgate.toml"]);
    assert!(told.stdout.contains("good 2 rules, of which 1 ask"), "{told:?}");
    assert!(told.stdout.contains("fs.out.write: a, b (asks)"), "{told:?}");
    place.file(
        "bad.cedar",
        "permit(principal, action == Action::\"fs.out.write\", resource);\nforbid(principal, action, resource);",
    );
    let bad = place.plain(&["rules", "check", "--manifest", "lockgate.toml", "bad.cedar"]);
    assert_eq!(bad.status, 2);
    for words in ["the rules have 2 problems", "bad.cedar:1:1", "bad.cedar:2:1", "write `forbid`"] {
        assert!(bad.stderr.contains(words), "`{words}` is not in {bad:?}");
    }
    let schema = place.plain(&["rules", "schema", "--manifest", "lockgate.toml"]);
    assert_eq!(schema.status, 0);
    assert!(schema.stdout.contains("action \"fs.out.write\" in [\"fs.out\"]"), "{schema:?}");
    let none = place.plain(&["rules", "check", "--manifest", "absent.toml", "--json"]);
    none.trouble(2, "misconfigured", &["absent.toml"]);
}

#[test]
fn a16_explain_tells_which_rule_forbids() {
    let place = place(
        "@id(\"no-secrets\") @reason(\"they stay\") forbid(principal, action == Action::\"fs.out.write\", resource) when { context.path like \"secret*\" };\n\
         @id(\"look\") @ask(\"is it finished?\") forbid(principal, action == Action::\"fs.out.write\", resource) when { context.path like \"final*\" };\n",
    );
    let explain =
        |path: &str| place.plain(&["explain", "--manifest", "lockgate.toml", "fs.out", "write", path, "--json"]);
    let refused = explain("secret.txt");
    assert_eq!(refused.status, 1);
    let value = refused.json()["value"].clone();
    assert_eq!((&value["allowed"], &value["code"]), (&json!(false), &json!("rule_forbids")), "{value}");
    assert_eq!(value["rules"][0]["id"], "no-secrets", "{value}");
    assert_eq!(value["message"], "the rule `no-secrets` forbids `write` on `fs.out`: they stay");
    let asks = explain("final.txt").value();
    assert_eq!(asks["rules"][0]["asks"], "the rule `look` asks: is it finished?", "{asks}");
    let allowed = explain("other.txt").value();
    assert_eq!((&allowed["allowed"], &allowed["rules"]), (&json!(true), &Json::Null));
    let told = place.plain(&["explain", "--manifest", "lockgate.toml", "fs.out", "write", "secret.txt"]);
    assert!(told.stdout.contains("the rule `no-secrets` forbids"), "{told:?}");
    // What a rule refused is told again from the journal.
    ran(&place, "return attempt(() => fs.out.write('secret.txt', 'x'))", &[]).value();
    let serial = place.entries_of("refusal")[0]["serial"].to_string();
    let again = place.lockgate(&["explain", "--serial", &serial]);
    assert_eq!(again.status, 1, "{again:?}");
    assert_eq!(again.json()["value"]["decided"]["code"], "rule_forbids", "{again:?}");
}

/// A tool server by hand: JSON-RPC, one message a line.
const BANK: &str = r#"
const lines = require("node:readline").createInterface({ input: process.stdin });
const send = message => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
lines.on("line", line => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === "initialize") {
    send({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "bank", version: "1" } } });
  } else if (method === "tools/list") {
    const transfer = { type: "object", required: ["to", "amount"], properties: { to: { type: "string" }, amount: { type: "number" } } };
    send({ id, result: { tools: [{ name: "transfer", inputSchema: transfer }] } });
  } else if (method === "tools/call") {
    send({ id, result: { content: [{ type: "text", text: "sent " + params.arguments.amount } ] } });
  } else {
    send({ id, error: { code: -32601, message: "unknown method" } });
  }
});
"#;

fn bank(rules: &str) -> Place {
    let place = Place::new();
    place.file("server.cjs", BANK);
    place.file(
        "lockgate.toml",
        "agent = \"assistant\"\nrules = [\"rules.cedar\"]\n[tool.bank]\ncommand = [\"node\", \"server.cjs\"]\nreads = [\"server.cjs\"]\ntools = [\"transfer\"]\n",
    );
    place.file("rules.cedar", rules);
    place
}

const LIMIT: &str = r#"@id("limit") forbid(principal, action == Action::"tool.bank.transfer", resource)
when { context.args.amount.greaterThan(decimal("100.0")) || context.args.to == "mallory" };"#;

#[test]
fn a16_rules_speak_of_what_a_tool_is_given() {
    let place = bank(LIMIT);
    let value = run(
        &place,
        "const pay = (args) => attempt(() => lockgate.tools.bank.transfer(args));
         return [await pay({ to: 'alice', amount: 100 }), (await pay({ to: 'alice', amount: 100.01 })).code,
                 (await pay({ to: 'mallory', amount: 1 })).code, (await pay({ to: ['mallory'], amount: 1 })).code,
                 (await pay({ to: 'alice' })).message]",
    );
    // What is not of the tool's own type never comes before a rule.
    let missing = "the arguments of `transfer` hold an object without `\"amount\"`";
    assert_eq!(value, json!(["done", "rule_forbids", "rule_forbids", "arguments_mismatch", missing]));
    assert_eq!(place.entries_of("intent").iter().filter(|entry| entry["body"]["op"] == "transfer").count(), 1);
    // The command asks the server what its tool takes; without that, it says what is missing.
    place.plain(&["rules", "check", "--manifest", "lockgate.toml", "--json"]).value();
    let offline = place.plain(&["rules", "check", "--manifest", "lockgate.toml", "--offline", "--json"]);
    let error = offline.error(2, "misconfigured");
    assert!(error["problems"][0]["hint"].as_str().is_some_and(|hint| hint.contains("`tool.bank`")), "{error}");
    let args = "{\"to\": \"mallory\", \"amount\": 1}";
    let asked = ["explain", "--manifest", "lockgate.toml", "tool.bank", "transfer", "--args", args, "--json"];
    assert_eq!(place.plain(&asked).json()["value"]["code"], "rule_forbids");
}

#[test]
fn a16_a_rule_that_asks_waits_for_its_answer() {
    let place = place(
        r#"@id("look") @ask("is it finished?") forbid(principal, action == Action::"fs.out.write", resource) when { context.path like "final*" };"#,
    );
    // Where nobody can be asked, it is refused.
    let refused = run(&place, "return attempt(() => fs.out.write('final', 'x'))");
    assert_eq!(refused["code"], "approval_required", "{refused}");
    place.file("lockgate.toml", &format!("{MANIFEST}\n[approval]\nwait = \"60s\"\n"));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&place, "return [await attempt(() => fs.out.write('draft', 'x')), await attempt(() => fs.out.write('final', 'x'))]"));
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let question = loop {
            let listed = place.lockgate(&["approvals", "list"]);
            if let Some(question) = listed.json().as_array().and_then(|open| open.first()) {
                break question.clone();
            }
            assert!(std::time::Instant::now() < until, "nothing is asked: {listed:?}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        };
        assert!(question.to_string().contains("the rule `look` asks: is it finished?"), "{question}");
        assert!(!place.path("out/final").exists());
        place.lockgate(&["approvals", "approve", question["id"].as_str().expect("an id")]).value();
        assert_eq!(running.join().expect("it ends"), json!(["done", "done"]));
    });
    assert!(place.path("out/final").exists());
    place.verify();
}

#[test]
fn a16_check_warns_of_what_a_rule_probably_does_not_mean() {
    let place = place(
        "@id(\"night\") forbid(principal, action == Action::\"fs.out.write\", resource)\nwhen { context.agent == \"asistant\" || context.time.hour > 24 };",
    );
    let checked = place.plain(&["rules", "check", "--manifest", "lockgate.toml"]);
    assert_eq!(checked.status, 0, "{checked:?}");
    for words in ["rules.cedar:2:25: no session", "an agent `asistant`", "did you mean `assistant`?", "never 24"] {
        assert!(checked.stderr.contains(words), "`{words}` is not in {checked:?}");
    }
    let warnings =
        place.plain(&["rules", "check", "--manifest", "lockgate.toml", "--json"]).value()["warnings"].clone();
    assert_eq!((warnings.as_array().map(Vec::len), &warnings[0]["line"]), (Some(2), &json!(2)), "{warnings}");
}
