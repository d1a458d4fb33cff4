//! `fetch` over the requests of an `http` handle.

use serde_json::{Value as Json, json};

use crate::support::*;

fn web(source: &str) -> Start {
    Start::new(0, &format!("(async () => {{ {source} }})()")).grant("http", "http", json!(null)).grant(
        "log",
        "log",
        json!(null),
    )
}

fn reply(status: u16, headers: Json, body: Option<u32>) -> Answer {
    Ok(json!({"status": status, "status_text": "Fine", "url": "http://h/final", "headers": headers, "body": body})
        .into())
}

/// Answers `request` with a streamed body of these chunks.
fn chunks(list: &'static [&'static str]) -> impl FnMut(&mut f64, &Request) -> Answer {
    let mut next = 0;
    move |_, request| match request.op.as_str() {
        "request" => {
            reply(200, json!([["Content-Type", "text/plain"], ["Set-Cookie", "a"], ["set-cookie", "b"]]), Some(9))
        }
        "body" => {
            assert_eq!(request.args.json(), json!({"stream": 9}));
            next += 1;
            Ok(list.get(next - 1).map_or(json!(null).into(), |text| Val::Bytes(text.as_bytes().to_vec())))
        }
        _ => Ok(json!(null).into()),
    }
}

#[test]
fn n20_fetch_asks_for_what_the_program_says() {
    let source = "const r = await fetch(new URL('http://h/p?q#frag'), {method: 'put', headers: {'X-A': '1'}, body: 'é'}); return [r.status, r.statusText, r.ok, r.url, r.redirected, r.headers.get('content-type'), r.headers.getSetCookie(), await r.text()]";
    let turn = Cell::new().run(&web(source), chunks(&["ab", "c\u{e9}"]));
    assert_eq!(turn.done(), json!([200, "Fine", true, "http://h/final", true, "text/plain", ["a", "b"], "abcé"]));
    let first = &turn.requests[0];
    assert_eq!((first.op.as_str(), first.id), ("request", 1));
    assert_eq!(
        first.args.json(),
        json!({"method": "PUT", "url": "http://h/p?q#frag", "headers": [["content-type", "text/plain;charset=UTF-8"], ["x-a", "1"]], "body": {"bytes": [195, 169]}})
    );
}

#[test]
fn n20_a_get_has_no_body() {
    let turn = Cell::new().run(&web("const r = await fetch('http://h/'); return [r.body, await r.text()]"), |_, _| {
        reply(204, json!([]), None)
    });
    assert_eq!(turn.done(), json!([null, ""]));
    assert_eq!(turn.requests[0].args.json(), json!({"method": "GET", "url": "http://h/", "headers": [], "body": null}));
}

#[test]
fn n20_a_body_is_read_chunk_by_chunk() {
    let source = "const r = await fetch('http://h/'); const out = []; for await (const chunk of r.body) out.push(new TextDecoder().decode(chunk)); return out";
    let turn = Cell::new().run(&web(source), chunks(&["a", "bc"]));
    assert_eq!(turn.done(), json!(["a", "bc"]));
    let source = "const reader = (await fetch('http://h/')).body.getReader(); const a = await reader.read(); await reader.cancel(); return [a.value.length, a.done]";
    let turn = Cell::new().run(&web(source), chunks(&["abc", "d"]));
    assert_eq!(turn.done(), json!([3, false]));
    assert!(turn.requests.iter().any(|r| r.op == "cancel" && r.args.json() == json!({"stream": 9})));
}

#[test]
fn n20_leaving_a_body_early_cancels_it() {
    let source = "const r = await fetch('http://h/'); for await (const chunk of r.body) break; return 1";
    let turn = Cell::new().run(&web(source), chunks(&["a", "b"]));
    assert_eq!((turn.done(), turn.requests.last().unwrap().op.as_str()), (json!(1), "cancel"));
}

#[test]
fn n20_a_clone_has_the_same_body() {
    let source =
        "const r = await fetch('http://h/'); const c = r.clone(); return [await r.text(), await c.text(), c.url]";
    assert_eq!(Cell::new().run(&web(source), chunks(&["a", "b"])).done(), json!(["ab", "ab", "http://h/final"]));
}

#[test]
fn n20_json_bytes_and_array_buffer() {
    let source = "const r = await fetch('http://h/'); return (await r.json()).a";
    assert_eq!(Cell::new().run(&web(source), chunks(&["{\"a\":", "[1]}"])).done(), json!([1]));
    let source = "const r = await fetch('http://h/'); return (await r.arrayBuffer()).byteLength";
    assert_eq!(Cell::new().run(&web(source), chunks(&["abc"])).done(), json!(3));
}

#[test]
fn n20_a_refused_host_is_a_refusal_with_its_code() {
    let source = "try { await fetch('http://evil/') } catch (e) { return [e.name, e.code, e.message, e.hint, e instanceof LockgateError, e instanceof Error] }";
    let turn = Cell::new().run(&web(source), |_, _| Err(("host_not_granted", "the host `evil` is not granted")));
    assert_eq!(
        turn.done(),
        json!(["LockgateError", "host_not_granted", "the host `evil` is not granted", "a hint", true, true])
    );
}

#[test]
fn n20_abort_rejects_at_once_and_cancels_what_comes_late() {
    let source = "const c = new AbortController(); const p = fetch('http://h/', {signal: c.signal}); c.abort(); const e = await p.catch(e => e); console.log(e.name); await fetch('http://h/2'); return 1";
    let turn = Cell::new().run(&web(source), |_, request| match request.op.as_str() {
        "request" => reply(200, json!([]), Some(request.id)),
        _ => Ok(json!(null).into()),
    });
    assert_eq!((turn.done(), turn.text()), (json!(1), "AbortError".to_owned()));
    let cancelled: Vec<_> = turn.requests.iter().filter(|r| r.op == "cancel").map(|r| r.args.json()).collect();
    assert_eq!(cancelled, [json!({"stream": 1})]);
    let source = "const c = new AbortController(); c.abort(new Error('why')); return fetch('http://h/', {signal: c.signal}).catch(e => e.message)";
    let turn = Cell::new().start(&web(source));
    assert_eq!((turn.done(), turn.requests.len()), (json!("why"), 0));
}

#[test]
fn n20_abort_ends_a_body_that_is_being_read() {
    let source = "const c = new AbortController(); const r = await fetch('http://h/', {signal: c.signal}); const reader = r.body.getReader(); await reader.read(); c.abort(); return reader.read().catch(e => e.name)";
    let turn = Cell::new().run(&web(source), chunks(&["a", "b", "c"]));
    assert_eq!((turn.done(), turn.requests.last().unwrap().op.as_str()), (json!("AbortError"), "cancel"));
}

#[test]
fn n20_redirect_modes_are_told() {
    let turn = Cell::new().run(&web("return (await fetch('http://h/', {redirect: 'manual'})).status"), |_, _| {
        reply(302, json!([]), None)
    });
    assert_eq!((turn.done(), &turn.requests[0].args.json()["redirect"]), (json!(302), &json!("manual")));
}

#[test]
fn n20_forms_are_sent_as_multipart() {
    let source = "const f = new FormData(); f.append('a', 'x\\ny'); f.append('f', new Blob(['data'], {type: 't/p'}), 'n\"ame'); return (await fetch('http://h/', {method: 'POST', body: f})).status";
    let turn = Cell::new().run(&web(source), |_, _| reply(200, json!([]), None));
    assert_eq!(turn.done(), json!(200));
    let Val::Map(args) = &turn.requests[0].args else { panic!() };
    let Val::Bytes(body) = &args[3].1 else { panic!("{args:?}") };
    let body = String::from_utf8(body.clone()).unwrap();
    let mark = body.lines().next().unwrap();
    assert_eq!(
        body.replace(mark, "M"),
        "M\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\ny\r\nM\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n%22ame\"\r\nContent-Type: t/p\r\n\r\ndata\r\nM--\r\n"
    );
    assert_eq!(args[2].1.json(), json!([["content-type", format!("multipart/form-data; boundary={}", &mark[2..])]]));
}
