//! Module forms.

use serde_json::json;

use crate::support::*;

#[track_caller]
fn run(start: Start) -> serde_json::Value {
    Cell::new().start(&start).done()
}

#[test]
fn n20_a_script_is_its_completion_value() {
    assert_eq!(eval("var a = 1; if (a) { a + 41 }"), json!(42));
    assert_eq!(eval("Promise.resolve(7)"), json!(7));
    assert_eq!(eval("(async () => { await null; return [1] })()"), json!([1]));
    assert_eq!(eval(""), json!("<undefined>"));
    assert_eq!(eval("'use strict'; (function () { return this === undefined })()"), json!(true));
    assert_eq!(eval("(function () { return this === globalThis })()"), json!(true));
}

#[test]
fn n20_an_es_module_is_its_default_export() {
    assert_eq!(run(Start::new(1, "export default 5")), json!(5));
    assert_eq!(run(Start::new(1, "export default Promise.resolve(5)")), json!(5));
    assert_eq!(run(Start::new(1, "export default (x) => x * 2").input(json!(21))), json!(42));
    assert_eq!(run(Start::new(1, "export default async function (x) { return x?.a ?? 'none' }")), json!("none"));
    assert_eq!(run(Start::new(1, "export const x = 1")), json!("<undefined>"));
    assert_eq!(run(Start::new(1, "const v = await Promise.resolve(3); export { v as default }")), json!(3));
    assert_eq!(
        run(Start::new(1, "export default [import.meta.url, import.meta.filename, import.meta.main]")),
        json!(["file:///main.ts", "main.ts", true])
    );
}

#[test]
fn n20_a_commonjs_program_is_its_exports() {
    assert_eq!(
        run(Start::new(2, "exports.a = 1; exports.b = __filename + __dirname")),
        json!({"a": 1, "b": "main.ts."})
    );
    assert_eq!(run(Start::new(2, "module.exports = async (x) => x + 1").input(json!(1))), json!(2));
    assert_eq!(run(Start::new(2, "if (1) return; exports.a = 2")), json!({}));
    assert_eq!(
        run(Start::new(2, "module.exports = [this === exports, require.main === module, typeof globalThis.require]")),
        json!([true, true, "undefined"])
    );
}

#[test]
fn n20_modules_import_each_other() {
    let start = Start::new(
        1,
        "import d, { a, default as e } from './a.ts'; import * as ns from './b.ts'; export { a } from './a.ts';
        const c = await import('./c.ts'); export default [d, e, a, ns.b, c.default, import.meta.main]",
    )
    .module("a.ts", "import { b } from './b.ts'; export const a = b + 1; export default 'A'", ESM)
    .module("b.ts", "export let b = await Promise.resolve(1)", ESM)
    .module("c.ts", "export default 'C'", ESM);
    assert_eq!(run(start), json!(["A", "A", 2, 1, "C", true]));
}

#[test]
fn n20_es_modules_in_a_cycle_see_each_other() {
    let start = Start::new(1, "import { f } from './a.ts'; export default f(3)")
        .module("a.ts", "import { g } from './b.ts'; export const f = (n) => n === 0 ? 'a' : g(n - 1)", ESM)
        .module("b.ts", "import { f } from './a.ts'; export const g = (n) => n === 0 ? 'b' : f(n - 1)", ESM);
    assert_eq!(run(start), json!("b"));
}

#[test]
fn n20_json_modules() {
    let start = Start::new(1, "import d from './d.json' with { type: 'json' }; export default d.list[1]").module(
        "d.json",
        r#"{"list": [1, {"x": 2}]}"#,
        JSON,
    );
    assert_eq!(run(start), json!({"x": 2}));
    let start =
        Start::new(2, "module.exports = require('./d.json') === require('d.json')").module("d.json", "[1]", JSON);
    assert_eq!(run(start), json!(true));
}

#[test]
fn n20_commonjs_modules_in_a_cycle_see_what_is_exported_so_far() {
    let start = Start::new(2, "exports.done = false; const a = require('./a.js'); exports.done = true; module.exports = [a, require.cache['a.js'].loaded]")
        .module("a.js", "exports.early = true; const b = require('./b.js'); exports.b = b", CJS)
        .module("b.js", "exports.seen = { ...require('./a.js') }; exports.main = require('main.ts').done", CJS);
    assert_eq!(run(start), json!([{"early": true, "b": {"seen": {"early": true}, "main": false}}, true]));
}

#[test]
fn n20_a_commonjs_module_that_throws_is_evaluated_again() {
    let start = Start::new(2, "let n = []; for (let i = 0; i < 2; i++) { try { require('./a.js') } catch (e) { n.push(e.message) } } module.exports = n")
        .module("a.js", "globalThis.count = (globalThis.count ?? 0) + 1; throw new Error('e' + globalThis.count)", CJS);
    assert_eq!(run(start), json!(["e1", "e2"]));
}

#[test]
fn n20_an_es_module_imports_commonjs_by_name() {
    let start = Start::new(
        1,
        "import all, { a, b, c, d, e, f } from './m.js'; import { g } from './r.js'; import { h } from './s.js';
         export default [typeof all, a, b, c(), d, e, f, g, h]",
    )
    .module(
        "m.js",
        "exports.a = 1; module.exports.b = 2; exports.c = function () { return 3 };
         Object.defineProperty(exports, 'd', { enumerable: true, get: () => 4 });
         Object.assign(exports, { e: 5 }); exports.e = exports.e; exports.f = void 0",
        CJS,
    )
    .module("r.js", "module.exports = require('./t.js')", CJS)
    .module("s.js", "var __exportStar = (m, x) => Object.assign(x, m); __exportStar(require('./u.js'), exports)", CJS)
    .module("t.js", "const x = 1; module.exports = { x, g: /* why */ 'G', 'k': [1, {a: 2}], z: f(')', '}'), last: 1 }; function f() {}", CJS)
    .module("u.js", "exports.h = 'H'", CJS);
    assert_eq!(run(start), json!(["object", 1, 2, 3, 4, 5, null, "G", "H"]));
}

#[test]
fn n20_commonjs_is_evaluated_where_an_import_stands() {
    let start = Start::new(1, "import './a.ts'; import './b.js'; import './c.ts'; export default globalThis.order")
        .module("a.ts", "globalThis.order = ['a']", ESM)
        .module("b.js", "globalThis.order.push('b')", CJS)
        .module("c.ts", "globalThis.order.push('c')", ESM);
    assert_eq!(run(start), json!(["a", "b", "c"]));
}

#[test]
fn n20_commonjs_requires_an_es_module_at_once() {
    let start =
        Start::new(2, "const m = require('./m.ts'); module.exports = [m.default, m.x, require('./m.ts') === m]")
            .module("m.ts", "import { y } from './n.ts'; export const x = y + 1; export default 'D'", ESM)
            .module("n.ts", "export const y = 1", ESM);
    assert_eq!(run(start), json!(["D", 2, true]));
}

#[test]
fn n20_commonjs_cannot_require_an_es_module_that_awaits() {
    let start = Start::new(2, "try { require('./m.ts') } catch (e) { module.exports = e.message }").module(
        "m.ts",
        "await null",
        ESM,
    );
    assert_eq!(run(start), json!("cannot `require` `m.ts`, which uses top-level await; use `import()`"));
    let start = Start::new(1, "import v from './c.js'; export default v").module(
        "c.js",
        "try { require('main.ts') } catch (e) { module.exports = e.message }",
        CJS,
    );
    assert_eq!(run(start), json!("cannot `require` `main.ts` while it is being evaluated or awaited; use `import()`"));
}

#[test]
fn n20_require_of_a_throwing_es_module_throws_its_error() {
    let start = Start::new(2, "try { require('./m.ts') } catch (e) { module.exports = e.message }")
        .module("m.ts", "throw new Error('inside')", ESM)
        .grant("log", "log", json!(null));
    let turn = Cell::new().start(&start);
    assert_eq!((turn.done(), turn.lines()), (json!("inside"), vec![]));
}

#[test]
fn n06_a_specifier_means_what_the_table_says_and_nothing_else() {
    for specifier in
        ["./A.TS", "./a.ts?x", "./a.ts/", "././a.ts", ".//a.ts", "/a.ts", "file:///a.ts", "node:fs", "./a%2ets", "a"]
    {
        let start =
            Start::new(1, &format!("export default await import({specifier:?}).then(() => 'found', (e) => e.message)"))
                .module("a.ts", "", ESM);
        assert_eq!(run(start), json!(format!("cannot find module `{specifier}` imported by `main.ts`")), "{specifier}");
    }
}

#[test]
fn n20_many_modules() {
    let mut start = Start::new(1, "import v from './m0.ts'; export default v");
    let count = 200;
    for i in 0..count {
        let source = if i + 1 < count {
            format!("import v from './m{}.ts'; export default v + 1", i + 1)
        } else {
            "export default 0".into()
        };
        start.modules.push((
            format!("m{i}.ts"),
            source,
            ESM,
            vec![(format!("./m{}.ts", i + 1), format!("m{}.ts", i + 1))],
        ));
    }
    start.modules[0].3 = vec![("./m0.ts".into(), "m0.ts".into())];
    assert_eq!(run(start), json!(count - 1));
}

#[test]
fn n20_the_built_in_modules() {
    let start = Start::new(1, "import lg, { fs } from 'lockgate'; import { readFile } from 'fs/promises'; import files from 'node:fs/promises';
        export default [lg === globalThis.lockgate, fs === lockgate.fs, files.readFile === readFile]")
        .grant("fs", "data", json!(null));
    assert_eq!(run(start), json!([true, true, true]));
    let start =
        Start::new(2, "module.exports = [require('lockgate') === lockgate, typeof require('fs/promises').readFile]")
            .grant("fs", "data", json!(null));
    assert_eq!(run(start), json!([true, "function"]));
}

#[test]
fn n20_an_entry_of_another_kind_runs_too() {
    let mut start = Start::new(1, "module.exports = (x) => x + 1").input(json!(1));
    start.modules[0].2 = CJS;
    assert_eq!(run(start), json!(2));
    let mut start = Start::new(2, "export default 3");
    start.modules[0].2 = ESM;
    assert_eq!(run(start), json!({"default": 3}));
}
