//! One test for each class of known escapes from JavaScript confinement, with the advisories it stands for, and tests of
//! what a grant gives: nothing more than it says.
//!
//! Every escape test runs hostile code in a jailed worker and compares all that it found with the exact list that it may find.

mod common;

use common::Place;
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Names that some host of JavaScript or another has, and a cell has not.
///
/// `foreign(value)` says what of a value belongs to another realm, or leads to one of these names: nothing, ever.
const PRELUDE: &str = r#"
const NAMES = ["process", "require", "module", "global", "Deno", "Bun", "WebAssembly", "SharedArrayBuffer", "Atomics", "fetch",
  "XMLHttpRequest", "WebSocket", "Worker", "importScripts", "load", "loadScript", "print", "std", "os", "bjson", "gc",
  "window", "self", "document", "navigator", "Buffer", "__dirname", "ShadowRealm", "DecompressionStream", "inspect"];
const has = Object.prototype.hasOwnProperty, getPrototype = Object.getPrototypeOf, own = Function, root = Object.prototype;
function foreign(value) {
  if (Object(value) !== value) return [];
  const found = [];
  let last = value;
  for (let up = value; up !== null; up = getPrototype(up)) last = up;
  if (last !== root && getPrototype(value) !== null) found.push("a prototype of elsewhere");
  const F = value.constructor?.constructor;
  if (F !== undefined && F !== own) found.push("a Function of elsewhere");
  if (typeof F === "function") {
    try {
      for (const name of F("names", "return names.filter(name => name in globalThis)")(NAMES)) found.push(name);
      const self = F("return this")();
      if (self !== globalThis) found.push("a global of elsewhere");
    } catch (error) {
      found.push(`calling it: ${error}`);
    }
  }
  return found;
}
const all = values => values.flatMap(foreign);
const caught = async work => { try { return await work(); } catch (error) { return error; } };
"#;

fn hostile(place: &Place, body: &str, flags: &[&str]) -> Json {
    place.program(&format!("{PRELUDE}\nexport default async function (input) {{\n{body}\n}}"), flags).value()
}

/// A place with `data/a.txt`, and the flag that grants the directory.
fn with_data() -> (Place, [&'static str; 2]) {
    let place = Place::new();
    place.file("data/a.txt", "a text");
    (place, ["--allow", "fs:data=data:read,list,stat,write,mkdir,remove"])
}

/// From any value to its constructor's constructor, a `Function` of the host: the oldest way out of `node:vm`, and of vm2 by
/// objects that slipped through its bridge (CVE-2022-25893, CVE-2026-44006, CVE-2026-44000).
#[test]
fn n08_prototype_walk() {
    let (place, flags) = with_data();
    let found = hostile(
        &place,
        r#"
        const data = lockgate.fs.data;
        const error = await caught(() => data.read("nope"));
        const listed = await data.list();
        const values = [globalThis, lockgate, lockgate.fs, data, data.read, data.read("a.txt"), await data.read("a.txt"), listed,
          listed[0], error, console, console.log, setTimeout, input, input.list, new URL("https://a/"), crypto, crypto.subtle,
          lockgate.clock.now, structuredClone, import("lockgate"), await import("lockgate").then(m => m.default),
          Function("return this")(), arguments, new Proxy({}, {}), async () => {}, function* () {}, async function* () {}];
        const walked = values.filter(value => value.constructor !== undefined).map(value => {
          try { return value.constructor.constructor("return typeof process + typeof require + typeof Deno")(); } catch { return null; }
        });
        return { foreign: all(values), walked: [...new Set(walked)] };
        "#,
        &[flags[0], flags[1], "--input", "{\"list\": [{}]}"],
    );
    // The constructors of functions of the other three kinds are not `Function` itself, in any engine.
    let foreign: Vec<&str> = found["foreign"].as_array().expect("a list").iter().filter_map(Json::as_str).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert_eq!(found["walked"], json!(["undefinedundefinedundefined"]));
}

/// Errors that the host makes are caught by the guest (CVE-2023-29199, CVE-2023-30547, CVE-2021-23555): here each is made in the
/// cell, from bytes.
#[test]
fn n08_host_exception() {
    let (place, flags) = with_data();
    let found = hostile(
        &place,
        r#"
        const data = lockgate.fs.data;
        const deep = []; for (let i = 0, at = deep; i < 1000; i++) at.push(at = []);
        const cycle = {}; cycle.cycle = cycle;
        const errors = [];
        for (const work of [() => data.read("nope"), () => data.read("../x"), () => data.read({}), () => data.write("a.txt/x", "x"),
            () => data.write("f", () => 1), () => data.write("f", Symbol("s")), () => lockgate.clock.sleep(cycle), () => lockgate.clock.sleep(deep),
            () => lockgate.clock.sleep({ get x() { throw new RangeError("mine"); } }), () => import("no" + "pe"), () => new URL("?"),
            () => (function f() { return f() + 1; })(), () => structuredClone(() => 1), () => JSON.parse("[".repeat(1e5)),
            () => crypto.getRandomValues(new Uint8Array(1e6)), () => eval("("), () => new Function("}")]) {
          errors.push(await caught(work));
        }
        return {
          foreign: all(errors),
          classes: errors.map(error => error instanceof Error && error instanceof (globalThis[error.name] ?? DOMException) && error.name),
          keys: [...new Set(errors.flatMap(error => Object.keys(error)))].sort(),
        };
        "#,
        &flags,
    );
    assert_eq!(found["foreign"], json!([]));
    let classes = found["classes"].as_array().expect("a list");
    assert_eq!(classes.len(), 17);
    assert!(!classes.contains(&json!(false)), "an error of no class of this cell: {found}");
    assert_eq!(classes.iter().filter(|class| **class == "LockgateError").count(), 4, "{found}");
}

/// Traps of a proxy that the host's bridge touches receive objects of the host (CVE-2023-32314, CVE-2023-30547).
#[test]
fn n08_proxy_trap() {
    let (place, flags) = with_data();
    let found = hostile(
        &place,
        r#"
        const seen = [];
        const trap = new Proxy({}, { get: (_, name) => (...all) => { seen.push(...all, this); return Reflect[name](...all); } });
        const proxy = (target = {}) => new Proxy(target, trap);
        const data = lockgate.fs.data, outcomes = [];
        for (const work of [() => data.write(proxy(), "x"), () => data.write("p.txt", proxy([1])), () => data.list(proxy()),
            () => lockgate.clock.sleep(proxy()), () => console.log(proxy(), proxy([]), proxy(() => 1)), () => structuredClone(proxy({ a: 1 })),
            () => Promise.resolve(proxy()), () => import(proxy()), () => data.read.call(proxy(), "a.txt"), () => Reflect.construct(data.read, [], proxy(class {})),
            () => { throw proxy(new Error("thrown")); }]) {
          outcomes.push(await caught(work));
        }
        const liar = new Proxy(new Error("liar"), { getPrototypeOf() { throw new Error("from the trap"); } });
        seen.push(await caught(() => Promise.reject(liar)));
        return { foreign: [...all(seen.filter(value => value !== liar)), ...all(outcomes)].filter(found => !/from the trap/.test(found)), some: seen.length > 0 };
        "#,
        &flags,
    );
    assert_eq!(found, json!({"foreign": [], "some": true}));
    // A proxy thrown at the very top reaches the host as bytes.
    let thrown = "throw new Proxy(new Error('top'), { get(t, k) { if (k === 'message') throw 1; return t[k]; }, getPrototypeOf() { return null; } })";
    place.eval(thrown, &[]).error(1, "program_failed");
    place.eval("({ get a() { throw new Proxy({}, { get() { throw 2; } }); } })", &[]).error(1, "program_failed");
    place.verify();
}

/// A promise's `then`, its constructor and its species are the program's to replace (CVE-2023-37466, CVE-2026-22709,
/// CVE-2026-44000, CVE-2026-44001): what passes through is its own.
#[test]
fn n08_promise_species_and_then() {
    let (place, flags) = with_data();
    let found = hostile(
        &place,
        r#"
        const seen = [], then = Promise.prototype.then, OwnPromise = Promise;
        const species = function (executor) { executor(v => seen.push(v), e => seen.push(e)); };
        Object.defineProperty(Promise, Symbol.species, { get() { return species; }, configurable: true });
        Promise.prototype.constructor = { get [Symbol.species]() { return species; } };
        Promise.prototype.then = function (a, b) {
          seen.push(this, a, b);
          return Reflect.apply(then, this, [v => { seen.push(v); return a?.(v); }, e => { seen.push(e); return b?.(e); }]);
        };
        Object.defineProperty(Object.prototype, "then", { get() { seen.push(this); return undefined; }, configurable: true });
        const data = lockgate.fs.data;
        const text = data.readText("a.txt"), nope = data.read("nope"), list = data.list();
        for (const promise of [text, nope, list]) Reflect.apply(then, promise, [v => seen.push(v), e => seen.push(e)]);
        globalThis.Promise = function () { seen.push(...arguments); };
        await undefined;
        Reflect.apply(then, lockgate.clock.sleep(1), [() => {}, () => {}]);
        globalThis.Promise = OwnPromise;
        delete Object.prototype.then;
        Promise.prototype.then = then;
        Promise.prototype.constructor = OwnPromise;
        Object.defineProperty(Promise, Symbol.species, { get() { return this; } });
        await lockgate.clock.sleep(1);
        return { foreign: all(seen), some: seen.length > 4 };
        "#,
        &flags,
    );
    assert_eq!(found, json!({"foreign": [], "some": true}));
    // A thenable that never settles, one that throws, and a rejection nobody handles end a run and never the gate.
    assert_eq!(place.eval("Promise.reject(new Error('unhandled')); 'goes on'", &[]).value(), "goes on");
    place.program("export default { then() { throw new Error('thenable'); } }", &[]).error(1, "program_failed");
    place.program("export default { then() {} }", &[]).error(1, "deadlock");
    let nested = "export default { then(done) { done({ then(done) { done(3); } }); } }";
    assert_eq!(place.program(nested, &[]).value(), 3);
    place.verify();
}

/// `yield*`, `return` and `throw` of an async generator await a value within the engine (CVE-2026-45411).
#[test]
fn n08_async_generator() {
    let (place, flags) = with_data();
    let found = hostile(
        &place,
        r#"
        const seen = [], data = lockgate.fs.data;
        const overflow = () => { (function f() { f(); })(); };
        const thenable = work => ({ then(done, failed) { seen.push(done, failed); work(done, failed); } });
        async function* plain() { try { yield 1; } catch (error) { seen.push(error); } finally { seen.push(await caught(() => data.read("nope"))); } }
        async function* over(inner) { try { yield* inner; } catch (error) { seen.push(error); throw error; } }
        for (const work of [overflow, () => { throw data; }, done => done(data.read("../x")), (_, failed) => failed(data.read("x")), done => done({ then: overflow })]) {
          for (const make of [plain, () => over(plain()), () => over({ [Symbol.asyncIterator]() { return { next: async () => ({ value: thenable(work) }), return: () => thenable(work), throw: () => thenable(work) }; } })]) {
            for (const way of ["return", "throw", "next"]) {
              const generator = make();
              await generator.next().catch(() => {});
              for (const again of [1, 2]) {
                try { seen.push(again, await generator[way](thenable(work))); } catch (error) { seen.push(error); }
              }
            }
          }
        }
        return { foreign: all(seen), some: seen.length > 100, refused: seen.filter(value => value?.code === "path_not_granted").length > 0 };
        "#,
        &flags,
    );
    assert_eq!(found, json!({"foreign": [], "some": true, "refused": true}));
}

/// `Error.prepareStackTrace` is given the frames of the host (CVE-2022-36067, CVE-2023-29017, CVE-2021-23555).
#[test]
fn n08_prepare_stack_trace() {
    let (place, flags) = with_data();
    let found = hostile(
        &place,
        r#"
        const seen = [];
        Error.stackTraceLimit = 100;
        Error.prepareStackTrace = (error, frames) => { seen.push(error, frames); return frames; };
        const errors = [new Error("mine"), await caught(() => lockgate.fs.data.read("nope")), await caught(() => (function f() { f(); })()),
          await caught(() => import("no" + "pe")), await caught(() => structuredClone(() => 1)), await caught(() => eval("("))];
        for (const error of errors) seen.push(error.stack);
        globalThis.Error = class extends Error { static prepareStackTrace(_, frames) { seen.push(frames); return frames; } };
        seen.push(await caught(() => lockgate.fs.data.read("nope")), await caught(() => null.x));
        const frames = seen.filter(Array.isArray).flat();
        const files = seen.filter(v => typeof v === "string").flatMap(stack => [...stack.matchAll(/\(([^()]*?):\d/g)].map(m => m[1]));
        return {
          foreign: [...all(seen), ...all(frames), ...frames.flatMap(frame => [frame?.getThis?.(), frame?.getFunction?.()]).flatMap(foreign)],
          files: [...new Set([...files, ...frames.map(frame => frame?.getFileName?.())])].filter(name => name !== "program.js" && name !== undefined && name !== null),
        };
        "#,
        &flags,
    );
    assert_eq!(found["foreign"], json!([]));
    let files = found["files"].as_array().expect("a list");
    // What the cell itself provides is written in the same language, in the same realm.
    let of_the_cell = |file: &Json| file.as_str().is_some_and(|file| file == "native" || file.starts_with("lockgate:"));
    assert!(files.iter().all(of_the_cell), "frames of the host are visible: {files:?}");
}

/// Well-known and registered symbols, getters and setters of the shared prototypes, called by the host with its own objects
/// (CVE-2023-37903 through `nodejs.util.inspect.custom`, CVE-2026-44008 through the species of an array).
#[test]
fn n08_symbols_across_realms() {
    let (place, flags) = with_data();
    let found = hostile(
        &place,
        r#"
        // Filled, so that noting something does not go through what is put on the prototypes below.
        const seen = [0, 0, 0], data = lockgate.fs.data;
        const note = value => { seen[seen.length] = value; };
        const own = { configurable: true, writable: true, enumerable: true };
        const spy = key => ({ configurable: true, get() { note(this); return undefined; },
          set(value) { note(this); note(value); Object.defineProperty(this, key, { ...own, value }); } });
        const hook = function (first, second) { note(this); note(first); note(second); return "hooked"; };
        const names = ["nodejs.util.inspect.custom", "nodejs.util.promisify.custom", "nodejs.rejection", "nodejs.dispose", "Deno.customInspect"];
        const hooks = Object.fromEntries(names.map(name => [Symbol.for(name), hook]));
        console.log(Object.assign(() => 1, hooks), { ...hooks, [Symbol.toPrimitive]: hook, [Symbol.toStringTag]: "tagged" });
        class Mine extends Array { static get [Symbol.species]() { return function (first) { note(this); note(first); return {}; }; } }
        Object.defineProperty(Array, Symbol.species, { get() { note(this); return Mine; }, configurable: true });
        Array.prototype.constructor = Mine;
        for (const key of ["0", "1"]) Object.defineProperty(Array.prototype, key, spy(key));
        for (const key of ["path", "code", "message", "hint", "kind", "name", "size", "ok"]) Object.defineProperty(Object.prototype, key, spy(key));
        Array.prototype[Symbol.iterator] = hook;
        const listed = await caught(() => data.list()), text = await caught(() => data.readText("a.txt")), nope = await caught(() => data.read("nope"));
        Array.prototype[Symbol.iterator] = Array.prototype.values;
        for (const key of ["0", "1"]) delete Array.prototype[key];
        for (const key of ["path", "code", "message", "hint", "kind", "name", "size", "ok"]) delete Object.prototype[key];
        Array.prototype.constructor = Array;
        Object.defineProperty(Array, Symbol.species, { get() { return this; } });
        return { foreign: [listed, text, nope].concat(seen).flatMap(foreign), text: typeof text === "string" ? text : "failed", code: nope.code };
        "#,
        &flags,
    );
    assert_eq!(found, json!({"foreign": [], "text": "a text", "code": "not_found"}));
}

/// WebAssembly inside the guest: its exceptions and its promises carry objects of the host (CVE-2026-47210). There is none.
#[test]
fn n08_webassembly_is_absent() {
    let place = Place::new();
    let found = hostile(
        &place,
        r#"
        return [typeof WebAssembly, typeof SharedArrayBuffer, typeof Atomics, "WebAssembly" in globalThis,
          await caught(() => WebAssembly.promising).then(e => e.name), await caught(() => eval("WebAssembly")).then(e => e.name),
          Function("return typeof WebAssembly")(), await import("lockgate").then(m => "WebAssembly" in m)];
        "#,
        &[],
    );
    let none = "undefined";
    assert_eq!(found, json!([none, none, none, false, "ReferenceError", "ReferenceError", none, false]));
}

/// An inner sandbox configured by the sandboxed code alone (CVE-2026-44007, GHSA-8hg8-63c5-gwmx; the two bypasses of its fix,
/// CVE-2026-47137 and CVE-2026-92935): a child gets what its parent holds and asks for, and never more.
#[test]
fn n08_nesting() {
    let (place, _) = with_data();
    let found = hostile(
        &place,
        r#"
        const child = `export default async () => [Object.keys(lockgate).sort().join(), typeof fetch, typeof require,
          await lockgate.fs?.data.write("x", "x").catch(e => e.code)]`;
        const outcomes = [];
        for (const options of [undefined, {}, { grants: [{ kind: "fs", name: "data", allow: ["read", "write"] }] }, { grants: [{ kind: "fs", name: "data" }] },
            { grants: [{ kind: "fs", name: "other" }] }, { grants: [{ kind: "http", name: "any", hosts: ["*"] }] }, { grants: [{ kind: "tool", name: "t", tools: "*" }] },
            { grants: 1 }, { grants: true }, { grants: "fs" }, { grants: {} }, { grants: [[]] }, { grants: [null] }, { limits: [] }, { limits: 1 },
            { grants: [{ kind: "fs", name: "data", path: "/" }] }, { grants: [{ kind: "fs", name: "data", under: ".." }] },
            { grants: [{ kind: "root" }] }, { grants: [{ kind: "fs", name: "data", __proto__: { allow: ["write"] } }] },
            { limits: { memory: "1TiB", cpu: "1h" } }]) {
          outcomes.push(await caught(async () => (await lockgate.spawn(child, options)).result()).then(v => v instanceof Error ? v.code ?? v.name : v));
        }
        return outcomes;
        "#,
        &["--allow", "fs:data=data:read", "--allow", "cell:30,3"],
    );
    let none = json!(["clock,parent,random,sealed", "undefined", "undefined", null]);
    let reads = json!(["clock,fs,parent,random,sealed", "undefined", "undefined", "op_not_granted"]);
    let (more, bad) = ("amplification", "malformed");
    assert_eq!(
        found,
        json!([
            none, none, reads, reads, more, more, more, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, reads,
            bad
        ])
    );
    assert!(!place.path("data/x").exists());
}

#[test]
fn n02_an_unknown_option_of_spawn_is_refused() {
    let place = Place::new();
    let source = "const code = options => caught(() => lockgate.spawn('1', options)).then(e => e.code ?? 'taken');
        return [await code({ nesting: true }), await code({ grant: [] }), await code([]), await code(1)];";
    let found = hostile(&place, source, &["--allow", "cell"]);
    assert_eq!(found, Json::from(vec!["malformed"; 4]));
}

/// Module names that lead to the host's files and builtins (CVE-2026-43998 by symbolic links, CVE-2026-43999 and CVE-2026-47140
/// by builtins): while the program is read, and while it runs.
#[test]
fn n08_module_resolution() {
    let place = Place::new();
    place.file("outside.js", "export default 'outside';");
    place.file("app/inside.js", "export default 'inside';");
    std::os::unix::fs::symlink(place.path("outside.js"), place.path("app/link.js")).expect("a link");
    std::os::unix::fs::symlink(place.root(), place.path("app/up")).expect("a link");
    let outside = [
        ("../../etc/passwd", "path_not_granted"),
        ("../outside.js", "path_not_granted"),
        ("./x/../../outside.js", "path_not_granted"),
        ("./link.js", "path_not_granted"),
        ("./up/outside.js", "path_not_granted"),
        ("/etc/passwd", "not_found"),
        ("file:///etc/passwd", "not_found"),
        ("node:fs", "not_found"),
        ("NODE:fs", "not_found"),
        ("fs", "not_found"),
        ("module", "not_found"),
        ("process", "not_found"),
        ("inspector/promises", "not_found"),
        ("child_process", "not_found"),
        ("vm2", "not_found"),
        ("data:text/javascript,export default 1", "not_found"),
        ("https://example.com/a.js", "not_found"),
        ("./%2e%2e/outside.js", "not_found"),
        ("./..%2foutside.js", "not_found"),
    ];
    for (specifier, code) in outside {
        place.file("app/main.mjs", &format!("import x from '{specifier}';\nexport default x;"));
        let error = place.lockgate(&["run", "app/main.mjs"]).error(1, code);
        assert_eq!((&error["file"], &error["line"]), (&json!("main.mjs"), &json!(1)), "{error}");
        place.file("app/main.cjs", &format!("module.exports = require('{specifier}');"));
        place.lockgate(&["run", "app/main.cjs"]).error(1, code);
    }
    // Computed names are not read ahead, so nothing stands behind them at all.
    let names: Vec<&str> = outside.iter().map(|(specifier, _)| *specifier).collect();
    let script = format!(
        "export default Promise.all({}.map(name => import(name.slice()).then(() => 'loaded', error => error.code)))",
        serde_json::to_string(&names).expect("JSON")
    );
    place.file("app/main.mjs", &script);
    let loaded = place.lockgate(&["run", "app/main.mjs"]).value();
    assert_eq!(loaded, Json::from(vec!["ERR_MODULE_NOT_FOUND"; names.len()]));
    place.file("app/main.mjs", "import x from './inside.js'; export default x;");
    assert_eq!(place.lockgate(&["run", "app/main.mjs"]).value(), "inside");
}

/// Objects of the host left within reach (CVE-2026-43999, CVE-2026-47140): the globals are exactly these.
#[test]
fn n08_host_builtins() {
    const GLOBALS: &str = "AbortController AbortSignal AggregateError Array ArrayBuffer AsyncDisposableStack BigInt \
        BigInt64Array BigUint64Array Blob Boolean Crypto CustomEvent DOMException DataView Date DisposableStack Error EvalError \
        Event EventTarget File FinalizationRegistry Float16Array Float32Array Float64Array FormData Function Headers Infinity \
        Int16Array Int32Array Int8Array InternalError Iterator JSON LockgateError Map Math NaN Number Object Performance Promise \
        Proxy RangeError ReferenceError Reflect RegExp Request Response Set String SubtleCrypto SuppressedError Symbol \
        SyntaxError TextDecoder TextEncoder TypeError URIError URL URLSearchParams Uint16Array Uint32Array Uint8Array \
        Uint8ClampedArray WeakMap WeakRef WeakSet atob btoa clearImmediate clearInterval clearTimeout console crypto decodeURI \
        decodeURIComponent encodeURI encodeURIComponent escape eval globalThis isFinite isNaN lockgate parseFloat parseInt \
        performance queueMicrotask setImmediate setInterval setTimeout structuredClone undefined unescape";
    let place = Place::new();
    let globals = place.eval("Object.getOwnPropertyNames(globalThis).sort().join(' ')", &[]).value();
    assert_eq!(globals, GLOBALS.split_whitespace().collect::<Vec<_>>().join(" "));
    // Whatever can be reached from the global object, by any property or prototype, is of this realm.
    let found = hostile(
        &place,
        r#"
        const visited = new Set(), waiting = [globalThis, new.target, async () => {}, function* () {}, async function* () {}];
        const bad = [];
        while (waiting.length) {
          const value = waiting.pop();
          if (Object(value) !== value || visited.has(value)) continue;
          visited.add(value);
          let last = value;
          for (let up = value; up !== null; up = Object.getPrototypeOf(up)) last = up;
          if (last !== Object.prototype && Object.getPrototypeOf(value) !== null) bad.push(String(value.name ?? value));
          waiting.push(Object.getPrototypeOf(value));
          for (const key of Reflect.ownKeys(value)) {
            const property = Object.getOwnPropertyDescriptor(value, key);
            if (NAMES.includes(key) && value === globalThis) bad.push(key);
            waiting.push(property.value, property.get, property.set);
          }
        }
        return { bad, many: visited.size > 500 };
        "#,
        &[],
    );
    assert_eq!(found, json!({"bad": [], "many": true}));
    // In CommonJS `require` is there, and has none of its host's ways to more.
    place.file("m.cjs", "module.exports = [typeof process, typeof global, typeof require.extensions, typeof module.constructor._load, typeof module.parent, Object.keys(require.cache).join(), require('module')]");
    place.lockgate(&["run", "m.cjs"]).error(1, "not_found");
    place.file("m.cjs", "module.exports = [typeof process, typeof global, typeof require.extensions, typeof module.constructor._load, typeof require.main.constructor._load]");
    let none = "undefined";
    assert_eq!(place.lockgate(&["run", "m.cjs"]).value(), json!([none, none, none, none, none]));
}

/// State that all cells of a process would share (CVE-2021-23449, CVE-2022-25893 by the prototypes of the host): a cell that
/// breaks everything within its reach leaves the next one of the same worker as new.
#[test]
fn n08_process_wide_state() {
    let place = Place::new();
    let found = hostile(
        &place,
        r#"
        const look = `export default async () => [typeof Object.prototype.polluted, typeof globalThis.left, JSON.stringify({ a: 1 }), [1, 2].map(x => x + 1),
          Symbol.keyFor(Symbol.for("left")), typeof Array.prototype.map, String(new Date(0).getTime()), Object.keys(lockgate).sort().join(), Math.max(1, 2), Error.prepareStackTrace === undefined]`;
        const pollute = `Object.prototype.polluted = 1; globalThis.left = 1; JSON.stringify = () => "broken"; Array.prototype.map = 1; lockgate.mine = 1;
          Date.prototype.getTime = () => 7; Math.max = () => 0; Promise.prototype.then = null; Error.prepareStackTrace = () => 1; RegExp.prototype.exec = null;
          Object.setPrototypeOf(Array.prototype, { weird: 1 }); globalThis.Object = null; export default 1`;
        const run = async source => (await lockgate.spawn(source)).result();
        const before = await run(look);
        const broken = await caught(() => run(pollute)).then(v => v instanceof Error ? v.code : v);
        const after = await run(look);
        Object.prototype.polluted = 2; globalThis.left = 2; JSON.stringify = 3;
        return { before, broken, after, third: await run(look) };
        "#,
        &["--allow", "cell"],
    );
    let clean = json!([
        "undefined",
        "undefined",
        "{\"a\":1}",
        [2, 3],
        "left",
        "function",
        "0",
        "clock,parent,random,sealed",
        2,
        true
    ]);
    assert_eq!((&found["before"], &found["after"], &found["third"]), (&clean, &clean, &clean));
    // And the next program starts as new too.
    assert_eq!(place.eval("typeof Object.prototype.polluted", &[]).value(), "undefined");
}

/// Timers run later, in the host's hands (CVE-2026-44001: an error out of a callback ends the host): code in text is refused, the
/// callback sees nothing of the host, and its error is the program's.
#[test]
fn n08_timers() {
    let place = Place::new();
    let found = hostile(
        &place,
        r#"
        const seen = [];
        const id = setTimeout(() => {}, 1e6);
        clearTimeout(id);
        const text = await caught(() => setTimeout("globalThis.ran = 1", 0)).then(e => e.name);
        await new Promise(done => setTimeout(function (...values) { seen.push(this, ...values); done(); }, 1, { a: 1 }));
        await new Promise(done => setImmediate(function (...values) { seen.push(this, ...values); done(); }));
        queueMicrotask(() => seen.push("microtask"));
        await new Promise(done => setTimeout(done, NaN));
        await new Promise(done => setTimeout(done, -5));
        return { foreign: all(seen), id: typeof id, text, ran: typeof globalThis.ran, unref: typeof id.unref, constructor: typeof id.constructor.constructor("return typeof process")() };
        "#,
        &[],
    );
    assert_eq!(
        found,
        json!({"foreign": [], "id": "number", "text": "TypeError", "ran": "undefined", "unref": "undefined", "constructor": "string"})
    );
    place
        .eval("setTimeout(() => { throw new Error('late'); }, 0); new Promise(r => setTimeout(r, 50))", &[])
        .error(1, "program_failed");
    // A child's timers end with it.
    let found = hostile(
        &place,
        "const child = await lockgate.spawn('setInterval(() => lockgate.parent.send(1), 1); export default 5'); const value = await child.result();
         return [value, await caught(() => child.receive()).then(e => e.code)];",
        &["--allow", "cell"],
    );
    assert_eq!(found, json!([5, "unknown_child"]));
}

/// No error that a guest can catch says anything of the machine or of how the gate is made.
#[test]
fn n07_error_text_says_nothing_of_the_host() {
    let (place, _) = with_data();
    let (port, _) = serve();
    std::os::unix::fs::symlink("/etc/passwd", place.path("data/link")).expect("a link");
    std::fs::create_dir(place.path("data/dir")).expect("made");
    place.file("data/dir/x", "");
    place.file(
        "lockgate.toml",
        &format!(
            "[fs.data]\npath = \"data\"\nallow = [\"read\", \"list\", \"stat\", \"write\", \"mkdir\", \"remove\"]\n[kv.notes]\nallow = [\"get\", \"set\"]\nprefix = \"a/\"\n[cell]\n[http.local]\nhosts = [\"127.0.0.1\"]\nschemes = [\"http\", \"https\"]\nports = [{port}, 1]\nprivate = true\n"
        ),
    );
    let found = hostile(
        &place,
        &r#"
        const { data } = lockgate.fs, { notes } = lockgate.kv, errors = [];
        const files = ["nope", "nope/deep", "../x", "/etc/passwd", "link", "dir", "a.txt/x", "a\0b", "a\\b", "", "x".repeat(300), "x/".repeat(3000)];
        const works = files.flatMap(path => [() => data.read(path), () => data.list(path + "/nope"), () => data.stat(path + "\0"), () => data.mkdir(path)]);
        works.push(() => data.remove("dir"), () => data.mkdir("dir"), () => data.write("dir", "x"), () => data.write("link", "x"), () => data.read(1), () => data.read(),
          () => data.write("x", 5), () => data.write("x", {}), () => notes.set("b/x", 1), () => notes.get(1), () => notes.set("a/x", () => 1), () => notes.set("a/x", 1n),
          () => fetch("http://127.0.0.1:1/"), () => fetch("https://127.0.0.1:PORT/"), () => fetch("http://127.0.0.1:PORT/broken").then(r => r.text()), () => fetch("http://127.0.0.1:2/"),
          () => fetch("http://nowhere.invalid/"), () => fetch("ftp://a/"), () => fetch("http://[::1]/"), () => fetch("http://127.0.0.1:PORT/", { method: "B AD" }),
          () => fetch("http://127.0.0.1:PORT/", { headers: { "a b": "c" } }), () => fetch("http://127.0.0.1:PORT/", { headers: { host: "evil" } }), () => fetch("http://127.0.0.1:PORT/redirect"),
          () => lockgate.spawn("syntax error here"), () => lockgate.spawn(1), () => lockgate.spawn("throw 1").then(c => c.result()), () => lockgate.spawn("import 'fs'"),
          () => lockgate.clock.sleep("x"), () => lockgate.clock.sleep(-1), () => lockgate.random.bytes(-1), () => lockgate.random.bytes(1e12), () => lockgate.random.bytes("x"),
          () => import("node:" + "fs"), () => JSON.parse("{"), () => new RegExp("("), () => eval("("), () => crypto.subtle.digest("MD5", new Uint8Array()), () => new TextDecoder("x"));
        for (const work of works) {
          try { await work(); } catch (error) { errors.push([error.name, error.code, error.message, error.hint, error.stack].join(" | ")); }
        }
        return errors;
        "#
        .replace("PORT", &port.to_string()),
        &["--manifest", "lockgate.toml"],
    );
    let errors = found.as_array().expect("a list");
    assert!(errors.len() > 70, "only {} errors: {found}", errors.len());
    let root = place.root().display().to_string();
    let forbidden = [
        root.as_str(),
        "/tmp",
        "/root",
        "/home",
        "/work",
        ".rs:",
        ".rs ",
        "::",
        "panick",
        "os error",
        "Os {",
        "Err(",
        "Some(",
        "None",
        "unwrap",
        "rustls",
        "hyper",
        "tokio",
        "reqwest",
        "rusqlite",
        "sqlite",
        "SQLite",
        "serde",
        "minicbor",
        "wasm",
        "rquickjs",
        "QuickJS",
        "rustix",
        "errno",
        "ENOENT",
        "root:",
    ];
    for error in errors {
        let text = error
            .as_str()
            .expect("text")
            .replace("`/etc/passwd`", "")
            .replace("[::1]", "")
            .replace("http://[::1]/", "");
        for word in forbidden {
            assert!(!text.contains(word), "`{word}` is in: {text}");
        }
    }
}

// What a grant gives

#[test]
fn n04_what_was_not_granted_does_not_exist() {
    let place = Place::new();
    let look = "[typeof fetch, 'fs' in lockgate, 'kv' in lockgate, 'tools' in lockgate, 'spawn' in lockgate, 'parent' in lockgate]";
    assert_eq!(place.eval(look, &[]).value(), json!(["undefined", false, false, false, false, false]));
    let flags = ["--allow", "fs:data=.", "--allow", "kv:notes", "--allow", "http:example.com", "--allow", "cell"];
    assert_eq!(place.eval(look, &flags).value(), json!(["function", true, true, false, true, false]));
    let names = "[Object.keys(lockgate.fs), Object.keys(lockgate.kv)]";
    assert_eq!(place.eval(names, &flags).value(), json!([["data"], ["notes"]]));
}

#[test]
fn n06_paths_and_links_lead_nowhere_else() {
    let (place, flags) = with_data();
    place.file("data-sibling/secret", "secret");
    place.file("data/dir/b.txt", "b");
    for (link, target) in [
        ("passwd", "/etc/passwd"),
        ("sibling", "../data-sibling"),
        ("secret", "../data-sibling/secret"),
        ("self", "."),
        ("fine", "a.txt"),
    ] {
        std::os::unix::fs::symlink(target, place.path("data").join(link)).expect("a link");
    }
    std::fs::hard_link(place.path("data/a.txt"), place.path("data/hard")).expect("a hard link");
    let names = [
        "passwd",
        "sibling/secret",
        "secret",
        "self/a.txt",
        "fine",
        "../data-sibling/secret",
        "dir/../a.txt",
        "dir/../../data-sibling/secret",
        "/etc/passwd",
        "..",
        "dir/..\\..\\x",
        "a.txt\0",
    ];
    let found = hostile(
        &place,
        &format!(
            "const {{ data }} = lockgate.fs, out = [];
             for (const name of {}) for (const op of ['read', 'stat', 'list', 'mkdir', 'write', 'remove'])
               out.push(await caught(() => data[op](name, 'x')).then(e => e instanceof Error ? e.code : `${{op}} ${{name}} done`));
             out.push(await data.readText('hard'), await data.readText('./dir//b.txt'), await caught(() => data.read('A.TXT')).then(e => e.code), await caught(() => data.read('%2e%2e/data-sibling/secret')).then(e => e.code));
             return out;",
            serde_json::to_string(&names).expect("JSON")
        ),
        &flags,
    );
    let found = found.as_array().expect("a list");
    let (inside, last) = found.split_at(found.len() - 4);
    // A link itself may be removed: it is an entry of the directory, like any other.
    let removed: Vec<&str> = inside.iter().filter_map(Json::as_str).filter(|code| code.ends_with(" done")).collect();
    assert!(removed.iter().all(|done| done.starts_with("remove ") && !done.contains('/')), "{removed:?}");
    let codes = inside.iter().filter_map(Json::as_str).filter(|code| !code.ends_with(" done"));
    for code in codes {
        assert!(["path_not_granted", "already_exists", "not_found"].contains(&code), "{code}: {found:?}");
    }
    assert_eq!(last, [json!("a text"), json!("b"), json!("not_found"), json!("not_found")]);
    assert_eq!(place.read("data-sibling/secret"), "secret");
    assert_eq!(std::fs::read_dir(place.path("data-sibling")).expect("listed").count(), 1);
}

#[test]
fn n23_time_and_randomness_are_what_the_manifest_says() {
    let place = Place::new();
    let source = "export default async () => {
      const text = () => [Date.now(), performance.now(), Math.random(), crypto.randomUUID(), new Date().toISOString()];
      const first = text();
      await lockgate.clock.sleep(5);
      const [a, b] = [await lockgate.clock.now(), [...await lockgate.random.bytes(4)]];
      return [first, text(), a, b.length];
    };";
    let run = |seed: u32| {
        place.file("fixed.toml", &format!("[clock]\nmode = \"frozen\"\nat = \"2026-01-01T00:00:00Z\"\n[random]\nmode = \"seeded\"\nseed = {seed}\n"));
        place.program(source, &["--manifest", "fixed.toml"]).value()
    };
    let (first, second, other) = (run(42), run(42), run(43));
    assert_eq!(first, second);
    assert_ne!(first[0][2], other[0][2]);
    assert_ne!(first[0][2], first[1][2], "the generator moves on");
    assert_eq!(first[0][4], "2026-01-01T00:00:00.000Z");
    assert_eq!(first[0][0], first[1][0], "frozen means frozen");
    let moving = "export default async () => {
      const start = Date.now();
      for (let i = 0; i < 3e5; i++);
      const busy = Date.now() - start, precise = performance.now() - performance.now();
      await lockgate.clock.sleep(30);
      return [busy, precise, Date.now() - start >= 30];
    };";
    assert_eq!(place.program(moving, &[]).value(), json!([0, 0, true]));
    let two = |_| place.eval("Math.random()", &[]).value();
    assert_ne!(two(1), two(2), "two cells of one image draw different numbers");
}

#[test]
fn a06_a_refusal_is_a_value_with_a_documented_code() {
    let (place, _) = with_data();
    let found = hostile(
        &place,
        "const error = await caught(() => lockgate.fs.data.write('x', 'x'));
         return [error instanceof LockgateError, error instanceof Error, error.name, error.code, typeof error.message, 'and it goes on'];",
        &["--allow", "fs:data=data:read"],
    );
    assert_eq!(found, json!([true, true, "LockgateError", "op_not_granted", "string", "and it goes on"]));
    let refusals = place.entries_of("refusal");
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0]["body"]["code"], "op_not_granted");
    let reasons = include_str!("../../../docs/reasons.md");
    assert!(reasons.contains("| `op_not_granted` |"));
    let error =
        place.program("export default () => lockgate.fs.data.write('x', 'x')", &["--allow", "fs:data=data:read"]);
    assert_eq!(error.error(1, "program_failed")["name"], "LockgateError");
}

#[test]
fn a01_files_stores_and_the_console_work_end_to_end() {
    let (place, flags) = with_data();
    let source = r#"
        const { data } = lockgate.fs;
        await data.mkdir("sub");
        await data.write("sub/t.txt", "one");
        await data.write("sub/t.txt", " two", { append: true });
        await data.write("sub/b.bin", new Uint8Array([0, 255, 10]));
        const { kind, size } = await data.stat("sub/t.txt");
        const listed = (await data.list("sub")).map(entry => entry.name + ":" + entry.size).sort();
        const bytes = [...await data.read("sub/b.bin")];
        await data.remove("sub/b.bin");
        const fs = await import("node:fs/promises");
        console.warn("written", { kind, size });
        return [kind, size, listed, bytes, await data.readText("sub/t.txt"), await fs.readFile("/data/a.txt", "utf8")];
    "#;
    let found = hostile(&place, source, &flags);
    assert_eq!(found, json!(["file", 7, ["b.bin:3", "t.txt:7"], [0, 255, 10], "one two", "a text"]));
    assert_eq!(place.read("data/sub/t.txt"), "one two");
    assert!(!place.path("data/sub/b.bin").exists());

    let kv = ["--allow", "kv:notes"];
    let set = "const { notes } = lockgate.kv; await notes.set('a/1', { deep: [1, null, 'x'] }); await notes.set('a/2', 2); return [await notes.get('none') === undefined, await notes.list('a/')];";
    assert_eq!(hostile(&place, set, &kv), json!([true, ["a/1", "a/2"]]));
    let get = "const { notes } = lockgate.kv; return [await notes.get('a/1'), await notes.delete('a/2'), await notes.delete('a/2'), await notes.list()];";
    assert_eq!(hostile(&place, get, &kv), json!([{"deep": [1, null, "x"]}, true, false, ["a/1"]]));
    place.verify();
}

/// A server on loopback: what it answers depends on the path. The second value counts its requests.
fn serve() -> (u16, std::sync::Arc<std::sync::atomic::AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = std::sync::Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            std::thread::spawn(move || answer(stream, port));
        }
    });
    (port, count)
}

fn answer(mut stream: TcpStream, port: u16) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("").to_owned();
    // The client may be gone: what cannot be sent is not this server's business.
    let mut send = |bytes: &[u8]| drop(stream.write_all(bytes));
    let length = |text: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nx-seen: yes\r\nconnection: close\r\n\r\n{text}", text.len())
    };
    match path.as_str() {
        "/redirect" => send(format!("HTTP/1.1 302 Found\r\nlocation: http://localhost:{port}/text\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes()),
        "/here" => send(format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/text\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes()),
        "/stream" => {
            send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
            for _ in 0..20 {
                send(b"186a0\r\n");
                send(&vec![b'x'; 100_000]);
                send(b"\r\n");
            }
            send(b"0\r\n\r\n");
        }
        "/broken" => send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nshort"),
        _ => send(length(&format!("hello from {path}")).as_bytes()),
    }
}

fn http_manifest(place: &Place, port: u16, more: &str) -> [&'static str; 2] {
    place.file(
        "http.toml",
        &format!("[http.local]\nhosts = [\"127.0.0.1\"]\nschemes = [\"http\"]\nports = [{port}]\n{more}\n"),
    );
    ["--manifest", "http.toml"]
}

#[test]
fn a01_http_reaches_what_is_granted_and_nothing_else() {
    let place = Place::new();
    let (port, requests) = serve();
    let flags =
        http_manifest(&place, port, "private = true\npaths = [\"/text\", \"/redirect\", \"/here\", \"/stream\"]");
    let source = r#"
        const at = path => `http://127.0.0.1:PORT${path}`;
        const code = work => caught(work).then(v => v instanceof Error ? v.code : v.status);
        const response = await fetch(at("/text"));
        const body = await response.text();
        const before = [response.status, response.headers.get("x-seen"), body];
        const refused = [await code(() => fetch(at("/text"), { method: "POST", body: "x" })), await code(() => fetch("http://localhost:PORT/text")), await code(() => fetch("http://127.0.0.1:1/text")),
          await code(() => fetch("https://127.0.0.1:PORT/text")), await code(() => fetch(at("/textual"))), await code(() => fetch(at("/text/%2e%2e/other"))), await code(() => fetch(at("/text/%252e%252e/other")))];
        return { before, refused, redirect: await code(() => fetch(at("/redirect"))), here: await fetch(at("/here")).then(r => r.text()),
          spellings: [await code(() => fetch("http://0x7f000001:PORT/text")), await code(() => fetch("http://2130706433:PORT/text")), await code(() => fetch("http://[::ffff:7f00:1]:PORT/text"))] };
    "#;
    let found = hostile(&place, &source.replace("PORT", &port.to_string()), &flags);
    assert_eq!(found["before"], json!([200, "yes", "hello from /text"]));
    assert_eq!(
        found["refused"],
        json!([
            "method_not_granted",
            "host_not_granted",
            "port_not_granted",
            "scheme_not_granted",
            "url_path_not_granted",
            "url_path_not_granted",
            "url_refused"
        ])
    );
    assert_eq!((&found["redirect"], &found["here"]), (&json!("redirect_refused"), &json!("hello from /text")));
    assert_eq!(found["spellings"], json!([200, 200, 200]), "every spelling of one address is that address");
    // One for the text, one for each redirect, one for its target, three for the spellings.
    assert_eq!(requests.load(std::sync::atomic::Ordering::SeqCst), 7, "a refused request reached the server");
}

#[test]
fn a01_private_addresses_need_a_word_of_their_own() {
    let place = Place::new();
    let (port, requests) = serve();
    // By literal the manifest itself is refused.
    let flags = http_manifest(&place, port, "");
    let error = place.eval("1", &flags).error(2, "misconfigured");
    assert!(error.to_string().contains("private = true"), "{error}");
    // By wildcard the address is only known at run time.
    place.file("wide.toml", "[http.any]\nhosts = [\"*\"]\nschemes = [\"https\"]\n");
    let asked = "Promise.all(['localhost', '127.0.0.1', '[::1]', '169.254.169.254', '10.0.0.1', '[::ffff:127.0.0.1]'].map(host => fetch(`https://${host}/`).then(() => 'reached', e => e.code)))";
    let ran = place.eval(asked, &["--manifest", "wide.toml"]);
    if ran.status == 2 {
        assert!(ran.json()["error"].to_string().contains("http.any"), "{ran:?}");
    } else {
        assert_eq!(ran.value(), Json::from(vec!["private_address"; 6]));
    }
    assert_eq!(requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a01_a_body_streams_in_parts() {
    let place = Place::new();
    let (port, _) = serve();
    let flags = http_manifest(&place, port, "private = true");
    let source = "const response = await fetch('http://127.0.0.1:PORT/stream'); let parts = 0, bytes = 0;
        for await (const part of response.body) { parts++; bytes += part.length; }
        return [parts > 1, bytes];";
    assert_eq!(hostile(&place, &source.replace("PORT", &port.to_string()), &flags), json!([true, 2_000_000]));
    let flags = http_manifest(&place, port, "private = true\nresponse_bytes = \"1MiB\"");
    let source =
        "return caught(() => fetch('http://127.0.0.1:PORT/stream').then(r => r.arrayBuffer())).then(e => e.code);";
    assert_eq!(hostile(&place, &source.replace("PORT", &port.to_string()), &flags), json!("too_large"));
}

#[test]
fn a01_parents_and_children_talk_and_end() {
    let place = Place::new();
    let source = r#"
        const child = await lockgate.spawn(`export default async input => {
          const got = await lockgate.parent.receive();
          await lockgate.parent.send({ twice: got.n * 2 });
          return [input, got];
        }`, { input: "in", name: "talker" });
        await child.send({ n: 21 });
        const answer = await child.receive();
        const result = await child.result();
        const thrown = await lockgate.spawn("throw new TypeError('child')");
        const failed = await caught(() => thrown.result()).then(e => [e.code, e.message.includes("TypeError: child")]);
        const endless = await lockgate.spawn("export default lockgate.clock.sleep(1e9)");
        await endless.stop();
        const looping = await lockgate.spawn("for (;;);", { limits: { cpu: "50ms" } });
        return [answer, result, failed, await caught(() => endless.result()).then(e => e.name), await caught(() => looping.result()).then(e => e.code)];
    "#;
    let found = hostile(&place, source, &["--allow", "cell"]);
    assert_eq!(
        found,
        json!([{"twice": 42}, ["in", {"n": 21}], ["child_failed", true], "LockgateError", "child_failed"])
    );
    place.verify();
}

#[test]
fn a14_what_a_child_spends_is_spent_on_its_parents_grant() {
    let (place, _) = with_data();
    place.file("budget.toml", "[fs.data]\npath = \"data\"\nallow = [\"read\"]\ncalls = 3\n[cell]\n");
    let source = r#"
        const read = () => caught(() => lockgate.fs.data.readText("a.txt")).then(v => v instanceof Error ? v.code : v);
        const child = `const read = () => lockgate.fs.data.readText("a.txt").catch(e => e.code);
          export default async () => [await read(), await read(), await read()]`;
        const mine = await read();
        const started = await lockgate.spawn(child, { grants: [{ kind: "fs", name: "data" }] });
        return [mine, await started.result(), await read()];
    "#;
    let found = hostile(&place, source, &["--manifest", "budget.toml"]);
    assert_eq!(found, json!(["a text", ["a text", "a text", "budget_calls"], "budget_calls"]));
}
