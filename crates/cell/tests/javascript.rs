//! Every way to use up a resource from JavaScript, against the embedded image: the host survives, the cell is dead, and
//! the reason is named.

mod common;

use common::program::{Said, said, script, script_with};
use common::{Outcome, on_big_stack, outcome};
use lockgate_cell::{Bounds, EndReason, Engine, EngineOptions, Executor, Turned};
use std::sync::OnceLock;

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        Engine::new(EngineOptions { slots: 64, ..EngineOptions::default() }).expect("the image is valid")
    })
}

fn bounds() -> Bounds {
    Bounds { cpu_us: 60_000, wall_us: 20_000_000, memory_bytes: 64 << 20, ..Bounds::default() }
}

/// Runs one program to its first turn, then another to see that the executor still works.
fn run(source: &str, bounds: Bounds) -> Result<Said, EndReason> {
    run_start(&script(source), bounds)
}

fn run_start(start: &[u8], bounds: Bounds) -> Result<Said, EndReason> {
    on_big_stack(|| {
        let mut executor = Executor::new(engine()).expect("the thread fits");
        let done = match executor.start(1, &bounds, start) {
            Turned::Turn { bytes, .. } => Ok(said(bytes)),
            Turned::Ended { reason, .. } => Err(reason),
            Turned::Gone => unreachable!("it was just started"),
        };
        if done.is_err() {
            assert_eq!(outcome(executor.resume(1, &[])).0, Outcome::Gone, "an exhausted cell is dead");
        }
        match executor.start(2, &Bounds::default(), &script("1+1")) {
            Turned::Turn { bytes, .. } => assert_eq!(said(bytes), Said::Done("2".to_string())),
            other => panic!("the next cell: {other:?}"),
        }
        done
    })
}

fn done(value: &str) -> Result<Said, EndReason> {
    Ok(Said::Done(value.to_string()))
}

fn ends(source: &str, reason: EndReason) {
    // Filling the memory must not be cut short by the other limit.
    let cpu_us = if reason == EndReason::Cpu { bounds().cpu_us } else { 20_000_000 };
    assert_eq!(run(source, Bounds { cpu_us, ..bounds() }), Err(reason), "{source}");
}

/// The program ends, by a limit or by an error that it did not catch; which of them is the interpreter's affair.
fn never_succeeds(source: &str) {
    let done = run(source, bounds());
    assert!(matches!(done, Err(_) | Ok(Said::Failed { .. })), "{source}: {done:?}");
}

#[test]
fn n22_a_fresh_cell_evaluates() {
    assert_eq!(run("1+1", bounds()), done("2"));
    assert_eq!(run("'a'.repeat(3)", bounds()), done("aaa"));
    assert_eq!(run("Promise.resolve(41).then(x => x + 1)", bounds()), done("42"));
}

#[test]
fn n22_cells_share_nothing() {
    on_big_stack(|| {
        let mut executor = Executor::new(engine()).unwrap();
        let spoil = "globalThis.left = 1; Array.prototype.map = 2; Object.prototype.here = 3; 'spoilt'";
        let look = "typeof left + typeof [].map + typeof ({}).here";
        for cell in 0..20 {
            for (source, expected) in [(spoil, "spoilt"), (look, "undefinedfunctionundefined")] {
                match executor.start(cell, &bounds(), &script(source)) {
                    Turned::Turn { bytes, .. } => assert_eq!(said(bytes), Said::Done(expected.to_string())),
                    other => panic!("{other:?}"),
                }
            }
        }
    });
}

#[test]
fn n05_an_infinite_loop_ends() {
    ends("for (;;);", EndReason::Cpu);
    ends("while (true) { try { throw 1 } catch {} }", EndReason::Cpu);
}

#[test]
fn n05_a_loop_of_promise_jobs_ends() {
    ends("const next = () => Promise.resolve().then(next); next()", EndReason::Cpu);
    ends("(async () => { for (;;) await null })()", EndReason::Cpu);
    ends("queueMicrotask(function again() { queueMicrotask(again) }); new Promise(() => {})", EndReason::Cpu);
    ends("const t = { then(f) { f(t) } }; Promise.resolve(t)", EndReason::Cpu);
}

#[test]
fn n05_an_async_iteration_ends() {
    ends("(async () => { for await (const x of (async function* () { for (;;) yield 1 })()); })()", EndReason::Cpu);
    let own = "({ [Symbol.asyncIterator]() { return { next: () => ({ done: false }) } } })";
    ends(&format!("(async () => {{ for await (const x of {own}); }})()"), EndReason::Cpu);
}

#[test]
fn n05_a_loop_in_a_getter_ends() {
    ends("({ get a() { for (;;); } }).a", EndReason::Cpu);
    ends("({ get then() { for (;;); } })", EndReason::Cpu);
    ends("({ toJSON() { for (;;); } })", EndReason::Cpu);
    ends("new Proxy({}, { get() { for (;;); } }).a", EndReason::Cpu);
    ends("({ ...{ get a() { for (;;); } } })", EndReason::Cpu);
}

#[test]
fn n05_a_loop_while_the_result_is_encoded_ends() {
    ends("({ value: { get a() { for (;;); } } })", EndReason::Cpu);
    ends("new Proxy({}, { ownKeys() { for (;;); } })", EndReason::Cpu);
    ends("new Proxy([], { get(t, k) { for (;;); } })", EndReason::Cpu);
    never_succeeds("new Proxy([], { get(t, k) { return k === 'length' ? 2 ** 53 - 1 : Array.isArray(t) } })");
}

#[test]
fn n05_a_loop_in_a_conversion_ends() {
    ends("`${{ toString() { for (;;); } }}`", EndReason::Cpu);
    ends("+{ valueOf() { for (;;); } }", EndReason::Cpu);
    ends(
        "[...{ [Symbol.iterator]() { return { next: () => ({ done: true, get value() { return 1 } }) } } }]; [...(function* () { for (;;) yield* [] })()]",
        EndReason::Cpu,
    );
}

#[test]
fn n05_an_error_whose_text_never_comes_ends() {
    ends("throw { get name() { for (;;); }, get message() { for (;;); } }", EndReason::Cpu);
    ends("class E extends Error { get message() { for (;;); } } throw new E()", EndReason::Cpu);
}

#[test]
fn n05_a_catastrophic_regular_expression_ends() {
    ends("/(a+)+$/.test('a'.repeat(64) + 'b')", EndReason::Cpu);
    ends("/^(a|a)*$/.test('a'.repeat(64) + 'b')", EndReason::Cpu);
    ends("/(?:a?){64}a{64}/.test('a'.repeat(63)) || /(x+x+)+y/.test('x'.repeat(64))", EndReason::Cpu);
}

#[test]
fn n05_a_comparator_ends() {
    ends("[1, 2, 3].sort(() => { for (;;); })", EndReason::Cpu);
    ends("new Uint8Array(1000).sort(() => { for (;;); })", EndReason::Cpu);
    ends("[1, 2, 3].toSorted(() => { for (;;); })", EndReason::Cpu);
    ends(
        "let n = 1; Array.from({ length: 500000 }, (_, i) => i * 7919 % 500000).sort(() => (n = n * 16807 % 2147483647) - 1e9)",
        EndReason::Cpu,
    );
}

#[test]
fn n05_array_growth_ends() {
    ends("const a = []; for (;;) a.push(a.length)", EndReason::Memory);
    ends("const a = []; for (;;) a.push([])", EndReason::Memory);
    never_succeeds("const a = []; for (;;) a.push(...a, 1)");
    never_succeeds("new Array(2 ** 32 - 1).fill(0)");
    never_succeeds("Array.from({ length: 2 ** 32 })");
    never_succeeds("Array(2 ** 25).join('xxxxxxxx')");
    never_succeeds("new Uint8Array(2 ** 31)");
    never_succeeds("const m = new Map(); for (let i = 0; ; i++) m.set(i, i)");
    never_succeeds("[1, 2, 3].concat(...Array(1e6).fill(Array(1e4).fill(1)))");
}

#[test]
fn n05_string_growth_ends() {
    never_succeeds("let s = 'x'; for (;;) s += s");
    never_succeeds("let s = ''; for (;;) s += 'x'.repeat(1000) + s.length");
    never_succeeds("'x'.repeat(2 ** 29)");
    never_succeeds("'x'.padEnd(2 ** 29, 'yz')");
    never_succeeds("'x'.repeat(2 ** 20).replaceAll('x', 'y'.repeat(2 ** 20))");
    never_succeeds("JSON.stringify(Array(2 ** 22).fill('\\u0000'.repeat(64)))");
}

#[test]
fn n05_large_numbers_end() {
    never_succeeds("2n ** (2n ** 40n)");
    never_succeeds("let x = 3n; for (;;) x *= x");
    never_succeeds("BigInt('9'.repeat(20000000))");
}

#[test]
fn n05_deep_recursion_in_javascript_is_an_error() {
    for source in [
        "function f() { return f() + 1 } f()",
        "const o = { toString() { return `${o}` } }; `${o}`",
        "const o = { get a() { return this.a } }; o.a",
        "const p = new Proxy({}, { get: (t, k, r) => r[k] }); p.a",
        "class A { constructor() { new A() } } new A()",
        "const f = () => [1].map(f); f()",
        "const f = () => 'a'.replace(/a/, f); f()",
        "const a = []; a[0] = a; const f = () => [2, 1].sort(f); f()",
        "function f() { Reflect.apply(f, null, []) } f()",
        "let f = () => {}; for (let i = 0; i < 1e5; i++) f = f.bind(null); f()",
    ] {
        match run(source, bounds()) {
            Ok(Said::Failed { name, .. }) => {
                assert!(name == "RangeError" || name == "InternalError", "{source}: {name}")
            }
            Err(EndReason::Stack | EndReason::Cpu | EndReason::Memory) => {}
            other => panic!("{source}: {other:?}"),
        }
    }
}

#[test]
fn n05_deep_recursion_that_is_caught_goes_on() {
    assert_eq!(run("let d = 0; function f() { d++; f() } try { f() } catch {} d > 100", bounds()), done("true"));
}

#[test]
fn n05_deep_recursion_of_the_parser_ends() {
    let wide = Bounds { cpu_us: 2_000_000, ..bounds() };
    for source in [
        "eval('['.repeat(1e6))",
        "eval('('.repeat(1e6) + '1' + ')'.repeat(1e6))",
        "eval('{'.repeat(1e6))",
        "eval('!'.repeat(1e6) + '1')",
        "eval('a=>'.repeat(1e5) + '1')",
        "eval('`${'.repeat(1e5))",
        "eval('function f(){'.repeat(1e5))",
        "eval('1' + '**1'.repeat(1e6))",
        "eval('x?'.repeat(1e6))",
        "JSON.parse('['.repeat(1e6))",
        "JSON.parse('{\"a\":'.repeat(1e6))",
        "new RegExp('('.repeat(1e6))",
        "new RegExp('(?=' .repeat(1e5) + ')'.repeat(1e5))",
        "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; JSON.stringify(a)",
        "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; a.toString()",
        "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; a.flat(Infinity)",
        "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; structuredClone(a)",
        "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; a",
    ] {
        let done = run(source, wide);
        assert!(
            matches!(done, Ok(_) | Err(EndReason::Stack | EndReason::Cpu | EndReason::Memory | EndReason::Trap)),
            "{source}: {done:?}"
        );
    }
}

#[test]
fn n05_a_source_nested_deeply_ends() {
    let wide = Bounds { cpu_us: 2_000_000, ..bounds() };
    for source in ["[".repeat(1_000_000), "(".repeat(1_000_000), "-".repeat(1_000_001), "if(1)".repeat(300_000)] {
        let done = run(&source, wide);
        assert!(!matches!(done, Ok(Said::Done(_) | Said::Waiting)), "{}: {done:?}", &source[..10]);
    }
}

#[test]
fn n05_a_finalizer_ends() {
    ends(
        "const r = new FinalizationRegistry(() => { for (;;); }); \
         (() => { for (let i = 0; i < 100; i++) r.register({}, i) })(); \
         (async () => { for (let i = 0; i < 1000; i++) await null; for (;;) await null })()",
        EndReason::Cpu,
    );
}

#[test]
fn n05_a_scan_inside_a_native_function_ends() {
    for source in [
        "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)",
        "Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)",
        "Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)",
        "Array.prototype.forEach.call({ length: 2 ** 53 - 1 }, () => {})",
        "Array.prototype.reverse.call({ length: 2 ** 53 - 1 })",
        "Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 1)",
        "Array.prototype.reduceRight.call({ length: 2 ** 53 - 1, 0: 1 }, () => {})",
        "Array.prototype.every.call({ length: 2 ** 53 - 1 }, () => true)",
        "Array.prototype.unshift.call({ length: 2 ** 53 - 2 }, 1)",
        "Array.prototype.findLast.call({ length: 2 ** 53 - 1 }, () => false)",
    ] {
        ends(source, EndReason::Cpu);
    }
    never_succeeds("Array.prototype.join.call({ length: 2 ** 53 - 1 })");
    never_succeeds("Array.prototype.slice.call({ length: 2 ** 32 - 1 })");
    never_succeeds("Array.prototype.splice.call({ length: 2 ** 53 - 1 }, 0, 1)");
    never_succeeds("'a'.repeat(2 ** 22).split('').sort().join('').localeCompare('b'.repeat(2 ** 24)); for (;;);");
}

#[test]
fn n05_a_large_result_ends() {
    let small = Bounds { turn_bytes: 1 << 20, cpu_us: 2_000_000, ..bounds() };
    assert_eq!(run("'x'.repeat(2 ** 20)", small), Err(EndReason::Output));
    assert!(matches!(run("'x'.repeat(2 ** 19)", small), Ok(Said::Done(_))));
}

#[test]
fn n05_a_flood_of_output_ends() {
    let flood = script_with("for (;;) console.log('x'.repeat(1000))", &[(1, "log", "log")]);
    let wide = Bounds { cpu_us: 5_000_000, ..bounds() };
    let done = run_start(&flood, wide);
    assert!(matches!(done, Err(EndReason::Memory | EndReason::Output | EndReason::Cpu)), "{done:?}");
}

#[test]
fn n05_wall_time_ends_a_program() {
    let short = Bounds { wall_us: 20_000, cpu_us: 60_000_000, ..bounds() };
    assert_eq!(run("for (;;);", short), Err(EndReason::Wall));
}

#[test]
fn n05_malformed_starts_end_the_cell_or_are_refused_by_it() {
    for start in [&[][..], &[0xff], &[0x80], &[0x88, 0x00], &[0x9f; 1000], &script("1")[..20]] {
        let done = run_start(start, bounds());
        assert!(!matches!(done, Ok(Said::Done(_))), "{start:02x?}: {done:?}");
    }
}
