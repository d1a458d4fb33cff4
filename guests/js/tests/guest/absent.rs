//! What was not granted does not exist.

use serde_json::json;

use crate::support::*;

#[test]
fn n04_a_cell_without_grants_has_nothing_to_reach_with() {
    let names = eval("['fetch', 'console', 'setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'process', 'require', 'module',
        'exports', 'Deno', 'Bun', 'std', 'os', 'print', 'load', 'scriptArgs', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', 'Worker',
        'XMLHttpRequest', 'WebSocket', 'navigator', 'gc', 'native', 'kit'].filter(name => name in globalThis)");
    assert_eq!(names, json!([]));
    assert_eq!(eval("Reflect.ownKeys(lockgate)"), json!([]));
    assert_eq!(eval("'timeout' in AbortSignal"), json!(false));
}

#[test]
fn n04_each_grant_brings_its_own_name_and_no_other() {
    for (kind, name, detail, global, member) in [
        ("fs", "data", json!(null), None, Some("fs")),
        ("http", "http", json!(null), Some("fetch"), None),
        ("kv", "store", json!(null), None, Some("kv")),
        ("tool", "srv", json!(["t"]), None, Some("tools")),
        ("cell", "cell", json!(null), None, Some("spawn")),
        ("parent", "parent", json!(null), None, Some("parent")),
        ("clock", "clock", json!(null), Some("setTimeout"), Some("clock")),
        ("random", "random", json!(null), None, Some("random")),
        ("log", "log", json!(null), Some("console"), None),
        ("endorse", "code", json!(null), None, Some("endorse")),
        ("declassify", "report", json!(null), None, Some("declassify")),
        ("sealed", "sealed", json!(null), None, Some("sealed")),
    ] {
        let source = "[['fetch', 'setTimeout', 'console'].filter(n => n in globalThis), Reflect.ownKeys(lockgate)]";
        let turn = Cell::new().start(&Start::new(0, source).grant(kind, name, detail));
        let expected = json!([global.into_iter().collect::<Vec<_>>(), member.into_iter().collect::<Vec<_>>()]);
        assert_eq!(turn.done(), expected, "{kind}");
    }
}

#[test]
fn n04_an_unknown_kind_of_handle_brings_nothing() {
    let turn = Cell::new().start(&Start::new(0, "Reflect.ownKeys(lockgate)").grant("quantum", "q", json!({})));
    assert_eq!(turn.done(), json!([]));
}

#[test]
fn n04_built_in_modules_follow_the_grants() {
    let source = "export default async () => { try { await import('node:fs/promises'); return true } catch (e) { return e.message } }";
    let turn = Cell::new().start(&Start::new(1, source));
    assert_eq!(turn.done(), json!("cannot find module `node:fs/promises` imported by `main.ts`"));
    let turn = Cell::new().start(&Start::new(1, source).grant("fs", "data", json!(null)));
    assert_eq!(turn.done(), json!(true));
}

#[test]
fn n04_call_sites_are_not_structured() {
    let source = "Error.prepareStackTrace = (e, sites) => sites; typeof new Error('x').stack";
    assert_eq!(eval(source), json!("string"));
}
