//! Approvals through the real program: a call waits in one process and is answered from another.

mod common;

use common::client::{Client, node};
use common::{Place, Ran};
use serde_json::{Value as Json, json};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const MANIFEST: &str = r#"
agent = "writer"
[approval]
wait = "60s"
[fs.out]
path = "out"
allow = ["write", "read"]
approval = true
[fs.free]
path = "free"
allow = ["write", "read"]
"#;

/// What every program here begins with.
const PRELUDE: &str = "const { fs } = lockgate;\n\
    const attempt = async (what) => { try { return await what } catch (e) { return { code: e.code, message: e.message, hint: e.hint } } };\n";

fn place(manifest: &str) -> Place {
    let place = Place::new();
    place.file("out/keep", "");
    place.file("free/keep", "");
    place.file("lockgate.toml", manifest);
    place
}

/// A run that goes on beside the test.
struct Running {
    child: Option<Child>,
}

impl Running {
    fn start(place: &Place, body: &str, flags: &[&str]) -> Running {
        place.file("program.mjs", &format!("{PRELUDE}export default async () => {{ {body} }}"));
        let journal = place.journal();
        let journal = journal.to_str().expect("temporary paths are text");
        let mut all = vec!["run", "program.mjs", "--manifest", "lockgate.toml", "--json", "--journal", journal];
        all.extend(flags);
        let mut command = place.command(&all);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        Running { child: Some(child) }
    }

    fn end(mut self) -> Ran {
        Ran::from(self.child.take().expect("it runs").wait_with_output().expect("it ends"))
    }

    fn kill(mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn questions(place: &Place, flags: &[&str]) -> Vec<Json> {
    let mut all = vec!["approvals", "list"];
    all.extend(flags);
    let listed = place.lockgate(&all);
    assert_eq!(listed.status, 0, "{listed:?}");
    serde_json::from_str(&listed.stdout).expect("a list")
}

/// Waits until so many questions are open.
fn open(place: &Place, count: usize) -> Vec<Json> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let open = questions(place, &[]);
        if open.len() == count {
            return open;
        }
        assert!(Instant::now() < until, "{} questions are open, not {count}: {open:?}", open.len());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn id(question: &Json) -> &str {
    question["id"].as_str().expect("an id")
}

fn approve(place: &Place, question: &Json) -> Json {
    place.lockgate(&["approvals", "approve", id(question)]).value()
}

fn states(place: &Place) -> Vec<Json> {
    place.entries_of("approval").iter().map(|entry| entry["body"]["state"].clone()).collect()
}

#[test]
fn a12_an_approved_call_is_done_and_the_journal_tells_all_of_it() {
    let place = place(MANIFEST);
    let run = Running::start(&place, "await fs.out.write('a.txt', 'hello'); return 'written'", &[]);
    let question = open(&place, 1).remove(0);
    assert!(!place.path("out/a.txt").exists());
    assert_eq!((&question["principal"], &question["point"]), (&json!("agent:writer"), &json!("fs.out")));
    assert_eq!((&question["op"], &question["args"]["path"]), (&json!("write"), &json!("a.txt")));
    let answered = place.lockgate(&["approvals", "approve", id(&question), "--note", "go on", "--as", "alice"]).value();
    assert_eq!((&answered["state"], &answered["by"]), (&json!("approved"), &json!("operator:alice")));
    assert_eq!(answered["digest"], question["digest"]);
    assert_eq!(answered["args"], question["args"], "what was approved is printed");
    assert_eq!(run.end().value(), "written");
    assert_eq!(place.read("out/a.txt"), "hello");
    assert!(questions(&place, &[]).is_empty());
    assert_eq!(questions(&place, &["--all"])[0]["state"], "approved");

    let approvals = place.entries_of("approval");
    let (asked, approved) = (&approvals[0]["body"], &approvals[1]["body"]);
    assert_eq!((&asked["state"], &approved["state"]), (&json!("asked"), &json!("approved")));
    assert_eq!((&approved["by"], &approved["note"]), (&json!("operator:alice"), &json!("go on")));
    assert_eq!(approved["of"], approvals[0]["serial"]);
    let intents = place.entries_of("intent");
    assert_eq!(intents[0]["body"]["approval"], approvals[1]["serial"]);
    place.verify();

    let journal = place.journal();
    let shown = place.plain(&["journal", "show", "--journal", journal.to_str().expect("text")]);
    assert!(shown.stdout.contains("asked fs.out write"), "{shown:?}");
    assert!(shown.stdout.contains("approved by operator:alice: go on"), "{shown:?}");
    let serial = intents[0]["serial"].to_string();
    let explained = place.lockgate(&["explain", "--serial", &serial]).value();
    assert_eq!(explained["decided"]["allowed"], true, "{explained}");
    let remarks = explained["remarks"].to_string();
    assert!(remarks.contains("operator:alice") && remarks.contains("approval"), "{remarks}");
}

#[test]
fn a12_a_no_refuses_the_call_and_the_program_goes_on() {
    let place = place(MANIFEST);
    let run = Running::start(&place, "return attempt(fs.out.write('a.txt', 'x'))", &[]);
    let question = open(&place, 1).remove(0);
    let denied = place.lockgate(&["approvals", "deny", id(&question), "--note", "not today"]).value();
    assert_eq!(denied["state"], "denied");
    assert_eq!(run.end().value()["code"], "approval_denied");
    assert!(!place.path("out/a.txt").exists());
    assert_eq!(states(&place), [json!("asked"), json!("denied")]);
    assert_eq!(place.entries_of("refusal")[0]["body"]["code"], "approval_denied");
    place.verify();
}

#[test]
fn a12_a_time_out_denies() {
    let place = place(&MANIFEST.replace("60s", "1s"));
    let run = Running::start(&place, "return attempt(fs.out.write('a.txt', 'x'))", &[]);
    let question = open(&place, 1).remove(0);
    assert_eq!(run.end().value()["code"], "approval_timed_out");
    assert!(!place.path("out/a.txt").exists());
    let late = place.lockgate(&["approvals", "approve", id(&question)]);
    late.trouble(1, "question_closed", &["has run out"]);
    assert_eq!(states(&place), [json!("asked"), json!("timed_out")]);
}

#[test]
fn a12_an_answer_for_another_action_is_refused() {
    let place = place(MANIFEST);
    let run = Running::start(&place, "await fs.out.write('a.txt', 'x'); return 'done'", &[]);
    let question = open(&place, 1).remove(0);
    let other = "0".repeat(64);
    let drift = place.lockgate(&["approvals", "approve", id(&question), "--digest", &other]);
    drift.trouble(1, "approval_drift", &["is about the action", &other]);
    let malformed = place.lockgate(&["approvals", "approve", id(&question), "--digest", "9c2f"]);
    malformed.trouble(2, "misconfigured", &["is not a digest"]);
    assert_eq!(open(&place, 1).len(), 1, "the question is still open");
    let digest = question["digest"].as_str().expect("a digest");
    place.lockgate(&["approvals", "approve", id(&question), "--digest", digest]).value();
    assert_eq!(run.end().value(), "done");
}

#[test]
fn a12_one_approval_is_for_one_call() {
    let place = place(MANIFEST);
    let body = "const once = () => fs.out.write('a.txt', 'x', { append: true });\n\
                await once(); return attempt(once())";
    let run = Running::start(&place, body, &[]);
    let first = open(&place, 1).remove(0);
    approve(&place, &first);
    let again = place.lockgate(&["approvals", "approve", id(&first)]);
    again.trouble(1, "question_closed", &["was approved before"]);
    let until = Instant::now() + Duration::from_secs(30);
    let second = loop {
        match open(&place, 1).pop() {
            Some(question) if question["id"] != first["id"] => break question,
            _ => assert!(Instant::now() < until),
        }
    };
    assert_eq!(second["digest"], first["digest"], "the same action, asked about again");
    place.lockgate(&["approvals", "deny", id(&second)]).value();
    assert_eq!(run.end().value()["code"], "approval_denied");
    assert_eq!(place.read("out/a.txt"), "x");
}

#[test]
fn a12_an_agent_cannot_approve() {
    let place = place(MANIFEST);
    let run = Running::start(&place, "return attempt(fs.out.write('a.txt', 'x'))", &[]);
    let question = open(&place, 1).remove(0);
    let nothing = place.lockgate(&["approvals", "approve", id(&question), "--endorse"]);
    nothing.trouble(2, "misconfigured", &["not about where a value comes from"]);
    for name in ["agent:writer", "cell:writer/child", "external:client"] {
        let refused = place.lockgate(&["approvals", "approve", id(&question), "--as", name]);
        refused.trouble(1, "not_an_approver", &[name]);
    }
    place.lockgate(&["approvals", "approve", id(&question), "--as", "a b"]).trouble(
        2,
        "misconfigured",
        &["not a name"],
    );
    place.lockgate(&["approvals", "deny", id(&question)]).value();
    assert_eq!(run.end().value()["code"], "approval_denied");
}

#[test]
fn a12_the_questions_of_a_gate_that_was_killed_are_closed() {
    let place = place(MANIFEST);
    let run = Running::start(&place, "return attempt(fs.out.write('a.txt', 'x'))", &[]);
    let question = open(&place, 1).remove(0);
    run.kill();
    let until = Instant::now() + Duration::from_secs(30);
    while !questions(&place, &[]).is_empty() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(questions(&place, &["--all"])[0]["state"], "gone");
    place.lockgate(&["approvals", "approve", id(&question)]).trouble(
        1,
        "question_closed",
        &["the gate that asked is gone"],
    );
    // The next gate is as good as the first.
    let run = Running::start(&place, "await fs.out.write('a.txt', 'x'); return 'done'", &[]);
    let question = open(&place, 1).remove(0);
    approve(&place, &question);
    assert_eq!(run.end().value(), "done");
    place.verify();
}

#[test]
fn a12_a_budget_that_was_used_up_while_a_call_waited_refuses_it_though_approved() {
    let place = place(&MANIFEST.replace("approval = true", "approval = true\ncalls = 1"));
    let body = "const [a, b] = [attempt(fs.out.write('a.txt', 'x')), attempt(fs.out.write('b.txt', 'x'))];\n\
                return [(await a)?.code ?? null, (await b)?.code ?? null]";
    let run = Running::start(&place, body, &[]);
    let both = open(&place, 2);
    for question in &both {
        approve(&place, question);
    }
    let mut codes: Vec<Json> = run.end().value().as_array().expect("two").clone();
    codes.sort_by_key(Json::is_null);
    assert_eq!(codes, [json!("budget_calls"), Json::Null]);
    assert!(place.path("out/a.txt").exists() != place.path("out/b.txt").exists());
}

#[test]
fn a12_a_cell_waits_longer_than_its_wall_time() {
    let place = place(MANIFEST);
    // After the answer its time goes on: two seconds, of which it has not yet slept one.
    let body = "await fs.out.write('a.txt', 'x'); await lockgate.clock.sleep(500); await fs.free.write('b.txt', 'y');\n\
                await lockgate.clock.sleep(60000); return 'never'";
    let run = Running::start(&place, body, &["--limit", "wall=2s"]);
    let question = open(&place, 1).remove(0);
    std::thread::sleep(Duration::from_millis(3000));
    assert_eq!(open(&place, 1), std::slice::from_ref(&question));
    approve(&place, &question);
    let ran = run.end();
    ran.error(3, "limit_wall");
    assert_eq!((place.read("out/a.txt"), place.read("free/b.txt")), ("x".to_owned(), "y".to_owned()));
}

#[test]
fn a12_a_parent_lives_while_its_child_waits_for_an_approver() {
    let place = place(&format!("{MANIFEST}[cell]\n"));
    let body = "const child = await lockgate.spawn(`export default async () => { await lockgate.fs.out.write('a.txt', 'x'); \
                return 'child' }`, { grants: [{ kind: 'fs', name: 'out' }] });\n return child.result()";
    let run = Running::start(&place, body, &["--limit", "wall=2s"]);
    let question = open(&place, 1).remove(0);
    assert_eq!(question["principal"], "cell:writer/child");
    std::thread::sleep(Duration::from_millis(2500));
    approve(&place, &question);
    assert_eq!(run.end().value(), "child");
    assert_eq!(place.read("out/a.txt"), "x");
}

#[test]
fn a12_what_a_program_no_longer_waits_for_is_withdrawn() {
    let place = place(MANIFEST);
    let run =
        Running::start(&place, "attempt(fs.out.write('a.txt', 'x')); await lockgate.clock.sleep(1500); return 1", &[]);
    let question = open(&place, 1).remove(0);
    assert_eq!(run.end().value(), 1);
    assert!(questions(&place, &[]).is_empty());
    let late = place.lockgate(&["approvals", "approve", id(&question)]);
    late.trouble(1, "question_closed", &["withdrawn"]);
    assert_eq!(states(&place), [json!("asked"), json!("withdrawn")]);
    assert!(!place.path("out/a.txt").exists());
    place.verify();
}

#[test]
fn m06_without_an_approver_nobody_is_asked() {
    let place = place(&MANIFEST.replace("[approval]\nwait = \"60s\"\n", ""));
    let refused = Running::start(&place, "return attempt(fs.out.write('a.txt', 'x'))", &[]).end().value();
    assert_eq!(refused["code"], "approval_required");
    assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("[approval]")), "{refused}");
    assert!(questions(&place, &["--all"]).is_empty());
    let flags = ["explain", "--manifest", "lockgate.toml", "fs.out", "write", "a.txt"];
    let explained = || place.plain(&[&flags[..], &["--json"]].concat()).json()["value"].clone();
    let refused_now = explained();
    assert_eq!((&refused_now["code"], &refused_now["approval"]), (&json!("approval_required"), &Json::Null));
    place.file("lockgate.toml", MANIFEST);
    assert_eq!(explained()["approval"]["wait_ms"], 60_000);
    let told = place.plain(&flags);
    assert!(told.stdout.contains("lockgate approvals"), "{told:?}");
}

#[test]
fn a12_the_words_of_who_asks_cannot_pose_as_the_tools_own() {
    let place = place(MANIFEST);
    let body = "await attempt(fs.out.write('a.txt', 'x\\u001b[2J\\nstate      approved\\n\\u202edetag')); return 1";
    let run = Running::start(&place, body, &[]);
    let question = open(&place, 1).remove(0);
    let journal = place.journal();
    let shown = place.plain(&["approvals", "show", id(&question), "--journal", journal.to_str().expect("text")]);
    assert!(!shown.stdout.contains('\u{1b}') && !shown.stdout.contains('\u{202e}'), "{shown:?}");
    let states: Vec<&str> = shown.stdout.lines().filter(|line| line.starts_with("state")).collect();
    assert_eq!(states, ["state      open"], "{shown:?}");
    let listed = place.plain(&["approvals", "--journal", journal.to_str().expect("text")]);
    assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
    place.lockgate(&["approvals", "deny", id(&question)]).value();
    assert_eq!(run.end().value(), 1);
}

#[test]
fn a12_unknown_questions_are_an_error_with_the_next_step() {
    let place = place(MANIFEST);
    for name in ["3f2a9c01-17", "nonsense", "17", ""] {
        let refused = place.lockgate(&["approvals", "approve", name]);
        refused.trouble(2, "not_found", &["there is no question", name]);
    }
    assert!(!place.path("control.sqlite").exists(), "asking makes no file");
    let listed = place.plain(&["approvals", "--journal", place.journal().to_str().expect("text")]);
    assert_eq!((listed.status, listed.stdout.as_str()), (0, "no open questions\n"), "{listed:?}");
}

#[test]
fn a12_watch_follows_what_is_asked_and_answered() {
    let place = place(MANIFEST);
    let journal = place.journal();
    let flags = ["approvals", "watch", "--idle", "3000", "--json", "--journal", journal.to_str().expect("text")];
    let watch = place.command(&flags).stdout(Stdio::piped()).spawn().expect("the program starts");
    let run = Running::start(&place, "await fs.out.write('a.txt', 'x'); return 'done'", &[]);
    let question = open(&place, 1).remove(0);
    std::thread::sleep(Duration::from_millis(600));
    approve(&place, &question);
    assert_eq!(run.end().value(), "done");
    let told = Ran::from(watch.wait_with_output().expect("it ends"));
    let states: Vec<Json> =
        told.stdout.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON")["state"].clone()).collect();
    assert_eq!(states, [json!("open"), json!("approved")], "{told:?}");
}

/// A tool server that says what it was told.
fn tool_server() -> String {
    let script = "process.stdin.on('data', (data) => { for (const line of String(data).trim().split('\\n')) { \
                  const { id, method, params } = JSON.parse(line); \
                  const say = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result })); \
                  if (method === 'initialize') say({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, \
                  serverInfo: { name: 'd', version: '0' } }); \
                  else if (method === 'tools/list') say({ tools: [{ name: 'pay', inputSchema: { type: 'object' } }] }); \
                  else if (method === 'tools/call') say({ content: [{ type: 'text', text: 'paid ' + params.arguments.to }] }); \
                  else if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'no' } })); \
                  } });";
    let command = Json::from(vec![node(), "-e".to_owned(), script.to_owned()]);
    format!("[approval]\nwait = \"60s\"\n[tool.bank]\ncommand = {command}\ntools = [\"pay\"]\n")
}

#[test]
fn a12_the_call_of_a_caller_waits_too() {
    let manifest =
        format!("{}[tool.bank.from.pay]\nto = {{ any = [\"prompt\"], otherwise = \"ask\" }}\n", tool_server());
    let place = place(&manifest);
    place.file("prompt.txt", "pay alice");
    let mut client = Client::start(&place, &["--prompt", "prompt.txt", "--quiet"]).handshake();
    let pay = |to: &str| json!({"name": "bank__pay", "arguments": {"to": to}});
    let text = |answer: &Json| answer["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    // What comes from the prompt needs none.
    let paid = client.ask("tools/call", pay("alice"));
    assert_eq!(text(&paid), "paid alice");
    let mut asks_progress = pay("bob");
    asks_progress["_meta"] = json!({"progressToken": "p"});
    let waits = client.begin("tools/call", asks_progress);
    let question = open(&place, 1).remove(0);
    let progress = client.hear(|message| message["method"] == "notifications/progress");
    assert_eq!(progress["params"]["progressToken"], "p");
    assert!(progress["params"]["message"].as_str().is_some_and(|words| words.contains("approval")), "{progress}");
    assert_eq!(question["principal"], "external:tester");
    let reasons = question["reasons"].to_string();
    assert!(reasons.contains("`/to`") && reasons.contains("does not come from prompt"), "{reasons}");
    approve(&place, &question);
    let paid = client.answer(waits);
    assert_eq!(text(&paid), "paid bob");
    // Denied, and given up.
    let waits = client.begin("tools/call", pay("mallory"));
    let question = open(&place, 1).remove(0);
    place.lockgate(&["approvals", "deny", id(&question)]).value();
    let refused = client.answer(waits);
    assert_eq!(refused["result"]["structuredContent"]["error"]["code"], "approval_denied", "{refused}");
    let waits = client.begin("tools/call", pay("carol"));
    open(&place, 1);
    client.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": waits}}));
    open(&place, 0);
    // And open when the client goes.
    client.begin("tools/call", pay("dave"));
    open(&place, 1);
    assert_eq!(client.end(), 0);
    assert!(questions(&place, &[]).is_empty());
    let states: Vec<Json> = questions(&place, &["--all"]).iter().map(|question| question["state"].clone()).collect();
    assert_eq!(states, [json!("approved"), json!("denied"), json!("withdrawn"), json!("withdrawn")]);
    place.verify();
}

#[test]
fn a12_an_approver_can_trust_a_value_for_the_session() {
    let manifest =
        format!("{}[tool.bank.from.pay]\nto = {{ any = [\"prompt\"], otherwise = \"ask\" }}\n", tool_server());
    let place = place(&manifest);
    place.file("prompt.txt", "pay alice");
    let mut client = Client::start(&place, &["--prompt", "prompt.txt", "--quiet"]).handshake();
    let pay = |to: &str| json!({"name": "bank__pay", "arguments": {"to": to}});
    let waits = client.begin("tools/call", pay("bob@example.com"));
    let question = open(&place, 1).remove(0);
    assert_eq!(question["origins"], json!(["bob@example.com"]));
    let answered = place.lockgate(&["approvals", "approve", id(&question), "--endorse"]).value();
    assert_eq!(answered["endorses"], true);
    client.answer(waits);
    // Neither asked about again, nor is anything else let through.
    let again = client.ask("tools/call", pay("bob@example.com"));
    assert_eq!(again["result"]["content"][0]["text"], "paid bob@example.com");
    let waits = client.begin("tools/call", pay("bob@example.org"));
    let question = open(&place, 1).remove(0);
    place.lockgate(&["approvals", "deny", id(&question)]).value();
    client.answer(waits);
    assert_eq!(client.end(), 0);
    let receipts = place.entries_of("receipt");
    assert_eq!(receipts.len(), 1, "{receipts:?}");
    assert_eq!(
        (&receipts[0]["body"]["endorsed"], &receipts[0]["body"]["by"]),
        (&json!("prompt"), &json!("operator:operator"))
    );
    assert_eq!(receipts[0]["body"]["value"], "bob@example.com");
    place.verify();
}

#[test]
fn a12_nothing_open_is_an_empty_list() {
    let place = place(MANIFEST);
    assert_eq!(place.lockgate(&["approvals"]).stdout.trim(), "[]");
    assert_eq!(place.lockgate(&["approvals", "list", "--all"]).stdout.trim(), "[]");
}

#[test]
fn a05_a_question_ends_when_its_grant_is_revoked() {
    let place = place(MANIFEST);
    let run = Running::start(
        &place,
        "const first = await attempt(fs.out.write('a.txt', 'x')); await fs.free.write('b', 'x'); return first",
        &[],
    );
    let question = open(&place, 1).remove(0);
    let session = id(&question).split('-').next().expect("a session").to_owned();
    let revoked = place.lockgate(&["grant", "revoke", "--session", &session, "--grant", "fs.out"]);
    assert_eq!(revoked.status, 0, "{revoked:?}");
    let value = run.end().value();
    assert_eq!(value["code"], "revoked", "{value}");
    assert!(!place.path("out/a.txt").exists() && place.path("free/b").exists());
    assert_eq!(questions(&place, &["--all"])[0]["state"], "revoked");
    assert_eq!(states(&place), ["asked", "void"]);
    place.lockgate(&["approvals", "approve", id(&question)]).trouble(1, "question_closed", &["the grant was revoked"]);
    place.verify();
}
