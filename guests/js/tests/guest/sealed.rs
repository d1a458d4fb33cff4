//! Sealed values: what a program has instead of a result, and how it crosses.

use serde_json::{Value as Json, json};

use crate::support::*;

/// A program with a directory, a store, a server, a channel, child cells, HTTP and the handle that opens.
fn program(source: &str) -> Start {
    Start::new(0, &format!("(async () => {{ {source} }})()"))
        .grant("fs", "in", json!(null))
        .grant("kv", "s", json!(null))
        .grant("tool", "srv", json!(["look"]))
        .grant("parent", "parent", json!(null))
        .grant("cell", "cell", json!(null))
        .grant("http", "http", json!(null))
        .grant("endorse", "code", json!(null))
        .grant("sealed", "sealed", json!(null))
}

/// Runs it; sealed requests are answered by numbers from 1 on, others by nothing. Gives what was asked: operation,
/// arguments, and whether the result is to stay outside.
fn asked(source: &str) -> (Json, Vec<(String, Json, bool)>) {
    let mut last = 0;
    let turn = Cell::new().run(&program(source), |_, request| {
        last += u32::from(request.sealed);
        match request.op.as_str() {
            _ if request.sealed => Ok(json!(last).into()),
            "spawn" => Ok(json!({"child": 3}).into()),
            "open" => Ok(json!("content").into()),
            "request" => Ok(json!({"status": 204, "status_text": "", "url": "", "headers": [], "body": null}).into()),
            _ => Ok(json!(null).into()),
        }
    });
    let ops = turn.requests.iter().filter(|request| request.id != 0);
    (turn.done(), ops.map(|request| (request.op.clone(), request.args.json(), request.sealed)).collect())
}

/// What stands for a sealed value where it crosses.
fn stands(number: u32, pointer: &str, as_text: bool) -> Json {
    json!({"tag 24225": [number, pointer, as_text]})
}

#[test]
fn a10_what_reads_has_a_twin_whose_results_stay_outside() {
    let (names, ops) = asked(
        "const { sealed } = lockgate; const { fs, kv, tools, parent } = sealed;
         await fs.in.read('a'); await fs.in.readText('a'); await fs.in.list(); await fs.in.stat('a');
         await kv.s.get('k'); await kv.s.list(); await tools.srv.look({ at: 1 }); await parent.receive();
         const child = await lockgate.spawn('1'); await child.sealed.receive(); await child.sealed.result();
         await sealed.fetch('https://example.com/', { method: 'POST', body: 'x' });
         return [Object.keys(sealed), Object.keys(fs.in), Object.keys(kv.s), Object.keys(child.sealed)]",
    );
    let groups = ["fs", "kv", "tools", "parent", "fetch"];
    assert_eq!(names, json!([groups, ["read", "readText", "list", "stat"], ["get", "list"], ["result", "receive"]]));
    for (op, args, sealed) in &ops {
        assert_eq!(*sealed, op != "spawn", "{op} {args}");
    }
    assert_eq!(ops[6], ("look".to_owned(), json!({"at": 1}), true));
    assert_eq!(ops.len(), 12);
}

#[test]
fn a10_a_sealed_value_crosses_as_its_number_wherever_a_value_can_stand() {
    let (result, ops) = asked(
        "const a = await lockgate.sealed.fs.in.readText('a'); const b = await lockgate.sealed.tools.srv.look();
         await lockgate.fs.in.write('copy', a); await lockgate.kv.s.set('k', { deep: [b.at('body').at(0), b.at('/x/y')] });
         await lockgate.spawn(a, { input: { letter: b.at('a/b~').text() } });
         await fetch('https://example.com/', { method: 'POST', body: b });
         await lockgate.fs.in.write('made up', { 'tag 24225': [1, '', false] }); await a.drop(); return [await a.open(), a]",
    );
    assert_eq!(result, json!(["content", stands(1, "", true)]));
    let args: Vec<&Json> = ops.iter().map(|(_, args, _)| args).collect();
    assert_eq!(args[2], &json!({"path": "copy", "data": stands(1, "", true)}));
    assert_eq!(args[3]["value"], json!({"deep": [stands(2, "/body/0", false), stands(2, "/x/y", false)]}));
    assert_eq!(args[4], &json!({"source": stands(1, "", true), "input": {"letter": stands(2, "/a~1b~0", true)}}));
    assert_eq!((&args[5]["body"], &args[5]["method"]), (&stands(2, "", false), &json!("POST")));
    assert_eq!(ops[7], ("drop".to_owned(), json!({"value": 1}), false));
    assert_eq!(ops[8], ("open".to_owned(), json!({"value": stands(1, "", true)}), false));
}

#[test]
fn a10_nothing_but_opening_gets_at_the_content() {
    let (result, ops) = asked(
        "const a = await lockgate.sealed.fs.in.read('a'); const said = (f) => { try { return String(f()) } catch (e) { return e.name } };
         return [Reflect.ownKeys(a), said(() => JSON.stringify({ a })), said(() => a.constructor === Object), said(() => `${a}`),
                 said(() => a.at.call({}, 'x')), said(() => structuredClone(a) instanceof Object)]",
    );
    assert_eq!(result, json!([[], "TypeError", "true", "[object Sealed]", "TypeError", "true"]));
    assert_eq!(ops.len(), 1);
}

#[test]
fn a11_endorsing_gives_a_new_sealed_value() {
    let (result, ops) = asked(
        "const a = await lockgate.sealed.fs.in.read('a'); const b = await lockgate.endorse.code(a); await lockgate.fs.in.write('b', b);
         return 'declassify' in lockgate",
    );
    assert_eq!(result, json!(false));
    assert_eq!(ops[1], ("endorse".to_owned(), json!({"value": stands(1, "", false)}), true));
    assert_eq!(ops[2].1["data"], stands(2, "", false));
}

#[test]
fn a10_sealed_values_survive_replaced_built_ins() {
    let (result, _) = asked(
        "Array.prototype.push = () => { throw 1 }; String.prototype.startsWith = () => true;
         const a = (await lockgate.sealed.fs.in.read('a')).at('k'); return [await a.open(), a]",
    );
    assert_eq!(result, json!(["content", stands(1, "/k", false)]));
}
