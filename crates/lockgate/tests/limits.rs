//! Every limit reached on purpose in a jailed worker, and every process killed: the host survives and says what ended the cell.

mod common;

use common::{Place, Ran};
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// Runs a script that must be ended by a limit, and then one that must not notice.
fn ends(script: &str, flags: &[&str], code: &str) {
    let place = Place::new();
    let error = place.eval(script, flags).error(3, code);
    assert!(error["hint"].is_string(), "{error}");
    // The journal says which limit it was, and the next run is as good as the first.
    let limits: Vec<Json> = place.entries_of("limit").iter().map(|entry| entry["body"]["limit"].clone()).collect();
    assert_eq!(limits, [json!(code)]);
    assert_eq!(place.eval("6 * 7", &[]).value(), 42);
    place.verify();
}

#[test]
fn n05_wall_time_ends_the_cell() {
    ends("lockgate.clock.sleep(1e9)", &["--limit", "wall=200ms"], "limit_wall");
    ends("new Promise(() => setInterval(() => {}, 10))", &["--limit", "wall=200ms"], "limit_wall");
}

#[test]
fn n05_processor_time_ends_the_cell_whatever_runs() {
    let cpu = ["--limit", "cpu=100ms"];
    for script in [
        "while (true);",
        "const p = Promise.resolve(); (function next() { p.then(next); })(); new Promise(() => {})",
        "(async () => { for await (const x of (async function* () { for (;;) yield 1; })()); })()",
        "/(a+)+$/.test('a'.repeat(40) + 'b')",
        "({ get x() { for (;;); } }).x",
        "[3, 2, 1].sort(() => { for (;;); })",
        "({ toJSON() { for (;;); } })",
        "new Proxy({}, { ownKeys() { for (;;); } })",
        "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)",
        "try { for (;;); } finally { for (;;); }",
        "Promise.resolve({ then() { for (;;); } })",
        "setTimeout(() => { for (;;); }); new Promise(() => {})",
        "class A { static { for (;;); } }",
        "`${{ [Symbol.toPrimitive]() { for (;;); } }}`",
    ] {
        let place = Place::new();
        place.eval(script, &cpu).error(3, "limit_cpu");
        place.verify();
    }
    ends("while (true);", &cpu, "limit_cpu");
}

#[test]
fn n05_memory_ends_the_cell() {
    let memory = ["--limit", "memory=16MiB"];
    ends("const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1));", &memory, "limit_memory");
    ends("const a = []; for (;;) a.push('x'.repeat(1e6).split(''));", &memory, "limit_memory");
    ends("const m = new Map(); for (let i = 0; ; i++) m.set(i, { i });", &memory, "limit_memory");
    // Swallowing the error changes nothing: a cell that ran out is ended.
    ends(
        "const a = []; try { for (;;) a.push(new Uint8Array(1 << 20)); } catch { a.length = 0; 'caught'; }",
        &memory,
        "limit_memory",
    );
}

#[test]
fn n05_recursion_is_a_range_error_that_can_be_caught() {
    let place = Place::new();
    let caught = "const n = work => { try { work(); return 'no'; } catch (e) { return e.name; } };
        [n(() => { (function f() { return f() + 1; })(); }), n(() => eval('('.repeat(1e5))), n(() => JSON.parse('['.repeat(1e5))),
         n(() => { const f = { get x() { return this.x; } }; f.x; }), n(() => 'a'.replace(/a/g, function f() { return 'a'.replace(/a/g, f); }))]";
    let names = place.eval(caught, &[]).value();
    assert_eq!(names, Json::from(vec!["RangeError"; 5]));
    assert_eq!(place.eval("(function f() { f(); })()", &[]).error(1, "program_failed")["name"], "RangeError");
    assert_eq!(place.eval("1", &["--limit", "stack=64KiB"]).value(), 1);
    // The parser that prepares programs recurses too, and in the worker.
    place.file("deep.js", &format!("export default {}1{};", "(".repeat(50_000), ")".repeat(50_000)));
    let deep = place.lockgate(&["run", "deep.js"]);
    assert!(deep.json()["ok"] == false || deep.status == 0, "{:?}", deep.status);
    assert_eq!(place.eval("2", &[]).value(), 2);
    place.verify();
}

#[test]
fn n05_output_ends_the_cell() {
    let output = ["--limit", "output=64KiB", "--quiet"];
    ends("for (let i = 0; i < 1000; i++) console.log('x'.repeat(1000));", &output, "limit_output");
    ends(
        "(async () => { for (;;) { console.log('x'.repeat(1000)); await lockgate.clock.sleep(0); } })()",
        &output,
        "limit_output",
    );
    ends("'x'.repeat(100000)", &output, "limit_output");
}

#[test]
fn n05_an_endless_flood_within_one_turn_ends_the_cell() {
    let place = Place::new();
    let ran = place.eval("for (;;) console.log('x'.repeat(1000));", &["--limit", "output=64KiB", "--quiet"]);
    let json = ran.json();
    let code = json["error"]["code"].as_str().expect("a code");
    assert!(ran.status == 3 && ["limit_output", "limit_memory", "limit_cpu"].contains(&code), "{ran:?}");
    assert_eq!(place.eval("1", &[]).value(), 1);
    place.verify();
}

#[test]
fn n05_crossings_in_total_end_the_cell() {
    let script = "(async () => { for (;;) await lockgate.random.bytes(1).catch(() => {}); })()";
    ends(script, &["--limit", "crossings=10"], "limit_crossings");
}

#[test]
fn n05_crossings_in_flight_are_refused_above_the_limit() {
    let place = Place::new();
    let script = "Promise.allSettled(Array.from({ length: 20 }, () => lockgate.clock.sleep(20)))
        .then(all => all.map(one => one.reason?.code ?? 'done'))";
    let codes = place.eval(script, &["--limit", "in_flight=4"]).value();
    let expected: Vec<&str> = (0..20).map(|n| if n < 4 { "done" } else { "limit_in_flight" }).collect();
    assert_eq!(codes, Json::from(expected));
    place.verify();
}

#[test]
fn n05_handles_and_children_are_refused_above_the_limit() {
    let place = Place::new();
    let script = "(async () => { const got = []; for (let i = 0; i < 5; i++)
        got.push(await lockgate.spawn('export default lockgate.clock.sleep(1e9)').then(() => 'child', e => e.code)); return got; })()";
    let with = |limit: &str| place.eval(script, &["--allow", "cell:8,3", "--limit", limit]).value();
    let (child, handles, children, refused) = ("child", "limit_handles", "limit_children", "spawn_refused");
    assert_eq!(with("handles=3"), json!([child, child, child, handles, handles]));
    assert_eq!(with("children=2"), json!([child, child, children, children, children]));
    let few = place.eval(script, &["--allow", "cell:2,3"]).value();
    assert_eq!(few, json!([child, child, refused, refused, refused]));
    place.verify();
}

#[test]
fn n05_results_that_the_gate_holds_are_bounded() {
    let place = Place::new();
    std::fs::create_dir(place.path("d")).expect("made");
    std::fs::write(place.path("d/big"), vec![0; 3 << 20]).expect("written");
    let read = "Promise.allSettled(Array.from({ length: 24 }, () => lockgate.fs.d.read('big')))
        .then(all => all.map(one => one.reason?.code ?? one.value.length))";
    let flags = |buffers: &'static str| ["--allow", "fs:d=d:read", "--limit", "memory=512MiB", "--limit", buffers];
    let codes = place.eval(read, &flags("buffers=16MiB")).value();
    let of = |what: &Json| codes.as_array().expect("a list").iter().filter(|code| *code == what).count();
    // Each is handed over or refused, and the program goes on either way.
    assert_eq!(of(&json!(3 << 20)) + of(&json!("limit_buffers")), 24, "{codes}");
    assert!(of(&json!(3 << 20)) >= 5, "{codes}");
    let none = place.eval("lockgate.fs.d.read('big').catch(error => error.code)", &flags("buffers=1MiB"));
    assert_eq!(none.value(), "too_large");
    place.verify();
}

#[test]
fn n05_depth_is_refused_below_the_limit() {
    let place = Place::new();
    // Each generation is given its own source, so that it can start the next one.
    let source = "
        const self = \"export default async ({ self, n }) => { try { const c = await lockgate.spawn(self, { input: { self, n: n + 1 }, grants: [{ kind: 'cell' }] }); return await c.result(); } catch (e) { return [n, e.code]; } }\";
        export default async () => (await lockgate.spawn(self, { input: { self, n: 1 }, grants: [{ kind: 'cell' }] })).result();";
    assert_eq!(
        place.program(source, &["--allow", "cell:8,3", "--limit", "depth=2"]).value(),
        json!([2, "limit_depth"])
    );
    assert_eq!(
        place.program(source, &["--allow", "cell:8,2", "--limit", "depth=3"]).value(),
        json!([2, "spawn_refused"])
    );
    place.verify();
}

/// A child that computes for about as long each time it is started: its clock stands still in a turn.
const BUSY: &str = "export default () => { for (let i = 0; i < 4e6; i++); return 'done'; }";

#[test]
fn a14_processor_time_of_children_is_used_of_their_parents() {
    let place = Place::new();
    let eval = |place: &Place, script: &str, cpu_ms: u64| {
        let cpu = format!("cpu={cpu_ms}ms");
        place.eval(script, &["--allow", "cell:20,3", "--limit", &cpu, "--limit", "wall=60s"])
    };
    let used =
        |place: &Place| place.entries_of("note").iter().filter_map(|entry| entry["body"]["cpu_us"].as_u64()).max();
    let children = |count: u32| {
        format!(
            "(async () => {{ const got = []; for (let i = 0; i < {count}; i++)
                got.push(await (await lockgate.spawn({BUSY:?})).result()); return got; }})()"
        )
    };
    assert_eq!(eval(&place, &children(1), 60_000).value(), json!(["done"]));
    let one_ms = used(&place).expect("the journal says what each used") / 1000;
    assert!(one_ms > 5, "{one_ms} ms are too few to measure");
    assert_eq!(
        eval(&place, &children(6), 60 * one_ms).value(),
        json!(["done", "done", "done", "done", "done", "done"])
    );
    // Each of them is well within what its parent has, all together are not.
    let error = eval(&place, &children(12), 4 * one_ms).error(3, "limit_cpu");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("child cells")), "{error}");
    // What a grandchild uses is used of all above.
    let below = format!(
        "export default async () => {{ for (let i = 0; i < 12; i++) await (await lockgate.spawn({BUSY:?})).result(); }}"
    );
    let deep =
        format!("(async () => (await lockgate.spawn({below:?}, {{ grants: [{{ kind: 'cell' }}] }})).result())()");
    eval(&place, &deep, 4 * one_ms).error(3, "limit_cpu");
    place.verify();
}

#[test]
fn a14_a_child_that_runs_out_by_itself_leaves_its_parent_the_rest() {
    let place = Place::new();
    let script = "(async () => { const got = []; for (let i = 0; i < 2; i++) {
        const child = await lockgate.spawn('export default () => { for (;;); }', { limits: { cpu: '100ms' } });
        got.push(await child.result().catch(error => error.code)); } return got; })()";
    let flags = ["--allow", "cell:8,3", "--limit", "cpu=2s"];
    assert_eq!(place.eval(script, &flags).value(), json!(["child_failed", "child_failed"]));
    place.verify();
}

#[test]
fn a14_starting_and_stopping_children_brings_no_processor_time() {
    let place = Place::new();
    let script = "(async () => { const got = []; for (let i = 0; i < 12; i++) {
        const child = await lockgate.spawn('export default () => { for (;;); }');
        await lockgate.clock.sleep(5); await child.stop(); got.push(i); } return got; })()";
    let began = std::time::Instant::now();
    let ran = place.eval(script, &["--allow", "cell:20,3", "--limit", "cpu=500ms", "--limit", "wall=30s"]);
    // The first of them goes on for as long as it may, and the others get nothing. Without one account it would be 12 times 500 ms.
    let took = began.elapsed();
    assert!(took.as_secs() < 5, "{took:?}: {ran:?}");
    place.verify();
}

// Kills

/// A run whose first line on standard error has been seen.
fn started(place: &Place, program: &str, flags: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    place.file("program.js", program);
    let journal = place.journal();
    let mut arguments = vec!["run", "program.js", "--json", "--journal", journal.to_str().expect("text")];
    arguments.extend(flags);
    let mut child =
        place.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("standard error is text");
    assert_eq!(line, "waiting\n");
    (child, stderr)
}

/// The processes below `pid` that have no children of their own: its workers.
fn leaves(pid: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let parent = fields.split_whitespace().nth(1).and_then(|parent| parent.parse::<u32>().ok());
        parents.push((pid, parent.unwrap_or(0)));
    }
    let children = |of: u32| parents.iter().filter(move |(_, parent)| *parent == of).map(|(pid, _)| *pid);
    let mut leaves = Vec::new();
    let mut waiting: Vec<u32> = children(pid).collect();
    while let Some(pid) = waiting.pop() {
        if children(pid).next().is_none() {
            leaves.push(pid);
        }
        waiting.extend(children(pid));
    }
    leaves
}

fn kill(pid: u32) {
    let killed =
        std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("`kill` is there");
    assert!(killed.success());
}

#[test]
fn w01_j01_a_killed_worker_ends_its_cell_and_not_the_gate() {
    let place = Place::new();
    let program = "export default async () => { await lockgate.fs.out.write('before.txt', 'x'); console.log('waiting'); await lockgate.clock.sleep(60000); }";
    let (child, stderr) = started(&place, program, &["--allow", "fs:out=.:write"]);
    let workers = leaves(child.id());
    assert_eq!(workers.len(), 1, "one worker is expected");
    kill(workers[0]);
    let ran = Ran::from(child.wait_with_output().expect("the gate ends"));
    drop(stderr);
    ran.trouble(4, "worker_lost", &[]);
    assert!(ran.json()["head"].is_string(), "the session was closed: {ran:?}");
    assert_eq!(place.read("before.txt"), "x");
    place.verify();
    assert_eq!(place.entries_of("end").len(), 1);
}

#[test]
fn a07_j01_a_killed_gate_loses_no_record_of_an_effect() {
    let place = Place::new();
    std::fs::create_dir(place.path("out")).expect("made");
    let program = "export default async () => { console.log('waiting'); for (let i = 0; ; i++) await lockgate.fs.out.write(`f${i}`, 'x'); }";
    for round in 0..3 {
        let (mut child, _stderr) =
            started(&place, program, &["--allow", "fs:out=out:write", "--limit", "crossings=100000"]);
        // Once some effects of this round are there, in the middle of the next one.
        let marker = place.path("out").join(format!("f{}", 5 + round * 7));
        while !marker.exists() {
            std::thread::yield_now();
        }
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        place.verify();
        let entries = place.entries();
        let intents: Vec<&str> = entries
            .iter()
            .filter(|entry| entry["kind"] == "intent")
            .filter_map(|entry| entry["body"]["args"]["path"].as_str())
            .collect();
        let (mut files, mut halves) = (0, 0);
        for file in std::fs::read_dir(place.path("out")).expect("listed").flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            // A write is a rename of a file that is complete; the one under way may be left behind, under no granted name.
            if name.starts_with(".lockgate-") && name.ends_with(".tmp") {
                halves += 1;
                std::fs::remove_file(file.path()).expect("removed");
                continue;
            }
            assert!(intents.contains(&name.as_str()), "`{name}` was written without a record");
            assert_eq!(std::fs::read_to_string(file.path()).expect("text"), "x", "half a file is no file");
            files += 1;
            std::fs::remove_file(file.path()).expect("removed");
        }
        assert!(files > 5 && halves <= 1, "{files} files, {halves} unfinished");
    }
    // The journal goes on from there.
    assert_eq!(place.eval("1", &[]).value(), 1);
    place.verify();
}
