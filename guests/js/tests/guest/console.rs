//! `console`, and how values look.

use serde_json::json;

use crate::support::*;

#[track_caller]
fn shows(expression: &str, expected: &str) {
    assert_eq!(printed(&format!("console.log({expression})")), expected, "{expression}");
}

#[test]
fn n20_console_levels_are_requests_without_an_answer() {
    let source = "console.log('a', 1); console.info('i'); console.warn('w'); console.error('e'); console.debug('d'); console.assert(true, 'no'); console.assert(false, 'yes', 1); 1";
    let turn = Cell::new().start(&Start::new(0, source).grant("log", "log", json!(null)));
    let expected = [
        ("log", "a 1"),
        ("info", "i"),
        ("warn", "w"),
        ("error", "e"),
        ("debug", "d"),
        ("error", "Assertion failed: yes 1"),
    ];
    assert_eq!(turn.lines(), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert!(turn.requests.iter().all(|request| request.id == 0 && request.handle == 1));
}

#[test]
fn n20_values_are_shown_as_node_shows_them() {
    for (expression, expected) in [
        ("1, -0, 1n, true, null, undefined, 'text'", "1 -0 1n true null undefined text"),
        ("['a', \"it's\", `q\"'`]", "[ 'a', \"it's\", `q\"'` ]"),
        ("{a: 1, 'b-c': 'x', [Symbol('s')]: 2, 3: 4}", "{ '3': 4, a: 1, 'b-c': 'x', [Symbol(s)]: 2 }"),
        ("{}", "{}"),
        ("[]", "[]"),
        ("[1, , 3, undefined]", "[ 1, <1 empty item>, 3, undefined ]"),
        ("{a: {b: {c: {d: 1}}}}", "{ a: { b: { c: [Object] } } }"),
        ("{a: {b: {c: {}}}}", "{ a: { b: { c: {} } } }"),
        ("[[[[1]]]]", "[ [ [ [Array] ] ] ]"),
        ("new Map([['k', {a: 1}]])", "Map(1) { 'k' => { a: 1 } }"),
        ("new Set([1, 'x'])", "Set(2) { 1, 'x' }"),
        ("new Uint8Array([1, 2])", "Uint8Array(2) [ 1, 2 ]"),
        ("new ArrayBuffer(3)", "ArrayBuffer { byteLength: 3 }"),
        (
            "function f() {}, class A {}, () => 1, async () => {}",
            "[Function: f] [class A] [Function (anonymous)] [AsyncFunction (anonymous)]",
        ),
        ("new Date(0), new Date(NaN), /x/g, Symbol('s')", "1970-01-01T00:00:00.000Z Invalid Date /x/g Symbol(s)"),
        ("new (class Point { constructor() { this.x = 1 } })", "Point { x: 1 }"),
        ("Object.create(null, {a: {value: 1, enumerable: true}})", "[Object: null prototype] { a: 1 }"),
        (
            "{get a() { throw 1 }, set b(v) {}, get c() { return 1 }, set c(v) {}}",
            "{ a: [Getter], b: [Setter], c: [Getter/Setter] }",
        ),
        (
            "Promise.resolve(4), Promise.reject(new Proxy({a: 1}, {})).catch(() => {}) && new Promise(() => {})",
            "Promise { 4 } Promise { <pending> }",
        ),
        ("new URL('http://a/')", "URL { 'http://a/' }"),
        ("new URLSearchParams('a=1')", "URLSearchParams { 'a' => '1' }"),
        ("'%s is %d and %i, %j %o %%', 'x', 1.5, 2.9, {a: 1}, [1], 'more'", "x is 1.5 and 2, {\"a\":1} [ 1 ] % more"),
        ("'100%', 5", "100% 5"),
    ] {
        shows(expression, expected);
    }
}

#[test]
fn n20_cycles_and_long_values_are_shown_in_part() {
    assert_eq!(printed("const a = {n: 1}; a.self = a; console.log(a)"), "{ n: 1, self: [Circular *] }");
    assert!(printed("console.log(Array.from({length: 150}, (_, i) => i))").ends_with("99,\n  ... 50 more items\n]"));
    assert_eq!(
        printed("console.log({alpha: 'x'.repeat(40), beta: 'y'.repeat(40)})"),
        format!("{{\n  alpha: '{}',\n  beta: '{}'\n}}", "x".repeat(40), "y".repeat(40))
    );
    assert!(printed("console.log('x'.repeat(20000))").len() == 20000);
    assert!(printed("console.log(['x'.repeat(20000)])").contains("... 10000 more characters"));
}

#[test]
fn n20_errors_are_shown_with_the_users_frames() {
    assert_eq!(printed("console.log(new TypeError('bad'))"), "TypeError: bad\n    at <eval> (main.ts:1:17)");
    let text = printed("console.log({e: new Error('x', {cause: 1})})");
    assert!(text.contains("Error: x") && text.contains("[cause]: 1") && !text.contains("lockgate:"), "{text}");
}

#[test]
fn n20_showing_a_value_does_not_run_into_its_traps() {
    let source = "console.log(new Proxy({a: 1}, {get() { throw 1 }, ownKeys() { throw 1 }, getOwnPropertyDescriptor() { throw 1 }, getPrototypeOf() { throw 1 }}))";
    assert_eq!(printed(source), "{ a: 1 }");
    let text = printed("console.log({get [Symbol.for('nodejs.util.inspect.custom')]() { throw 1 }})");
    assert_eq!(text, "[a value that cannot be shown]");
}

#[test]
fn n20_console_counts_times_groups_and_tables() {
    let text = printed(
        "console.count(); console.count('x'); console.count(); console.group('G'); console.log('a\\nb'); console.groupEnd(); console.log('c'); console.time('t'); console.timeEnd('t')",
    );
    assert_eq!(text, "default: 1\nx: 1\ndefault: 2\nG\n  a\n  b\nc\nt: 0ms");
    let table = printed("console.table([{a: 1, b: 'x'}, {a: 22}])");
    assert_eq!(table.lines().nth(1), Some("│ (index) │ a  │ b   │"));
    assert_eq!(table.lines().nth(4), Some("│ 1       │ 22 │     │"));
}
