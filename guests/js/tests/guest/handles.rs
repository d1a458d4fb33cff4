//! The global `lockgate`: each handle's operations.

use serde_json::json;

use crate::support::*;

fn program(source: &str) -> Start {
    Start::new(0, &format!("(async () => {{ {source} }})()"))
}

fn ops(turn: &Turn) -> Vec<(String, serde_json::Value)> {
    turn.requests.iter().filter(|r| r.id != 0).map(|r| (r.op.clone(), r.args.json())).collect()
}

#[test]
fn n03_ids_count_from_one_and_requests_run_at_once() {
    let start =
        program("return Promise.all([1, 2, 3].map(k => lockgate.kv.s.get('k' + k)))").grant("kv", "s", json!(null));
    let mut cell = Cell::new();
    let turn = cell.start(&start);
    assert_eq!(turn.status, Status::Waiting);
    assert_eq!(turn.requests.iter().map(|r| r.id).collect::<Vec<_>>(), [1, 2, 3]);
    let turn = cell.resume(&[(3, Ok(json!("c").into())), (1, Ok(json!("a").into()))]);
    assert_eq!((&turn.status, turn.requests.len()), (&Status::Waiting, 0));
    let turn = cell.resume(&[(2, Ok(Val::Undefined)), (99, Ok(json!(1).into())), (1, Ok(json!("twice").into()))]);
    assert_eq!(turn.done(), json!(["a", null, "c"]));
}

#[test]
fn n03_every_operation_of_a_directory() {
    let start = program(
        "const d = lockgate.fs.data; const bytes = await d.read('a'); const text = await d.readText('a'); await d.write('b', 'text'); await d.write('c', new Uint16Array([1]).buffer, {append: true});
         await d.mkdir('d'); await d.remove('b'); return [bytes, text, await d.list(), await d.stat('a')]",
    )
    .grant("fs", "data", json!(null));
    let turn = Cell::new().run(&start, |_, request| match request.op.as_str() {
        "read" => Ok(Val::Bytes("hé".into())),
        "list" => Ok(json!([{"name": "a", "kind": "file", "size": 3}]).into()),
        "stat" => Ok(json!({"kind": "file", "size": 3, "modified_ms": 5}).into()),
        _ => Ok(json!(null).into()),
    });
    assert_eq!(
        turn.done(),
        json!([{"bytes": [104, 195, 169]}, "hé", [{"name": "a", "kind": "file", "size": 3}], {"kind": "file", "size": 3, "modified_ms": 5}])
    );
    assert_eq!(
        ops(&turn),
        [
            ("read".to_owned(), json!({"path": "a"})),
            ("read".to_owned(), json!({"path": "a"})),
            ("write".to_owned(), json!({"path": "b", "data": "text"})),
            ("write".to_owned(), json!({"path": "c", "data": {"bytes": [1, 0]}, "append": true})),
            ("mkdir".to_owned(), json!({"path": "d"})),
            ("remove".to_owned(), json!({"path": "b"})),
            ("list".to_owned(), json!({"path": "."})),
            ("stat".to_owned(), json!({"path": "a"})),
        ]
    );
}

#[test]
fn n03_every_operation_of_the_other_handles() {
    let start = program(
        "const s = lockgate.kv.store; await s.set('k', {v: 1}); await s.get('k'); await s.delete('k'); await s.list(); await s.list('p');
         await lockgate.tools.srv['read-file']({path: 'x'}); await lockgate.tools.srv.ping(); await lockgate.clock.now(); await lockgate.random.bytes(4);
         await lockgate.parent.send([1]); const got = [await lockgate.parent.receive()];
         const c = await lockgate.spawn('1+1', {name: 'kid', input: 5, grants: [{fs: 'data'}], limits: {wall_ms: 5}}); await c.send('m'); got.push(await c.receiveFrom()); await c.stop(); return [got, await c.result()]",
    )
    .grant("kv", "store", json!(null))
    .grant("tool", "srv", json!(["read-file", "ping"]))
    .grant("clock", "clock", json!(null))
    .grant("random", "random", json!(null))
    .grant("parent", "parent", json!(null))
    .grant("cell", "cell", json!(null));
    let turn = Cell::new().run(&start, |_, request| match request.op.as_str() {
        "spawn" => Ok(json!({"child": 3}).into()),
        "result" => Ok(json!(2).into()),
        "receive" => Ok(json!({"from": {"kind": "cell", "name": "a/kid"}, "message": "m"}).into()),
        _ => Ok(json!(null).into()),
    });
    assert_eq!(turn.done(), json!([["m", {"from": {"kind": "cell", "name": "a/kid"}, "message": "m"}], 2]));
    let expected = [
        ("set", json!({"key": "k", "value": {"v": 1}})),
        ("get", json!({"key": "k"})),
        ("delete", json!({"key": "k"})),
        ("list", json!({"prefix": ""})),
        ("list", json!({"prefix": "p"})),
        ("read-file", json!({"path": "x"})),
        ("ping", json!({})),
        ("now", json!({})),
        ("bytes", json!({"n": 4})),
        ("send", json!({"message": [1]})),
        ("receive", json!({})),
        (
            "spawn",
            json!({"source": "1+1", "name": "kid", "input": 5, "grants": [{"fs": "data"}], "limits": {"wall_ms": 5}}),
        ),
        ("send", json!({"child": 3, "message": "m"})),
        ("receive", json!({"child": 3})),
        ("stop", json!({"child": 3})),
        ("result", json!({"child": 3})),
    ];
    assert_eq!(ops(&turn), expected.map(|(op, args)| (op.to_owned(), args)));
}

#[test]
fn n03_a_refusal_is_an_error_with_code_and_hint() {
    let start = program("try { await lockgate.kv.s.get('k') } catch (e) { return [e.name, e.code, e.message, e.hint, e instanceof LockgateError, Object.keys(e), String(e)] }").grant("kv", "s", json!(null));
    let turn = Cell::new().run(&start, |_, _| Err(("budget_spent", "no calls are left")));
    assert_eq!(
        turn.done(),
        json!([
            "LockgateError",
            "budget_spent",
            "no calls are left",
            "a hint",
            true,
            ["code", "hint"],
            "LockgateError: no calls are left"
        ])
    );
}

#[test]
fn n03_what_cannot_be_sent_rejects_and_is_not_sent() {
    let start = program("return Promise.all([() => 1, 5n, new Map()].map(v => lockgate.kv.s.set('k', v).catch(e => e.name)).concat(lockgate.tools.t.x(5).catch(e => e.message)))")
        .grant("kv", "s", json!(null))
        .grant("tool", "t", json!(["x"]));
    let turn = Cell::new().start(&start);
    assert_eq!(
        turn.done(),
        json!(["TypeError", "TypeError", "TypeError", "the arguments of a request are one object"])
    );
    assert_eq!(turn.requests.len(), 0);
}

#[test]
fn n03_a_request_made_while_another_is_encoded_is_kept_whole() {
    let start = program("let inner; const outer = lockgate.kv.s.set('o', {get a() { inner = lockgate.kv.s.set('i', 1); return 2 }}); await outer; await inner; return 1").grant("kv", "s", json!(null));
    let turn = Cell::new().run(&start, |_, _| Ok(json!(null).into()));
    assert_eq!(turn.done(), json!(1));
    assert_eq!(
        ops(&turn),
        [
            ("set".to_owned(), json!({"key": "i", "value": 1})),
            ("set".to_owned(), json!({"key": "o", "value": {"a": 2}}))
        ]
    );
    assert_eq!(turn.requests.iter().map(|r| r.id).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn n03_names_may_be_anything() {
    let start = Start::new(
        0,
        "[Reflect.ownKeys(lockgate.kv), Reflect.ownKeys(lockgate.tools.__proto__), typeof lockgate.kv.__proto__.get]",
    )
    .grant("kv", "__proto__", json!(null))
    .grant("kv", "constructor", json!(null))
    .grant("tool", "__proto__", json!(["__proto__", "then"]));
    assert_eq!(
        Cell::new().start(&start).done(),
        json!([["__proto__", "constructor"], ["__proto__", "then"], "function"])
    );
}

#[test]
fn n20_files_by_node_s_names() {
    let source = "import { readFile, writeFile, appendFile, readdir, stat, mkdir, rm } from 'node:fs/promises';
        const text = await readFile('/data/a/b.txt', 'utf8'); await writeFile('/data/c', text); await appendFile('/data/c', 'x');
        const names = await readdir('/data'); const kinds = (await readdir('/data/', {withFileTypes: true})).map(e => [e.name, e.isDirectory()]);
        const s = await stat('/data/a'); await mkdir('/data/x/y', {recursive: true}); await rm('/data/c');
        const bad = await Promise.all(['/etc/passwd', 'data/a', '/dat', '/'].map(p => readFile(p).catch(e => e.code)));
        export default [text, names, kinds, s.size, s.isFile(), s.mtime.getTime(), bad]";
    let turn = Cell::new().run(&Start::new(1, source).grant("fs", "data", json!(null)), |_, request| {
        match request.op.as_str() {
            "read" => Ok(Val::Bytes("hé".into())),
            "list" => {
                Ok(json!([{"name": "a", "kind": "directory", "size": 0}, {"name": "f", "kind": "file", "size": 1}])
                    .into())
            }
            "stat" if request.args.json()["path"] == "x/y" => Err(("not_found", "there is no such file")),
            "stat" => Ok(json!({"kind": "file", "size": 3, "modified_ms": 5}).into()),
            _ => Ok(json!(null).into()),
        }
    });
    let bad = ["not_granted", "not_granted", "not_granted", "not_granted"];
    assert_eq!(turn.done(), json!(["hé", ["a", "f"], [["a", true], ["f", false]], 3, true, 5, bad]));
    let made: Vec<_> = ops(&turn).into_iter().filter(|(op, _)| op == "mkdir" || op == "read").collect();
    assert_eq!(made, [("read".to_owned(), json!({"path": "a/b.txt"})), ("mkdir".to_owned(), json!({"path": "x/y"}))]);
}
