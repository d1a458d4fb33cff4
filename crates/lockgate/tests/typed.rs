//! Points that take documents of one form, through the real program: what is none is refused on its way out and on its way in.

mod common;

use common::Place;
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::net::TcpListener;

const MANIFEST: &str = r#"
agent = "a"

[fs.json]
path = "json"
allow = ["read", "write"]
format = "json"

[fs.lc]
path = "json"
allow = ["read", "write"]
format = "lc"

[fs.core]
path = "json"
allow = ["read", "write"]
format = { type = "lc", classes = "core" }

[fs.plain]
path = "json"
allow = ["read", "write"]

[kv.json]
allow = ["get", "set"]
format = "json"

[http.api]
hosts = ["api.example.com"]

[cell]
"#;

fn place(manifest: &str) -> Place {
    let place = Place::new();
    place.file("json/keep", "");
    place.file("lockgate.toml", manifest);
    place
}

fn run(place: &Place, body: &str) -> Json {
    let source = format!(
        "const {{ fs, kv }} = lockgate;\n\
         const attempt = async (what) => {{ try {{ return await what() }} catch (e) {{ return [e.code, e.message] }} }};\n\
         export default async () => {{ {body} }}"
    );
    place.file("program.mjs", &source);
    place.lockgate(&["run", "program.mjs", "--manifest", "lockgate.toml"]).value()
}

/// The code and the words of a refusal.
fn refused(value: &Json, code: &str, words: &str) {
    assert_eq!(value[0], code, "{value}");
    assert!(value[1].as_str().is_some_and(|message| message.contains(words)), "`{words}` is not in {value}");
}

#[test]
fn d08_what_is_no_strict_json_is_neither_written_nor_read() {
    let place = place(MANIFEST);
    place.file("json/twice", r#"{"a": {"b": 1, "b": 2}}"#);
    place.file("json/good", r#"{"a": [1, 2.5, "x"]}"#);
    place.file("json/proto", r#"{"__proto__": {}}"#);
    let did = run(
        &place,
        r#"return [
            await fs.json.readText("good"),
            await attempt(() => fs.json.readText("twice")),
            await attempt(() => fs.json.readText("proto")),
            await attempt(() => fs.json.write("new", '{"a": NaN}')),
            await attempt(() => fs.json.write("new", "[1, 2")),
            await attempt(() => fs.json.write("good", "1", { append: true })),
            await fs.json.write("fine", "[1]").then(() => "written"),
            await fs.plain.readText("twice"),
        ]"#,
    );
    assert_eq!(did[0], r#"{"a": [1, 2.5, "x"]}"#);
    refused(&did[1], "duplicate_key", "at `/a/b`");
    refused(&did[2], "key_refused", "`fs.json` takes strict JSON");
    refused(&did[3], "number_not_exact", "at `/a`");
    refused(&did[4], "malformed", "`fs.json` takes strict JSON");
    refused(&did[5], "malformed", "whole documents only");
    assert_eq!(did[6], "written");
    assert_eq!(did[7], r#"{"a": {"b": 1, "b": 2}}"#, "by the section, never by the look of it");
    assert!(!place.path("json/new").exists());
    // What is not written is a refusal; what is not read is the outcome of a crossing that happened.
    let codes =
        |kind| place.entries_of(kind).into_iter().map(|entry| entry["body"]["code"].clone()).collect::<Vec<_>>();
    assert_eq!(codes("refusal"), [json!("number_not_exact"), json!("malformed"), json!("malformed")]);
    assert!(codes("outcome").contains(&json!("duplicate_key")));
}

#[test]
fn d08_a_store_takes_documents_only_as_text_or_bytes() {
    let did = run(
        &place(MANIFEST),
        r#"return [
            await kv.json.get("missing") === undefined,
            await attempt(() => kv.json.set("x", { a: 1 })),
            await attempt(() => kv.json.set("x", "{")),
            await kv.json.set("x", "{}").then(() => kv.json.get("x")),
        ]"#,
    );
    assert_eq!((&did[0], &did[3]), (&json!(true), &json!("{}")));
    refused(&did[1], "malformed", "as text or bytes");
    refused(&did[2], "malformed", "`kv.json` takes strict JSON");
}

const MESSAGE: &str = r#"{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": CONTENT, "type": "human"}}"#;

fn message(content: &str) -> String {
    MESSAGE.replace("CONTENT", content)
}

#[test]
fn d03_an_lc_point_takes_messages_unless_it_says_more() {
    let place = place(MANIFEST);
    place.file("json/message", &message("\"hello\""));
    place.file("json/data", r#"{"nothing": "marked"}"#);
    let prompt = r#"{"lc": 1, "type": "constructor", "id": ["langchain", "prompts", "prompt", "PromptTemplate"], "kwargs": {"template": "x", "input_variables": [], "template_format": "f-string"}}"#;
    place.file("json/prompt", prompt);
    place.file("json/secret", r#"{"a": {"lc": 1, "type": "secret", "id": ["AWS_KEY"]}}"#);
    let did = run(
        &place,
        r#"const all = [];
        for (const name of ["message", "data", "prompt", "secret"]) {
            for (const point of [fs.lc, fs.core]) all.push(await attempt(() => point.readText(name).then(() => "read")));
        }
        return all"#,
    );
    for at in [0, 1, 2, 3, 5] {
        assert_eq!(did[at], "read", "{at}: {did}");
    }
    refused(&did[4], "type_not_allowed", "at `/id`");
    refused(&did[6], "secret_refused", "at `/a");
    refused(&did[7], "secret_refused", "at `/a");
}

#[test]
fn d09_what_arguments_name_is_held_against_the_grants_over_hosts() {
    let place = place(MANIFEST);
    let image = |url: &str| message(&format!(r#"[{{"type": "image_url", "image_url": {{"url": "{url}"}}}}]"#));
    place.file("json/granted", &image("https://api.example.com/cat.png"));
    place.file("json/other", &image("https://evil.example.net/cat.png"));
    place.file("json/metadata", &image("http://169.254.169.254/latest/meta-data"));
    place.file("json/local", &image("https://127.0.0.1/x"));
    place.file("json/ftp", &image("ftp://api.example.com/x"));
    let kwargs = |more: &str| message(&format!("\"x\", \"additional_kwargs\": {more}"));
    place.file("json/base", &kwargs(r#"{"openai_api_base": "evil.example.net"}"#));
    place.file("json/proxies", &kwargs(r#"{"proxies": {"https": "10.0.0.1:3128"}}"#));
    place.file("json/model", &kwargs(r#"{"model": "https://evil.example.net/m"}"#));
    place.file("json/named", &kwargs(r#"{"model": "gpt-5"}"#));
    place.file("json/header", &kwargs(r#"{"headers": {"Host": "evil"}}"#));
    place.file("json/quiet", &kwargs(r#"{"headers": {"x-request-id": "1"}}"#));
    place.file("json/data", r#"{"url": "https://evil.example.net/beside"}"#);
    place.file("json/prose", &message("\"look at https://evil.example.net\""));
    let names = [
        "granted", "other", "metadata", "local", "ftp", "base", "proxies", "model", "named", "header", "quiet", "data",
        "prose",
    ];
    let body = format!(
        "const all = {{}};\nfor (const name of {names:?}) all[name] = await attempt(() => fs.lc.readText(name).then(() => 'read'));\nreturn all"
    );
    let did = run(&place, &body);
    for name in ["granted", "named", "quiet", "data", "prose"] {
        assert_eq!(did[name], "read", "{name}: {did}");
    }
    let url = "at `/kwargs/content/0/image_url/url`";
    refused(&did["other"], "host_not_granted", url);
    refused(&did["metadata"], "private_address", url);
    refused(&did["local"], "private_address", url);
    refused(&did["ftp"], "url_refused", url);
    refused(&did["base"], "host_not_granted", "at `/kwargs/additional_kwargs/openai_api_base`");
    refused(&did["proxies"], "private_address", "at `/kwargs/additional_kwargs/proxies/https`");
    refused(&did["model"], "host_not_granted", "at `/kwargs/additional_kwargs/model`");
    refused(&did["header"], "key_refused", "at `/kwargs/additional_kwargs/headers/Host`");
    // Of a cell without grants over hosts, nothing is granted; and a child has no more than it was given.
    place.file("lockgate.toml", &MANIFEST.replace("[http.api]\nhosts = [\"api.example.com\"]\n", ""));
    let did = run(&place, "return await attempt(() => fs.lc.readText('granted'))");
    refused(&did, "host_not_granted", url);
    place.file("lockgate.toml", MANIFEST);
    let did = run(
        &place,
        r#"const look = `async () => { try { return await lockgate.fs.lc.readText("granted") } catch (e) { return [e.code, e.message] } }`;
        const child = await lockgate.spawn(`export default ${look}`, { grants: [{ kind: "fs", name: "lc" }] });
        return await child.result()"#,
    );
    refused(&did, "host_not_granted", url);
}

/// A server that gives the same body to everyone.
fn serve(body: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn d06_a_typed_response_is_looked_at_whole_before_any_of_it_is_handed_over() {
    let (good, bad) = (serve(r#"{"a": 1}"#), serve(r#"{"a": 1, "a": 2}"#));
    let place = Place::new();
    let section = |name: &str, port: u16, more: &str| {
        format!(
            "[http.{name}]\nhosts = [\"127.0.0.1\"]\nports = [{port}]\nschemes = [\"http\"]\nprivate = true\n{more}\n"
        )
    };
    let typed = "format = \"json\"";
    place.file("lockgate.toml", &[section("good", good, typed), section("bad", bad, typed)].concat());
    let body = format!(
        "const get = (port) => attempt(async () => (await fetch(`http://127.0.0.1:${{port}}/`)).text());\nreturn [await get({good}), await get({bad})]"
    );
    let did = run(&place, &body);
    assert_eq!(did[0], r#"{"a": 1}"#);
    assert_eq!(did[1][0], "duplicate_key", "{did}");
    place.file("lockgate.toml", &[section("good", good, ""), section("bad", bad, "")].concat());
    let did = run(&place, &body);
    assert_eq!(did[1], r#"{"a": 1, "a": 2}"#, "an untyped response is as it is");
}

const ORDER: &str = r#"{
    "type": "object",
    "properties": {"item": {"type": "string", "maxLength": 20}, "count": {"type": "integer", "minimum": 1}},
    "required": ["item"],
    "additionalProperties": false
}"#;

const SHAPED: &str = r#"
agent = "a"

[fs.orders]
path = "json"
allow = ["read", "write"]
schema = "order.json"

[fs.messages]
path = "json"
allow = ["read"]
format = "lc"
schema = "order.json"

[fs.plain]
path = "json"
allow = ["read"]

[kv.orders]
allow = ["get", "set"]
schema = "order.json"

[cell]
"#;

#[test]
fn d06_a_section_takes_only_documents_of_the_schema_that_it_names() {
    let place = place(SHAPED);
    place.file("order.json", ORDER);
    place.file("json/good", r#"{"item": "tea", "count": 2}"#);
    place.file("json/none", r#"{"item": "tea", "count": 0}"#);
    place.file("json/more", r#"{"item": "tea", "to": {"a/b": 1}}"#);
    place.file("json/twice", r#"{"item": "tea", "item": "coffee"}"#);
    let did = run(
        &place,
        r#"return [
            await fs.orders.readText("good"),
            await attempt(() => fs.orders.readText("none")),
            await attempt(() => fs.orders.read("more")),
            await attempt(() => fs.orders.readText("twice")),
            await attempt(() => fs.orders.write("new", '{"count": 1}')),
            await attempt(() => fs.orders.write("new", '{"item": 1}')),
            await attempt(() => fs.orders.write("new", '{"item": ')),
            await attempt(() => fs.orders.write("good", '{"item": "x"}', { append: true })),
            await fs.orders.write("fine", '{"item": "x"}').then(() => "written"),
            await attempt(() => kv.orders.set("x", '{"item": "x", "count": 0.5}')),
            await kv.orders.set("x", '{"item": "x"}').then(() => kv.orders.get("x")),
            await attempt(() => fs.messages.readText("good").then(() => "read")),
            await attempt(() => fs.messages.readText("more")),
            await fs.plain.readText("none"),
        ]"#,
    );
    assert_eq!(
        (&did[0], &did[8], &did[10]),
        (&json!(r#"{"item": "tea", "count": 2}"#), &json!("written"), &json!(r#"{"item": "x"}"#))
    );
    refused(
        &did[1],
        "result_mismatch",
        "`fs.orders` takes strict JSON of the schema `order.json`, and this holds a number below `1` at `/count`",
    );
    refused(&did[2], "result_mismatch", "a property that the schema does not have at `/to`");
    refused(&did[3], "duplicate_key", "at `/item`");
    refused(&did[4], "arguments_mismatch", "an object without `\"item\"`");
    refused(&did[5], "arguments_mismatch", "not of the type `string` at `/item`");
    refused(&did[6], "malformed", "of the schema `order.json`");
    refused(&did[7], "malformed", "whole documents only");
    refused(&did[9], "arguments_mismatch", "not of the type `integer` at `/count`");
    assert_eq!(did[11], "read");
    refused(&did[12], "result_mismatch", "at `/to`");
    assert_eq!(did[13], r#"{"item": "tea", "count": 0}"#);
    assert!(!place.path("json/new").exists());
    // A child has its parent's schemas.
    let did = run(
        &place,
        r#"const child = await lockgate.spawn(`export default async () => { try { return await lockgate.fs.orders.readText("none") } catch (e) { return [e.code, e.message] } }`,
            { grants: [{ kind: "fs", name: "orders" }] });
        return await child.result()"#,
    );
    refused(&did, "result_mismatch", "at `/count`");
}

#[test]
fn d06_a_response_is_held_against_the_schema_of_its_section() {
    let (good, bad) = (serve(r#"{"item": "tea"}"#), serve(r#"{"item": ["tea"]}"#));
    let place = Place::new();
    let section = |name: &str, port: u16| {
        format!(
            "[http.{name}]\nhosts = [\"127.0.0.1\"]\nports = [{port}]\nschemes = [\"http\"]\nprivate = true\nschema = \"order.json\"\n"
        )
    };
    place.file("order.json", ORDER);
    place.file("lockgate.toml", &[section("good", good), section("bad", bad)].concat());
    let did = run(
        &place,
        &format!(
            "const get = (port) => attempt(async () => (await fetch(`http://127.0.0.1:${{port}}/`)).text());\nreturn [await get({good}), await get({bad})]"
        ),
    );
    assert_eq!(did[0], r#"{"item": "tea"}"#);
    refused(&did[1], "result_mismatch", "not of the type `string` at `/item`");
}

#[test]
fn n02_a_schema_that_cannot_be_used_is_a_mistake_before_anything_runs() {
    let place = place(SHAPED);
    place.file("program.mjs", "export default () => 1");
    let wide = format!(r#"{{"enum": [{}0]}}"#, "0,".repeat(30_000));
    let doubled = |level: usize| {
        let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
        (level.to_string(), json!({"allOf": [next, next]}))
    };
    let mut levels: serde_json::Map<String, Json> = (0..20).map(doubled).collect();
    levels.insert("20".to_owned(), json!(true));
    let costly = json!({"$defs": levels, "$ref": "#/$defs/0"}).to_string();
    for (schema, words) in [
        (None, "No such file"),
        (Some("{\"type\": "), "it is no strict JSON"),
        (Some(r#"{"type": "string", "type": "number"}"#), "a key given twice at `/type`"),
        (Some(r#"{"type": "text"}"#), "not valid at `/type`"),
        (Some(r#"{"$ref": "https://example.com/schema"}"#), "a place in the same schema"),
        (Some(&costly), "over 100,000 times"),
        (Some(&wide), "20,000 values"),
    ] {
        if let Some(schema) = schema {
            place.file("order.json", schema);
        }
        let ran = place.lockgate(&["run", "program.mjs", "--manifest", "lockgate.toml"]);
        assert_ne!(ran.status, 0, "{schema:?}");
        for words in [words, "cannot use the schema `order.json`", "fs.orders"] {
            assert!(ran.stdout.contains(words), "`{words}` for {schema:?}: {ran:?}");
        }
    }
}

#[test]
fn n02_a_type_that_is_not_in_the_list_is_a_mistake() {
    let place = place(&MANIFEST.replace("classes = \"core\"", "classes = [\"AIMesage\"]"));
    place.file("program.mjs", "export default () => 1");
    let ran = place.lockgate(&["run", "program.mjs", "--manifest", "lockgate.toml"]);
    assert_ne!(ran.status, 0);
    assert!(ran.stdout.contains("AIMesage") && ran.stdout.contains("fs.core"), "{ran:?}");
}

#[test]
fn a10_whether_a_sealed_value_has_the_form_is_not_told() {
    let manifest = format!(
        "{MANIFEST}\n[fs.inbox]\npath = \"inbox\"\nallow = [\"read\"]\nwritten_by = [\"web\"]\n[fs.bank]\npath = \"json\"\nallow = [\"write\"]\ntrusts = [\"operator\"]\n"
    );
    for (letter, written) in [("not json", false), ("[1]", true)] {
        let place = place(&manifest);
        place.file("inbox/letter", letter);
        let source = r#"const attempt = async (what) => { try { await what(); return "done" } catch (e) { return e.code } };
        export default async () => {
            const { fs } = lockgate, letter = await lockgate.sealed.fs.inbox.read("letter");
            return [
                await attempt(() => fs.json.write("copy", letter)),
                await attempt(() => fs.json.write("copy", letter, { append: true })),
                await attempt(() => fs.bank.write("after", "x")),
            ]
        }"#;
        let ran = place.program(source, &["--manifest", "lockgate.toml"]);
        // That nothing is appended to a document does not depend on the letter, so it is told. The form looks at the letter, and
        // that counts as reading it, whatever it finds.
        assert_eq!(ran.value(), json!(["done", "malformed", "untrusted_data"]), "{letter}");
        assert_eq!(place.path("json/copy").exists(), written, "{letter}");
        assert!(!place.path("json/after").exists(), "{letter}");
        // The operator is told what became of it.
        let unread = ran.json()["unread"].as_array().map_or(0, Vec::len);
        assert_eq!(unread, usize::from(!written), "{}", ran.json());
        let untold: Vec<Json> =
            place.entries_of("outcome").into_iter().filter(|entry| entry["body"]["untold"] == true).collect();
        assert_eq!(
            untold.iter().map(|entry| entry["body"]["code"].clone()).collect::<Vec<_>>(),
            vec![json!("malformed"); unread]
        );
        place.verify();
    }
}
