//! User code that replaces the language's own functions harms itself and nothing else.

use serde_json::json;

use crate::support::*;

/// Replaces what a program can reach of the language, so that a use of it throws.
const SABOTAGE: &str = "
    const Plain = Error; const bomb = (what) => function () { throw new Plain('sabotage: ' + what) };
    const protos = [Array.prototype, Map.prototype, Set.prototype, Promise.prototype, Function.prototype, String.prototype, RegExp.prototype, Object.getPrototypeOf(Uint8Array.prototype)];
    const { ownKeys, getOwnPropertyDescriptor, defineProperty } = Reflect; const S = String;
    for (let i = 0; i < protos.length; i++) {
        const proto = protos[i]; const keys = ownKeys(proto);
        for (let j = 0; j < keys.length; j++) {
            const key = keys[j]; const d = getOwnPropertyDescriptor(proto, key);
            if (key !== 'constructor' && d.configurable && typeof d.value === 'function') defineProperty(proto, key, {__proto__: null, value: bomb(S(key)), configurable: true, writable: true});
        }
    }
    const setters = ['toJSON', 'get', 'set', 'value', 'writable', 'path', 'handle', 'kind', 'then', 'done', 'text', 'stream', 'fatal'];
    for (let i = 0; i < setters.length; i++) defineProperty(Object.prototype, setters[i], {__proto__: null, set: bomb('set ' + setters[i]), configurable: true});
    const names = ['Promise', 'Map', 'Set', 'Array', 'Object', 'Reflect', 'Uint8Array', 'TypeError', 'JSON', 'TextDecoder', 'DOMException', 'Error'];
    for (let i = 0; i < names.length; i++) globalThis[names[i]] = bomb(names[i]);
";

#[test]
fn n08_requests_survive_replaced_built_ins() {
    let source = format!(
        "{SABOTAGE} (async () => {{ const text = await lockgate.fs.data.readText('a'); await lockgate.kv.s.set('k', [{{a: text}}]); console.log(text, [1, {{b: 2}}]);
           await new this.constructor.constructor('return 1'); }})().catch"
    );
    // The program's own promise methods are bombs, so it can only use `await`.
    let source = source.replace("await new this.constructor.constructor('return 1'); })().catch", "return text })()");
    let start = Start::new(0, &source).grant("fs", "data", json!(null)).grant("kv", "s", json!(null)).grant(
        "log",
        "log",
        json!(null),
    );
    let turn = Cell::new().run(&start, |_, request| match request.op.as_str() {
        "read" => Ok(Val::Bytes("hé".into())),
        _ => Ok(json!(null).into()),
    });
    assert_eq!(turn.done(), json!("hé"));
    assert_eq!(turn.text(), "hé [ 1, { b: 2 } ]");
    assert!(
        turn.requests.iter().any(|r| r.op == "set" && r.args.json() == json!({"key": "k", "value": [{"a": "hé"}]}))
    );
}

#[test]
fn n08_the_web_s_globals_survive_replaced_built_ins() {
    let source = format!(
        "{SABOTAGE} const u = new URL('http://a/?x=1'); u.searchParams.set('y', '2'); [u.href, new TextEncoder().encode('é').length, structuredClone({{a: [1, {{b: 2}}]}}), crypto.randomUUID().length, performance.now()]"
    );
    assert_eq!(eval(&source), json!(["http://a/?x=1&y=2", 2, {"a": [1, {"b": 2}]}, 36, 0]));
}

#[test]
fn n08_failures_survive_replaced_built_ins() {
    let source = format!("const E = Error; {SABOTAGE} throw new E('still')");
    assert_eq!(Cell::new().start(&Start::new(0, &source)).failed().message, "still");
    let source = format!("{SABOTAGE} throw {{a: 1}}");
    assert_eq!(Cell::new().start(&Start::new(0, &source)).failed().message, "{ a: 1 }");
}

#[test]
fn n08_timers_and_modules_survive_replaced_built_ins() {
    let source = format!(
        "const P = Promise; {SABOTAGE} export default async () => {{ await new P((done) => setTimeout(done, 5)); const m = await import('./m.js'); return m.default }}"
    );
    let start = Start::new(1, &source)
        .module("m.js", "module.exports = require('./n.json')", CJS)
        .module("n.json", "[1]", JSON)
        .grant("clock", "clock", json!(null));
    let turn = Cell::new().run(&start, |_, _| Ok(json!(null).into()));
    assert_eq!(turn.done(), json!([1]));
}

#[test]
fn n08_species_and_constructor_tricks_get_no_internal_value() {
    let source = "const stolen = []; const spy = { get(t, k, r) { return Reflect.get(t, k, r) } };
        class Thief extends Promise { constructor(f) { super(f); stolen.push('promise') } }
        Object.defineProperty(Promise.prototype, 'constructor', {get() { return Thief }});
        Object.defineProperty(Array, Symbol.species, {get() { return class { constructor() { stolen.push('array') } } }});
        (async () => { setTimeout(() => {}, 1); const t = new EventTarget(); t.addEventListener('x', () => {}); t.dispatchEvent(new Event('x')); return stolen })()";
    let turn =
        Cell::new().run(&Start::new(0, source).grant("clock", "clock", json!(null)), |_, _| Ok(json!(null).into()));
    assert_eq!(turn.done(), json!([]));
}

#[test]
fn n08_the_functions_of_the_guest_lead_nowhere() {
    let source = "const found = []; const seen = new Set(); const walk = (o, path) => {
            if ((typeof o !== 'object' && typeof o !== 'function') || o === null || seen.has(o) || path.length > 12) return; seen.add(o);
            for (const k of Reflect.ownKeys(o)) { const d = Reflect.getOwnPropertyDescriptor(o, k); if (!d) continue;
                if (['native', 'kit', 'urlParse', 'promiseState', 'bareError', 'notify', 'fillRandom'].includes(k)) found.push([...path, String(k)].join('.'));
                walk(d.value, [...path, String(k)]); walk(d.get, [...path, 'get ' + String(k)]); }
            walk(Reflect.getPrototypeOf(o), [...path, '[[proto]]']) };
        walk(globalThis, ['globalThis']); found";
    let start = Start::new(0, source)
        .grant("fs", "data", json!(null))
        .grant("clock", "c", json!(null))
        .grant("log", "l", json!(null))
        .grant("http", "http", json!(null));
    assert_eq!(Cell::new().start(&start).done(), json!([]));
}

#[test]
fn n08_a_wrong_receiver_is_a_type_error() {
    let source = "const calls = [() => URL.prototype.href, () => Reflect.get(URL.prototype, 'href', {}), () => Headers.prototype.get.call({}, 'a'), () => AbortSignal.prototype.throwIfAborted.call({}), () => TextDecoder.prototype.decode.call({}), () => Event.prototype.preventDefault.call(1), () => Response.prototype.text.call({}), () => EventTarget.prototype.dispatchEvent.call({}, new Event('x'))];
        Promise.all(calls.map(async f => { try { await f(); return 'ok' } catch (e) { return e.name } }))";
    assert_eq!(eval(source), json!(vec!["TypeError"; 8]));
}
