//! Errors in terms of the user's program.

use serde_json::json;

use crate::support::*;

fn fail(mode: u8, source: &str) -> Failure {
    Cell::new().start(&Start::new(mode, source)).failed().clone()
}

fn place(failure: &Failure) -> (Option<&str>, Option<u32>, Option<u32>) {
    (failure.file.as_deref(), failure.line, failure.column)
}

#[test]
fn n07_an_exception_names_the_users_file_line_and_column() {
    for mode in [0, 1, 2] {
        let failure = fail(mode, "function f() {\n  throw new RangeError('boom');\n}\nf();");
        assert_eq!((failure.name.as_str(), failure.message.as_str()), ("RangeError", "boom"));
        assert_eq!(place(&failure), (Some("main.ts"), Some(2), Some(13)), "mode {mode}: {failure:?}");
        assert!(
            failure.stack.contains("at f (main.ts:2:13)") && failure.stack.contains("main.ts:4:1)"),
            "{}",
            failure.stack
        );
    }
}

#[test]
fn n07_the_first_line_of_a_commonjs_module_has_its_columns() {
    assert_eq!(place(&fail(2, "   null.x")), (Some("main.ts"), Some(1), Some(4)));
    assert_eq!(place(&fail(2, "#!/usr/bin/env node\nnull.x")).1, Some(2));
}

#[test]
fn n07_a_syntax_error_has_a_place() {
    for mode in [0, 1, 2] {
        let failure = fail(mode, "let a = 1;\nlet b = ;");
        assert_eq!(failure.name, "SyntaxError");
        assert_eq!(place(&failure), (Some("main.ts"), Some(2), Some(9)), "mode {mode}: {failure:?}");
    }
    let failure =
        Cell::new().start(&Start::new(1, "import './dep.ts'").module("dep.ts", "\n\nconst = 1", ESM)).failed().clone();
    assert_eq!(place(&failure), (Some("dep.ts"), Some(3), Some(7)));
    let failure = Cell::new()
        .start(&Start::new(1, "import x from './d.json'").module("d.json", "{\n \"a\": nope}", JSON))
        .failed()
        .clone();
    assert_eq!(
        (failure.name.as_str(), failure.file.as_deref(), failure.line),
        ("SyntaxError", Some("d.json"), Some(2))
    );
}

#[test]
fn n07_a_missing_module_is_an_error_where_it_is_imported() {
    let failure = fail(1, "import a from 'node:path'\n");
    assert_eq!(failure.message, "cannot find module `node:path` imported by `main.ts`");
    assert_eq!(place(&failure), (Some("main.ts"), Some(1), Some(15)));
    let failure = fail(2, "\n  require('nope')");
    assert_eq!(failure.message, "cannot find module `nope` imported by `main.ts`");
    assert_eq!(place(&failure), (Some("main.ts"), Some(2), Some(11)));
}

#[test]
fn n07_anything_may_be_thrown() {
    for (source, name, message) in [
        ("throw 1", "ThrownValue", "1"),
        ("throw null", "ThrownValue", "null"),
        ("throw undefined", "ThrownValue", "undefined"),
        ("throw 'text'", "ThrownValue", "'text'"),
        ("throw Symbol('s')", "ThrownValue", "Symbol(s)"),
        ("throw {code: 5}", "ThrownValue", "{ code: 5 }"),
        ("throw () => 1", "ThrownValue", "[Function (anonymous)]"),
        ("throw {message: 'm'}", "Error", "m"),
        ("throw {name: 'N', message: 'm'}", "N", "m"),
        ("throw new Proxy({}, {get() { throw 1 }, ownKeys() { throw 2 }})", "ThrownValue", "{}"),
        ("throw {get message() { throw 1 }, get name() { throw 2 }, get stack() { throw 3 }}", "ThrownValue", ""),
        ("throw {toString() { throw 1 }}", "ThrownValue", "{ toString: [Function: toString] }"),
        ("class Mine extends Error { name = 'Mine' }; throw new Mine('x')", "Mine", "x"),
        ("throw Object.assign(new Error('x'), {name: 7, message: {}})", "Error", ""),
    ] {
        let failure = fail(0, source);
        assert_eq!(failure.name, name, "{source}: {failure:?}");
        if !message.is_empty() {
            assert_eq!(failure.message, message, "{source}");
        }
    }
}

#[test]
fn n07_messages_are_cut() {
    let failure = fail(0, "throw new Error('ü'.repeat(1e6))");
    assert!(failure.message.len() <= 8 * 1024 + 3 && failure.message.ends_with('…'));
    let failure = fail(0, "throw Object.assign(new Error(''), {name: 'x'.repeat(1e6)})");
    assert!(failure.name.len() < 200);
    let failure = fail(
        0,
        "const e = {message: 'm', stack: ('    at ' + 'x'.repeat(1e5) + ' (main.ts:1:1)\\n').repeat(100)}; throw e",
    );
    assert!(failure.stack.len() < 40_000, "{}", failure.stack.len());
}

#[test]
fn n07_the_stack_holds_no_frames_of_the_guest() {
    let failure = Cell::new()
        .start(&Start::new(2, "const f = () => { null.x };\nmodule.exports = () => [1].map(f)"))
        .failed()
        .clone();
    assert_eq!(place(&failure), (Some("main.ts"), Some(1), Some(19)));
    for line in failure.stack.lines() {
        assert!(line.contains("main.ts:"), "{}", failure.stack);
    }
    let failure = fail(0, "structuredClone(() => 1)");
    assert_eq!((failure.name.as_str(), place(&failure).0), ("DataCloneError", Some("main.ts")));
    assert!(!failure.stack.contains("lockgate:"), "{}", failure.stack);
}

#[test]
fn n07_a_refusal_uncaught_points_at_the_users_await() {
    let source = "async function load() {\n  const text = await lockgate.fs.data.read('/etc/passwd');\n}\nload()";
    let start = Start::new(0, source).grant("fs", "data", json!(null));
    let turn = Cell::new().run(&start, |_, _| Err(("path_outside", "the path leaves the directory")));
    let failure = turn.failed();
    assert_eq!((failure.name.as_str(), failure.message.as_str()), ("LockgateError", "the path leaves the directory"));
    assert_eq!((failure.file.as_deref(), failure.line), (Some("main.ts"), Some(2)), "{failure:?}");
}

#[test]
fn n07_an_unhandled_rejection_is_told_and_does_not_end_the_program() {
    let source = "Promise.reject(new Error('lost')); Promise.reject(1).catch(() => {}); 'done'";
    let turn = Cell::new().start(&Start::new(0, source).grant("log", "log", json!(null)));
    assert_eq!(turn.done(), json!("done"));
    assert_eq!(turn.lines(), [("warn".to_owned(), "unhandled rejection: Error: lost at main.ts:1:20".to_owned())]);
}

#[test]
fn n07_a_rejected_result_is_the_failure_and_is_not_told_twice() {
    let source = "(async () => { throw new Error('mine') })()";
    let turn = Cell::new().start(&Start::new(0, source).grant("log", "log", json!(null)));
    assert_eq!(turn.failed().message, "mine");
    assert_eq!(turn.lines(), []);
    let turn =
        Cell::new().start(&Start::new(1, "await null; throw new Error('mine')").grant("log", "log", json!(null)));
    assert_eq!((turn.failed().message.as_str(), turn.failed().line), ("mine", Some(1)));
    assert_eq!(turn.lines(), []);
}

#[test]
fn n07_a_program_that_waits_for_nothing_is_told_so() {
    for (mode, source) in [
        (0, "new Promise(() => {})"),
        (1, "await new Promise(() => {})"),
        (1, "export default () => new Promise(() => {})"),
    ] {
        let failure = fail(mode, source);
        assert_eq!(
            (failure.name.as_str(), failure.message.as_str()),
            ("DeadlockError", "the program waits for something that can never happen")
        );
    }
}

#[test]
fn n05_deep_recursion_is_an_exception() {
    let failure = fail(0, "const f = () => f() + 1; f()");
    assert_eq!((failure.name.as_str(), failure.line), ("RangeError", Some(1)));
    assert_eq!(eval("let n = 0; const f = () => { n++; f() }; try { f() } catch { n > 100 }"), json!(true));
    assert_eq!(fail(0, "JSON.parse('['.repeat(1e5))").name, "RangeError");
    assert_eq!(fail(0, &format!("{}1", "[".repeat(100_000))).name, "RangeError");
    assert_eq!(fail(0, "/(?:)/.test('') && new RegExp('('.repeat(1e5) + ')'.repeat(1e5))").line, Some(1));
}

#[test]
fn n07_malformed_messages_are_refused() {
    let guest = lockgate_guest_js::guest::Guest::init().unwrap();
    let good = Start::new(1, "1").input(json!([1, {"a": 2}])).grant("fs", "d", json!([1])).encode();
    for end in 0..good.len() {
        let mut out = Vec::new();
        lockgate_guest_js::turn::start(guest, good[..end].to_vec(), &mut out);
        assert_eq!(&out[..2], [0x83, 2], "cut at {end}");
    }
}
