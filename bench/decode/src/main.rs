//! Times strict JSON beside `serde_json`, `jiter`, `simd-json` and `sonic-rs`, each into its own tree: medians of one thread.
//!
//! Every reader reads the same document in turn, so that a busy machine is busy for all of them. `decode-bench once DOCUMENT READER ROUNDS`
//! only reads, for counting instructions (`instructions` in this directory); document and reader are numbers, from 0.

use lockgate_authority::Value;
use lockgate_decode::{Schema, Strict, check_json, decode_json};
use std::hint::black_box;
use std::time::Instant;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What reads a document and drops what it made of it.
const READERS: [(&str, fn(&[u8])); 6] = [
    ("strict, looked through", |json| black_box(check_json(json, &Strict::JAVASCRIPT)).expect("taken")),
    ("strict, built", |json| drop(black_box(decode_json(json, &Strict::JAVASCRIPT).expect("taken")))),
    ("serde_json", |json| drop(black_box(serde_json::from_slice::<serde_json::Value>(json).expect("taken")))),
    ("jiter", |json| drop(black_box(jiter::JsonValue::parse(json, false).expect("taken")))),
    // It parses in place, so that it has to be given a copy.
    ("simd-json", |json| drop(black_box(simd_json::to_owned_value(&mut json.to_vec()).expect("taken")))),
    ("sonic-rs", |json| drop(black_box(sonic_rs::from_slice::<sonic_rs::Value>(json).expect("taken")))),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [once, rest @ ..] = &*args {
        assert_eq!(once, "once", "`once DOCUMENT READER ROUNDS`, or nothing");
        let numbers: Vec<usize> = rest.iter().map(|number| number.parse().expect("a number")).collect();
        let [document, reader, rounds] = *numbers else { panic!("`once DOCUMENT READER ROUNDS`") };
        let (name, json) = &documents()[document];
        for _ in 0..rounds {
            READERS[reader].1(black_box(json.as_bytes()));
        }
        println!("{name}\t{}\t{}", json.len(), READERS[reader].0);
        return;
    }
    let names = READERS.map(|(name, _)| name).join(" | ");
    println!("| document | {names} |\n|---{}|", "|---".repeat(READERS.len()));
    for (name, json) in documents() {
        let rounds = (256 * MIB / json.len()).clamp(100, 50_000) / 4;
        let times = medians(json.as_bytes(), rounds);
        let shown = times.map(|nanoseconds| show(json.len(), nanoseconds));
        println!("| {name}, {} bytes | {} |", json.len(), shown.join(" | "));
    }
    schema();
    refusal();
}

/// One check of a tool call's arguments against the tool's schema.
fn schema() {
    let json: serde_json::Value = serde_json::from_str(&tool_call()).expect("JSON");
    let schema = Schema::compile(&serde_json::json!({
        "type": "object",
        "properties": {
            "to": {"type": "array", "items": {"type": "string", "maxLength": 200}, "minItems": 1},
            "subject": {"type": "string", "maxLength": 200},
            "body": {"type": "string"},
            "attachments": {"type": "array", "items": {
                "type": "object",
                "properties": {"path": {"type": "string", "pattern": "^[a-z./]+$"}, "size": {"type": "integer"}, "inline": {"type": "boolean"}},
                "required": ["path"],
                "additionalProperties": false
            }},
            "priority": {"type": "number", "minimum": 0, "maximum": 1}
        },
        "required": ["to", "subject", "body"],
        "additionalProperties": false
    }))
    .expect("a schema");
    let args = Value::from_json(json.pointer("/params/arguments").expect("arguments").clone());
    let mut times: [Vec<u128>; 2] = Default::default();
    for _ in 0..50_000 {
        let begun = Instant::now();
        let plain = args.to_json().expect("plain");
        times[0].push(begun.elapsed().as_nanos());
        let begun = Instant::now();
        black_box(schema.check(black_box(&plain))).expect("it fits");
        times[1].push(begun.elapsed().as_nanos());
    }
    let [convert, check] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    println!("\nA tool call's arguments against their schema: {check} ns, and {convert} ns to bring them into its form");
}

/// A large document by its throughput, a small one by its time.
fn show(bytes: usize, nanoseconds: u128) -> String {
    if bytes < 100 * KIB {
        format!("{:.2} µs", nanoseconds as f64 / 1000.0)
    } else {
        format!("{:.0} MB/s", bytes as f64 * 1000.0 / nanoseconds as f64)
    }
}

fn medians(json: &[u8], rounds: usize) -> [u128; READERS.len()] {
    let mut times: [Vec<u128>; READERS.len()] = Default::default();
    for _ in 0..rounds {
        for ((_, reader), times) in READERS.iter().zip(&mut times) {
            let begun = Instant::now();
            reader(json);
            times.push(begun.elapsed().as_nanos());
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    })
}

fn documents() -> Vec<(&'static str, String)> {
    vec![
        ("a tool call", tool_call()),
        ("results of a search", repeated(|index| record(index))),
        (
            "texts",
            repeated(|index| {
                format!("\"{} line {index}\\n of a file with an é\"", "some words of a text, ".repeat(20))
            }),
        ),
        ("numbers", repeated(|index| format!("{},{}.{}", index * 7919, index, index % 997 + 1))),
        ("maps in maps", repeated(|index| format!(r#"{{"a":{{"b":{{"c":[{index},true,null]}}}}}}"#))),
    ]
}

/// The arguments of a tool call, with 1,000 bytes of text as in a mail.
fn tool_call() -> String {
    let body = "Hello Ann,\\nthe report is attached. ".repeat(20);
    format!(
        r#"{{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{{"name":"send_mail","arguments":{{"to":["ann@example.com"],"subject":"Report","body":"{body}","attachments":[{{"path":"out/report.md","size":5120,"inline":false}}],"priority":0.5}}}}}}"#
    )
}

fn record(index: usize) -> String {
    format!(
        r#"{{"id":{index},"name":"item {index}","url":"https://example.com/items/{index}","score":0.{index},"tags":["a","b\u00e9"],"active":true,"owner":{{"login":"user{index}","admin":false}}}}"#
    )
}

/// A list of up to a megabyte, within the values and keys that are allowed.
fn repeated(item: impl Fn(usize) -> String) -> String {
    let mut out = "[".to_owned();
    for index in 1..95_000 {
        let item = item(index);
        let values = item.matches([',', '{', '[']).count() + 1;
        let keys = item.matches("\":").count();
        if out.len() + item.len() > MIB || values * index > 95_000 || keys * index > 45_000 {
            break;
        }
        out.push_str(&item);
        out.push(',');
    }
    out.push_str("0]");
    out
}

/// A gigabyte of nothing but the beginning of a list: how long until it is refused.
fn refusal() {
    let hostile = "[0,".to_owned() + &"0,".repeat(512 * MIB);
    for (name, strict) in [
        ("by its size", Strict::DATA),
        (
            "by its values",
            Strict { budget: lockgate_decode::Budget { bytes: usize::MAX, ..Strict::DATA.budget }, ..Strict::DATA },
        ),
    ] {
        let begun = Instant::now();
        assert!(decode_json(hostile.as_bytes(), &strict).is_err());
        println!("\n1 GiB refused {name} after {:?}", begun.elapsed());
    }
}
