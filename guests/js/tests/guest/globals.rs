//! The globals of the web that a cell has.

use serde_json::json;

use crate::support::*;

#[test]
fn n20_the_language_is_es2023_and_later() {
    let source = "class A { static #n = 1; static { this.m = A.#n + 1 } #p() { return 3 } p() { return this.#p() } }
        const {a, ...rest} = {a: 1, b: 2}; let q = null; q ??= 5;
        [A.m, new A().p(), rest, q, [3, 1, 2].toSorted(), [1, 2].with(0, 9), [1, 2, 3].findLast(x => x < 3), [1].at(-1), 'ab'.at(-1),
         Object.groupBy([1, 2, 3], x => x % 2 ? 'odd' : 'even'), 2n ** 64n === 18446744073709551616n, 1_000, [..._gen()],
         'aXbX'.replaceAll('X', '-'), /(?<y>\\d{4})/.exec('in 2024').groups.y, /\\p{L}/u.test('é'), Array.fromAsync !== undefined,
         new Set([1, 2]).union(new Set([3])).size, [1, [2, [3]]].flat(Infinity), structuredClone !== undefined, Promise.withResolvers !== undefined];
        function* _gen() { yield* [1, 2] }";
    let expected = json!([2, 3, {"b": 2}, 5, [1, 2, 3], [9, 2], 2, 1, "b", {"odd": [1, 3], "even": [2]}, true, 1000, [1, 2], "a-b-", "2024", true, true, 3, [1, 2, 3], true, true]);
    assert_eq!(eval(source), expected);
}

#[test]
fn n20_async_iteration() {
    let source = "(async () => { const out = []; async function* g() { yield 1; yield 2 } for await (const x of g()) out.push(x);
        out.push(await Array.fromAsync(g()), await Promise.allSettled([1, Promise.reject(2)]), await Promise.any([Promise.reject(1), 3])); return out })()";
    assert_eq!(
        eval(source),
        json!([1, 2, [1, 2], [{"status": "fulfilled", "value": 1}, {"status": "rejected", "reason": 2}], 3])
    );
}

#[test]
fn n20_url_parses_and_sets_its_parts() {
    let source = "const u = new URL('../c?x=1#h', 'https://user:pw@EXAMPLE.com:8080/a/b/'); const before = ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'].map(k => u[k]);
        u.pathname = '/ü'; u.search = 'q=a b'; u.port = '443'; u.protocol = 'http'; u.hash = ''; u.port = '80'; u.username = '';
        [before, u.href, String(u), JSON.stringify({u})]";
    assert_eq!(
        eval(source),
        json!([
            [
                "https://user:pw@example.com:8080/a/c?x=1#h",
                "https://example.com:8080",
                "https:",
                "user",
                "pw",
                "example.com:8080",
                "example.com",
                "8080",
                "/a/c",
                "?x=1",
                "#h"
            ],
            "http://:pw@example.com/%C3%BC?q=a%20b",
            "http://:pw@example.com/%C3%BC?q=a%20b",
            "{\"u\":\"http://:pw@example.com/%C3%BC?q=a%20b\"}"
        ])
    );
    assert_eq!(
        eval(
            "['nope', 'http://', 'http://[::1', 'http://a b'].map(x => { try { new URL(x); return 'ok' } catch (e) { return e.name + ' ' + e.code } })"
        ),
        json!([
            "TypeError ERR_INVALID_URL",
            "TypeError ERR_INVALID_URL",
            "TypeError ERR_INVALID_URL",
            "TypeError ERR_INVALID_URL"
        ])
    );
    assert_eq!(
        eval(
            "[URL.canParse('x:y'), URL.canParse('y'), URL.parse('z'), new URL('http://0x7f.1/').hostname, new URL('http://faß.de').hostname, new URL('http://a/%2e%2e/b').pathname]"
        ),
        json!([true, false, null, "127.0.0.1", "xn--fa-hia.de", "/b"])
    );
}

#[test]
fn n20_search_params_are_bound_to_their_url() {
    let source = "const u = new URL('http://a/?b=2&a=1&b=3'); const p = u.searchParams; const log = [p.get('b'), p.getAll('b'), p.has('c'), p.has('a', '2'), p.size, [...p]];
        p.append('c', 'x y&'); p.delete('b', '3'); p.set('a', 'é'); p.sort(); log.push(u.href, p.toString()); u.search = '?z=1'; log.push([...p.keys()], u.searchParams === p); p.delete('z'); log.push(u.href); log";
    assert_eq!(
        eval(source),
        json!([
            "2",
            ["2", "3"],
            false,
            false,
            3,
            [["b", "2"], ["a", "1"], ["b", "3"]],
            "http://a/?a=%C3%A9&b=2&c=x+y%26",
            "a=%C3%A9&b=2&c=x+y%26",
            ["z"],
            true,
            "http://a/"
        ])
    );
    assert_eq!(
        eval(
            "[new URLSearchParams({a: 1, b: [2, 3]}) + '', new URLSearchParams([['x', 'y']]) + '', new URLSearchParams(new Map([['m', 1]])) + '', new URLSearchParams('?a=%41+b&&=c') + '']"
        ),
        json!(["a=1&b=2%2C3", "x=y", "m=1", "a=A+b&=c"])
    );
}

#[test]
fn n20_text_encoder_and_decoder() {
    assert_eq!(
        eval(
            "[[...new TextEncoder().encode('aé😀\\ud800')], new TextEncoder().encodeInto('é😀', new Uint8Array(5)), new TextEncoder().encoding]"
        ),
        json!([[97, 195, 169, 240, 159, 152, 128, 239, 191, 189], {"read": 1, "written": 2}, "utf-8"])
    );
    let source = "const d = (label, bytes, o) => new TextDecoder(label, o).decode(new Uint8Array(bytes));
        [d('utf-8', [0xef, 0xbb, 0xbf, 97]), d('utf8', [0xef, 0xbb, 0xbf, 97], {ignoreBOM: true}), d('utf-8', [97, 0xff, 0xe2, 0x82]), d('utf-16le', [97, 0, 0x3d, 0xd8, 0, 0xde]), d('utf-16be', [0, 97]),
         d('latin1', [0xe9, 0x80]), new TextDecoder('ASCII').encoding, d('utf-16le', [97, 0, 5]), d('utf-8', [0xf0, 0x9f, 0x41])]";
    assert_eq!(
        eval(source),
        json!(["a", "\u{feff}a", "a\u{fffd}\u{fffd}", "a😀", "a", "é€", "windows-1252", "a\u{fffd}", "\u{fffd}A"])
    );
    let source = "const d = new TextDecoder(); const out = []; for (const b of [0xf0, 0x9f, 0x98, 0x80, 0xe2]) out.push(d.decode(new Uint8Array([b]), {stream: true})); out.push(d.decode(), d.decode(new Uint8Array([0xef, 0xbb, 0xbf, 98]))); out";
    assert_eq!(eval(source), json!(["", "", "", "😀", "", "\u{fffd}", "b"]));
    assert_eq!(
        eval("try { new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array([0xff])) } catch (e) { e.name }"),
        json!("TypeError")
    );
    assert_eq!(eval("try { new TextDecoder('klingon') } catch (e) { e.name }"), json!("RangeError"));
    assert_eq!(eval("new TextDecoder().decode(new DataView(new Uint8Array([97, 98, 99]).buffer, 1, 1))"), json!("b"));
}

#[test]
fn n20_structured_clone() {
    let source = "const shared = {s: 1}; const a = {d: new Date(5), r: /x/gi, m: new Map([[shared, new Set([1])]]), list: [1, , shared], b: new Uint8Array([1, 2, 3]).subarray(1), e: new RangeError('no'), n: Object(3), shared, u: undefined, big: 5n};
        a.self = a; const c = structuredClone(a);
        [c !== a, c.self === c, c.d instanceof Date && +c.d, String(c.r), [...c.m][0][0] === c.shared, [...[...c.m][0][1]], 1 in c.list, c.list.length, c.list[2] === c.shared, [...c.b], c.e instanceof RangeError && c.e.message, typeof c.n, 'u' in c, c.big === 5n]";
    assert_eq!(
        eval(source),
        json!([true, true, 5, "/x/gi", true, [1], false, 3, true, [2, 3], "no", "object", true, true])
    );
    assert_eq!(
        eval(
            "[() => 1, Symbol(), new WeakMap(), {f() {}}, Promise.resolve()].map(x => { try { structuredClone(x); return 'ok' } catch (e) { return [e.name, e.code, e instanceof DOMException] } })"
        ),
        json!([
            ["DataCloneError", 25, true],
            ["DataCloneError", 25, true],
            ["DataCloneError", 25, true],
            ["DataCloneError", 25, true],
            ["DataCloneError", 25, true]
        ])
    );
    assert_eq!(
        eval(
            "const b = new ArrayBuffer(4); const c = structuredClone({b}, {transfer: [b]}); [b.byteLength, b.detached, c.b.byteLength]"
        ),
        json!([0, true, 4])
    );
}

#[test]
fn n20_base64() {
    assert_eq!(eval("[btoa('a\\xff'), atob('YQ=='), atob(' Y Q ')]"), json!(["Yf8=", "a", "a"]));
    assert_eq!(
        eval("[() => btoa('é€'), () => atob('a')].map(f => { try { f() } catch (e) { return e.name } })"),
        json!(["InvalidCharacterError", "InvalidCharacterError"])
    );
}

#[test]
fn n20_crypto() {
    let source = "(async () => { const hex = (b) => [...new Uint8Array(b)].map(x => x.toString(16).padStart(2, '0')).join(''); const out = [];
        for (const a of ['SHA-1', 'sha-256', {name: 'SHA-384'}, 'SHA-512']) out.push(hex(await crypto.subtle.digest(a, new TextEncoder().encode('abc'))).slice(0, 16));
        out.push(await crypto.subtle.digest('MD5', new Uint8Array()).catch(e => e.name)); return out })()";
    assert_eq!(
        eval(source),
        json!(["a9993e364706816a", "ba7816bf8f01cfea", "cb00753f45a35e8b", "ddaf35a193617aba", "NotSupportedError"])
    );
    assert_eq!(
        eval("/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())"),
        json!(true)
    );
    assert_eq!(
        eval(
            "[new Float64Array(1), new Uint8Array(65537), {}].map(a => { try { crypto.getRandomValues(a) } catch (e) { return e.name } })"
        ),
        json!(["TypeMismatchError", "QuotaExceededError", "TypeMismatchError"])
    );
    assert_eq!(
        eval(
            "const a = new Uint32Array(4); [crypto.getRandomValues(a) === a, a.some(x => x > 0), new Set(Array.from({length: 100}, Math.random)).size, Math.random() < 1]"
        ),
        json!([true, true, 100, true])
    );
}

#[test]
fn n20_events_and_abort() {
    let source = "const seen = []; const t = new EventTarget(); const once = () => seen.push('once'); t.addEventListener('x', once, {once: true}); t.addEventListener('x', once, {once: true});
        t.addEventListener('x', {handleEvent(e) { seen.push(e.type, e.target === t, this !== undefined); e.preventDefault() }}); const c = new AbortController(); t.addEventListener('x', () => seen.push('gone'), {signal: c.signal}); c.abort();
        const r = t.dispatchEvent(new Event('x', {cancelable: true})); t.dispatchEvent(new CustomEvent('x', {detail: 5})); [seen, r]";
    assert_eq!(eval(source), json!([["once", "x", true, true, "x", true, true], false]));
    let source = "const c = new AbortController(); const any = AbortSignal.any([new AbortController().signal, c.signal]); const seen = []; any.onabort = (e) => seen.push(e.type, any.reason.name); const pre = any.aborted; c.abort(); c.abort('again');
        let thrown; try { any.throwIfAborted() } catch (e) { thrown = [e.name, e instanceof DOMException] } [pre, seen, any.aborted, thrown, AbortSignal.abort('why').reason]";
    assert_eq!(eval(source), json!([false, ["abort", "AbortError"], true, ["AbortError", true], "why"]));
    assert_eq!(eval("try { new AbortSignal() } catch (e) { e.name }"), json!("TypeError"));
}

#[test]
fn n20_abort_signal_timeout_uses_the_clock() {
    let source = "(async () => { const s = AbortSignal.timeout(20); await new Promise(r => s.addEventListener('abort', r)); return s.reason.name })()";
    let start = Start::new(0, source).grant("clock", "clock", json!(null));
    let turn = Cell::new().run(&start, |_, request| {
        assert_eq!((request.op.as_str(), request.args.json()), ("sleep", json!({"ms": 20})));
        Ok(json!(null).into())
    });
    assert_eq!(turn.done(), json!("TimeoutError"));
}

#[test]
fn n20_an_exception_in_a_callback_ends_the_program() {
    for source in [
        "queueMicrotask(() => { throw new Error('cb') }); new Promise(() => {})",
        "const t = new EventTarget(); t.addEventListener('x', () => { throw new Error('cb') }); t.dispatchEvent(new Event('x')); 1",
    ] {
        assert_eq!(Cell::new().start(&Start::new(0, source)).failed().message, "cb");
    }
    let start = Start::new(0, "setTimeout(() => { throw new Error('cb') }, 1); new Promise(() => {})").grant(
        "clock",
        "clock",
        json!(null),
    );
    let turn = Cell::new().run(&start, |_, _| Ok(json!(null).into()));
    assert_eq!((turn.failed().message.as_str(), turn.failed().line), ("cb", Some(1)));
}

#[test]
fn n20_blobs_and_forms() {
    let source = "(async () => { const b = new Blob(['aé', new Uint8Array([66]), new Blob(['c'])], {type: 'Text/Plain'}); const f = new FormData(); f.append('k', 'v1'); f.append('k', b, 'n.txt'); f.set('z', 1);
        return [b.size, b.type, await b.text(), await b.slice(0, 1).text(), [...await b.bytes()].length, f.getAll('k').length, f.get('k'), f.get('z'), f.has('nope'), f.getAll('k')[1].name, new File(['x'], 'f', {lastModified: 5}).lastModified] })()";
    assert_eq!(eval(source), json!([5, "text/plain", "aéBc", "a", 5, 2, "v1", "1", false, "n.txt", 5]));
}

#[test]
fn n20_headers() {
    let source = "const h = new Headers({'X-B': ' 1 ', a: 'q'}); h.append('x-b', '2'); h.append('Set-Cookie', 'a=1'); h.append('set-cookie', 'b=2'); const list = [...h];
        const bad = [['a b', '1'], ['a', 'x\\ny'], ['a', '€']].map(([n, v]) => { try { h.append(n, v); return 'ok' } catch (e) { return e.name } }); h.set('A', 'r'); h.delete('x-b'); [list, bad, h.get('a'), h.has('X-B'), h.getSetCookie(), new Headers([['k', 'v']]).get('K')]";
    assert_eq!(
        eval(source),
        json!([
            [["a", "q"], ["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-b", "1, 2"]],
            ["TypeError", "TypeError", "TypeError"],
            "r",
            false,
            ["a=1", "b=2"],
            "v"
        ])
    );
}

#[test]
fn n20_requests_and_responses_without_a_network() {
    let source = "(async () => { const r = new Response('{\"a\":1}', {status: 201, headers: {'x': 'y'}}); const c = r.clone(); const used = [r.bodyUsed, (await r.json()).a, r.bodyUsed, await r.text().catch(e => e.name), await c.text()];
        const q = new Request('http://h/p', {method: 'post', body: new URLSearchParams({a: 'b c'}), headers: {k: 'v'}});
        return [used, r.ok, c.status, c.headers.get('content-type'), q.method, q.headers.get('content-type'), await q.text(), (await Response.json({x: [1]}).json()).x, new Response(null).body, await new Response().text(),
         await new Response(new Blob(['zz'], {type: 'a/b'})).text(), (await new Response('a=1&b=2', {headers: {'content-type': 'application/x-www-form-urlencoded'}}).formData()).get('b')] })()";
    assert_eq!(
        eval(source),
        json!([
            [false, 1, true, "TypeError", "{\"a\":1}"],
            true,
            201,
            "text/plain;charset=UTF-8",
            "POST",
            "application/x-www-form-urlencoded;charset=UTF-8",
            "a=b+c",
            [1],
            null,
            "",
            "zz",
            "2"
        ])
    );
    assert_eq!(
        eval(
            "[() => new Request('/rel'), () => new Request('http://a', {body: 'x'}), () => new Request('http://a', {method: 'CONNECT'}), () => new Response('x', {status: 204}), () => new Response('', {status: 99})].map(f => { try { f(); return 'ok' } catch (e) { return e.name } })"
        ),
        json!(["TypeError", "TypeError", "TypeError", "TypeError", "RangeError"])
    );
}
