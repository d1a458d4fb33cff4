//! What the real packages wrote, what was done to it, and what the decoder decides.
//!
//! `vectors.jsonl` is written by `bench/decode/differential/run` with the real langchain-core and langgraph-checkpoint.

use lockgate_authority::{ReasonCode, Value};
use lockgate_decode::{Accept, Allowed, Envelope, Group, Node, Parts, Refused, classes};
use proptest::prelude::*;
use serde_json::Value as Json;

fn core() -> Accept<'static> {
    Accept { allowed: Allowed::Core, ..Accept::default() }
}

fn taken(json: &str, accept: &Accept<'_>) -> Envelope {
    Envelope::from_json(json.as_bytes(), accept).unwrap_or_else(|refused| panic!("{json}: {refused:?}"))
}

fn refused(json: &str, accept: &Accept<'_>) -> Vec<(&'static str, String)> {
    match Envelope::from_json(json.as_bytes(), accept) {
        Ok(_) => panic!("taken: {json}"),
        Err(refused) => refused.into_iter().map(|refused| (refused.code.as_str(), refused.pointer)).collect(),
    }
}

fn one(code: &'static str, pointer: &str) -> Vec<(&'static str, String)> {
    vec![(code, pointer.to_owned())]
}

struct Vector {
    json: Json,
    bytes: Vec<u8>,
}

impl Vector {
    fn all() -> Vec<Vector> {
        include_str!("vectors.jsonl").lines().map(Vector::read).collect()
    }

    fn read(line: &str) -> Vector {
        let json: Json = serde_json::from_str(line).expect("a vector");
        let bytes = match (json["text"].as_str(), json["hex"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(hex)) => hex
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex"))
                .collect(),
            (None, None) => panic!("a vector without a document"),
        };
        Vector { json, bytes }
    }

    fn is(&self, key: &str) -> bool {
        self.json[key].as_bool().expect(key)
    }

    fn decide(&self) -> Result<Envelope, Vec<Refused>> {
        let names: Vec<&str> = self.json["allowed"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let allowed = match self.json["allowed"].as_str() {
            Some("messages") => Allowed::Messages,
            Some("core") => Allowed::Core,
            _ => Allowed::Only(&names),
        };
        let accept = Accept { allowed, ..Accept::default() };
        match self.json["format"].as_str() {
            Some("json") => Envelope::from_json(&self.bytes, &accept),
            Some("checkpoint") => Envelope::from_checkpoint_json(&self.bytes, &accept),
            Some("msgpack") => Envelope::from_msgpack(&self.bytes, &accept),
            other => panic!("{other:?} is no format"),
        }
    }
}

#[test]
fn d12_every_decision_is_that_of_langchain_core_or_stricter() {
    let (mut both, mut stricter) = (0, 0);
    for vector in Vector::all() {
        match vector.decide() {
            Ok(_) => {
                assert!(vector.is("theirs"), "laxer: {}", vector.json);
                assert!(vector.json["code"].is_null(), "no longer refused: {}", vector.json);
                both += 1;
            }
            Err(refused) => {
                let first = refused.first().expect("a refusal says why");
                assert_eq!(vector.json["code"], first.code.as_str(), "{}", vector.json);
                assert_eq!(vector.json["pointer"], first.pointer, "{}", vector.json);
                stricter += usize::from(vector.is("theirs"));
            }
        }
    }
    assert!(both > 100 && stricter > 50, "{both} taken by both, {stricter} by the other only");
}

#[test]
fn d01_dumps_of_the_real_package_come_back_byte_for_byte() {
    let mut messages = 0;
    for vector in Vector::all().iter().filter(|vector| vector.is("original") && vector.json["code"].is_null()) {
        let envelope = vector.decide().unwrap_or_else(|refused| panic!("{refused:?}: {}", vector.json));
        assert_eq!(envelope.to_json().as_deref().map(str::as_bytes), Some(vector.bytes.as_slice()), "{}", vector.json);
        messages += usize::from(vector.json["name"] == "message");
    }
    assert!(messages > 50, "{messages} dumps of messages");
}

#[test]
fn d01_a_message_is_read_with_its_type_and_fields() {
    let envelope = taken(
        r#"{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "hi", "type": "human"}}"#,
        &Accept::default(),
    );
    let Node::Object(object) = envelope.root() else { panic!("no object: {envelope:?}") };
    assert_eq!((object.class().name, object.class().group), ("HumanMessage", Group::Messages));
    assert_eq!(object.path(), "langchain.schema.messages.HumanMessage");
    let Parts::Fields(fields) = object.parts() else { panic!("no fields") };
    assert_eq!(fields.first(), Some(&("content".to_owned(), Node::Text("hi".to_owned()))));
}

#[test]
fn d02_what_was_escaped_is_data_and_is_escaped_again() {
    let json = r#"{"a": {"__lc_escaped__": {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": {"content": "x"}}}}"#;
    let envelope = taken(json, &core());
    assert!(!envelope.root().has_object());
    assert_eq!(envelope.to_json().as_deref(), Some(json));
    // An escape within an escape is data of the outer one.
    let twice = r#"{"__lc_escaped__": {"__lc_escaped__": {"lc": 1}}}"#;
    assert_eq!(taken(twice, &core()).to_json().as_deref(), Some(twice));
    // Beside another key it is a key like any other, and so is what stands in it.
    let beside = r#"{"__lc_escaped__": {"lc": 1, "type": "secret", "id": ["X"]}, "x": 1}"#;
    assert_eq!(refused(beside, &core()), one("secret_refused", "/__lc_escaped__"));
}

const MESSAGE: &str =
    r#"{"lc":1,"type":"constructor","id":["langchain","schema","messages","AIMessage"],"kwargs":{"content":"x"}}"#;
const CHAT: &str = r#"{"lc":1,"type":"constructor","id":["langchain","schema","messages","ChatMessage"],"kwargs":{"content":"x","role":"r"}}"#;

#[test]
fn d03_messages_are_the_default_and_an_empty_list_refuses_all() {
    let only = |names| Accept { allowed: Allowed::Only(names), ..Accept::default() };
    taken(MESSAGE, &Accept::default());
    taken(CHAT, &core());
    taken(CHAT, &only(&["ChatMessage"]));
    assert_eq!(refused(CHAT, &Accept::default()), one("type_not_allowed", "/id"));
    assert_eq!(refused(MESSAGE, &only(&[])), one("type_not_allowed", "/id"));
    assert_eq!(refused(MESSAGE, &only(&["HumanMessage"])), one("type_not_allowed", "/id"));
    assert_eq!(refused(MESSAGE, &only(&["*", "aimessage", ""])), one("type_not_allowed", "/id"));
    // A plain type of a checkpoint is no object of a dump, whatever is allowed.
    let time = r#"{"lc":1,"type":"constructor","id":["datetime","time"],"kwargs":{"hour":1}}"#;
    assert_eq!(refused(time, &only(&["time"])), one("type_not_allowed", "/id"));
    assert_eq!(Accept::default().allowed, Allowed::Messages);
    for class in classes() {
        assert!(!class.paths().is_empty(), "{}", class.name);
    }
}

#[test]
fn d04_a_secret_is_an_error_where_it_counts_and_data_where_it_is_data() {
    let model = r#"{"lc":1,"type":"constructor","id":["langchain","chat_models","openai","ChatOpenAI"],"kwargs":{"openai_api_key":{"lc":1,"type":"secret","id":["PATH"]}}}"#;
    assert_eq!(
        refused(model, &core()),
        [("type_unknown", "/id".to_owned()), ("secret_refused", "/kwargs/openai_api_key".to_owned())]
    );
    assert_eq!(refused(r#"{"lc":1,"type":"secret","id":["PATH"]}"#, &core()), one("secret_refused", ""));
    let forged = r#"{"__lc_escaped__": {"lc": 1, "type": "secret", "id": ["PATH"]}}"#;
    assert_eq!(taken(forged, &core()).to_json().as_deref(), Some(forged));
    let path = std::env::var("PATH").unwrap_or_default();
    assert!(!format!("{:?}", taken(forged, &core())).contains(&path));
}

#[test]
fn d05_languages_that_run_code_are_refused_at_any_depth() {
    let prompt = |template: &str, format: &str| {
        format!(
            r#"{{"lc":1,"type":"constructor","id":["langchain","prompts","prompt","PromptTemplate"],"kwargs":{{"input_variables":["x"],"template":{template:?},"template_format":{format}}}}}"#
        )
    };
    taken(&prompt("{x}", r#""f-string""#), &core());
    let format = "/kwargs/template_format";
    for other in [r#""jinja2""#, r#""Jinja2""#, "null", "1", r#"["jinja2"]"#] {
        assert_eq!(refused(&prompt("{x}", other), &core()), one("code_refused", format), "{other}");
    }
    assert_eq!(refused(&prompt("{x.__class__}", r#""f-string""#), &core()), one("code_refused", "/kwargs/template"));
    // Nested in a prompt of a chat, and as a map that the other package would turn into a prompt.
    let human = |prompt: &str| {
        format!(
            r#"{{"lc":1,"type":"constructor","id":["langchain","prompts","chat","HumanMessagePromptTemplate"],"kwargs":{{"prompt":{prompt}}}}}"#
        )
    };
    let chat = |message: &str| {
        format!(
            r#"{{"lc":1,"type":"constructor","id":["langchain","prompts","chat","ChatPromptTemplate"],"kwargs":{{"input_variables":[],"messages":[{message}]}}}}"#
        )
    };
    taken(&chat(&human(&prompt("{x}", r#""f-string""#))), &core());
    let nested = chat(&human(&prompt("{x}", r#""jinja2""#)));
    assert_eq!(
        refused(&nested, &core()),
        one("code_refused", "/kwargs/messages/0/kwargs/prompt/kwargs/template_format")
    );
    let map = chat(&human(r#"{"template":"{{ x }}","template_format":"jinja2"}"#));
    assert_eq!(refused(&map, &core()), one("field_refused", "/kwargs/messages/0/kwargs/prompt"));
    let map = chat(r#"{"prompt":{"template":"{{ x }}","template_format":"jinja2"}}"#);
    assert_eq!(refused(&map, &core()), one("field_refused", "/kwargs/messages/0"));
}

#[test]
fn d08_envelopes_are_read_by_a_grammar() {
    let message = |change: &str| {
        let (from, to) = change.split_once(" -> ").expect("a change");
        assert!(MESSAGE.contains(from), "{from}");
        MESSAGE.replace(from, to)
    };
    for (change, code, pointer) in [
        (r#""lc":1 -> "lc":true"#, "envelope_invalid", "/lc"),
        (r#""lc":1 -> "lc":1.0"#, "envelope_invalid", "/lc"),
        (r#""lc":1 -> "lc":2"#, "envelope_invalid", "/lc"),
        (r#""lc":1 -> "lc":"1""#, "envelope_invalid", "/lc"),
        (r#""type":"constructor" -> "type":"function""#, "envelope_invalid", "/type"),
        (r#""type":"constructor", -> "#, "envelope_invalid", "/type"),
        (r#""AIMessage" -> 1"#, "envelope_invalid", "/id/3"),
        (r#"["langchain","schema","messages","AIMessage"] -> "AIMessage""#, "envelope_invalid", "/id"),
        (r#""kwargs":{ -> "graph":{},"kwargs":{"#, "key_refused", "/graph"),
        (r#""AIMessage" -> "AIMessages""#, "type_unknown", "/id"),
        (r#""langchain","schema" -> "langchain.schema""#, "type_unknown", "/id"),
        (r#"{"content":"x"} -> {}"#, "field_refused", "/kwargs/content"),
        (r#"{"content":"x"} -> {"content":1}"#, "field_refused", "/kwargs/content"),
        (r#"{"content":"x"} -> {"content":"x","example":1}"#, "field_refused", "/kwargs/example"),
        (r#"{"content":"x"} -> {"content":"x","cls":1}"#, "field_refused", "/kwargs/cls"),
        (
            r#"{"content":"x"} -> {"content":"x","tool_calls":[{"name":"f","args":{},"id":1}]}"#,
            "field_refused",
            "/kwargs/tool_calls/0/id",
        ),
        (r#"{"content":"x"} -> {"content":"x","type":"human"}"#, "field_refused", "/kwargs/type"),
        (r#"{"content":"x"} -> {"__lc_escaped__":{"content":"x"}}"#, "envelope_invalid", "/kwargs"),
    ] {
        assert_eq!(refused(&message(change), &Accept::default()).first(), one(code, pointer).first(), "{change}");
    }
}

#[test]
fn d07_envelopes_of_checkpoints_name_plain_types_and_call_nothing() {
    let check = |x: &str| {
        let json = format!(r#"{{"channel_values":{{"x":{x}}}}}"#);
        Envelope::from_checkpoint_json(json.as_bytes(), &core()).map(|_| ()).map_err(|refused| {
            refused.into_iter().map(|refused| (refused.code.as_str(), refused.pointer)).collect::<Vec<_>>()
        })
    };
    let at = |code, place: &str| Err(one(code, &format!("/channel_values/x{place}")));
    let date = r#"{"lc":2,"type":"constructor","id":["datetime","date"],"args":[2026,11,28],"kwargs":{}}"#;
    assert_eq!(check(date), Ok(()));
    assert_eq!(check(&date.replace("28", "31")), at("field_refused", "/args"));
    assert_eq!(check(&date.replace("{}", "null,\"method\":[null,\"construct\"]")), at("code_refused", "/method"));
    assert_eq!(check(&date.replace("{}", "null,\"name\":{\"a\":1}")), at("key_refused", "/name"));
    assert_eq!(check(&date.replace(r#""datetime","date""#, r#""os","system""#)), at("type_unknown", "/id"));
    // In a dump the version does not exist, and the type is none of its own.
    assert_eq!(refused(date, &core()), one("envelope_invalid", "/lc"));
    assert_eq!(refused(&date.replace(":2,", ":1,"), &core()).first(), Some(&("key_refused", "/args".to_owned())));
}

#[test]
fn d08_all_that_is_refused_is_told() {
    let json = format!(r#"[{},{},{{"lc":3}}]"#, MESSAGE.replace("AIMessage", "X"), MESSAGE.replace("\"x\"", "[1]"));
    assert_eq!(
        refused(&json, &Accept::default()),
        [
            ("type_unknown", "/0/id".to_owned()),
            ("field_refused", "/1/kwargs/content/0".to_owned()),
            ("envelope_invalid", "/2/lc".to_owned())
        ]
    );
    let many = format!("[{}1]", r#"{"lc":3},"#.repeat(1000));
    assert_eq!(refused(&many, &Accept::default()).len(), 100);
}

fn refused_msgpack(bytes: &[u8]) -> (&'static str, String) {
    match Envelope::from_msgpack(bytes, &core()) {
        Ok(envelope) => panic!("{bytes:x?} was taken: {envelope:?}"),
        Err(refused) => refused.first().map(|refused| (refused.code.as_str(), refused.pointer.clone())).expect("why"),
    }
}

#[test]
fn d06_lengths_of_msgpack_are_checked_before_memory_is_spent() {
    for (bytes, code) in [
        (&b"\xdd\xff\xff\xff\xff"[..], "malformed"),
        (b"\xdf\xff\xff\xff\xff", "malformed"),
        (b"\xdb\xff\xff\xff\xff", "too_large"),
        (b"\xc6\xff\xff\xff\xff", "too_large"),
        (b"\xdb\x00\x10\x00\x00", "malformed"),
        (b"\xc9\xff\xff\xff\xff\x00", "malformed"),
        (&[0x91; 51], "too_deep"),
    ] {
        assert_eq!(refused_msgpack(bytes).0, code, "{bytes:x?}");
    }
    let mut many = vec![0xdd, 0, 0x0f, 0x42, 0x40];
    many.resize(1_000_005, 0xc0);
    assert_eq!(refused_msgpack(&many), ("too_large", String::new()));
}

#[test]
fn d07_extensions_come_from_a_closed_set_and_call_nothing() {
    let text = |text: &str| [&[0xa0 | u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    let extension = |code: u8, parts: &[Vec<u8>]| {
        let content = [vec![0x90 | u8::try_from(parts.len()).expect("few")], parts.concat()].concat();
        [vec![0xc7, u8::try_from(content.len()).expect("short"), code], content].concat()
    };
    let state = |value: Vec<u8>| [vec![0x81], text("x"), value].concat();
    let at = |code: &'static str| (code, "/x".to_owned());
    assert_eq!(refused_msgpack(&state(extension(0, &[text("os"), text("system"), text("id")]))), at("type_unknown"));
    assert_eq!(
        refused_msgpack(&state(extension(3, &[text("datetime"), text("datetime"), text("x"), text("now")]))),
        at("code_refused")
    );
    assert_eq!(refused_msgpack(&state(vec![0xd4, 9, 0xc0])), at("format_refused"));
    assert_eq!(refused_msgpack(&state(extension(0, &[text("uuid"), text("UUID")]))), at("envelope_invalid"));
    assert_eq!(
        refused_msgpack(&state(extension(6, &[text("|O"), vec![0x91, 1], text("C"), vec![0xc4, 1, 0]]))),
        at("envelope_invalid")
    );
    assert_eq!(
        refused_msgpack(&state(extension(
            3,
            &[text("datetime"), text("datetime"), text("now"), text("fromisoformat")]
        ))),
        ("field_refused", "/x/args".to_owned())
    );
}

fn data() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("lc".to_owned()),
        Just("__lc_escaped__".to_owned()),
        Just("constructor".to_owned()),
        Just("secret".to_owned()),
        ".{0,6}"
    ];
    let key = prop_oneof![Just("lc"), Just("__lc_escaped__"), Just("type"), Just("id"), Just("kwargs"), Just("a")];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (0..3_i64).prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Float),
        text.prop_map(Value::Text),
        Just(Value::List(["langchain", "schema", "messages", "AIMessage"].map(Value::from).to_vec())),
    ];
    leaf.prop_recursive(5, 60, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|entries| Value::map(entries.into_iter().collect::<Vec<_>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn d02_no_data_becomes_an_object_after_being_written_and_read(value in data()) {
        let written = Envelope::from_data(value);
        let text = written.to_json().expect("data has a form in JSON");
        let read = Envelope::from_json(text.as_bytes(), &core()).map_err(|refused| TestCaseError::fail(format!("{refused:?}: {text}")))?;
        prop_assert!(!read.root().has_object());
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(read.to_json(), Some(text));
    }

    #[test]
    fn d08_any_map_that_looks_like_an_object_is_one_or_is_refused(value in data()) {
        let json = value.to_json_text();
        if let Ok(envelope) = Envelope::from_json(json.as_bytes(), &core()) {
            let again = envelope.to_json().expect("what JSON said has a form in JSON");
            prop_assert_eq!(Envelope::from_json(again.as_bytes(), &core()), Ok(envelope));
        }
    }

    #[test]
    fn d07_any_bytes_are_read_as_msgpack_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Err(refused) = Envelope::from_msgpack(&bytes, &core()) {
            prop_assert!(!refused.is_empty());
        }
    }
}

#[test]
fn d08_codes_of_decoding_are_in_the_documented_list() {
    for vector in Vector::all() {
        if let Some(code) = vector.json["code"].as_str() {
            assert!(ReasonCode::from_name(code).is_some(), "{code}");
        }
    }
}
