//! Says of each document on standard input what the decoder decides: a line of JSON each, in and out.
//!
//! In: `{"format": "json" | "checkpoint" | "msgpack", "allowed": "messages" | "core" | [names…], "hex": bytes}`.
//! Out: `{"ok": true, "objects": bool, "dump": text | null}` or `{"ok": false, "refused": [{"code", "pointer", "found"}…]}`.

use lockgate_decode::{Accept, Allowed, Envelope};
use serde_json::{Value, json};
use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        writeln!(out, "{}", decide(&asked))?;
    }
    out.flush()
}

fn decide(asked: &Value) -> Value {
    let bytes = unhex(asked["hex"].as_str().unwrap_or_default());
    let names: Vec<&str> = asked["allowed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let allowed = match asked["allowed"].as_str() {
        Some("core") => Allowed::Core,
        Some("messages") => Allowed::Messages,
        _ => Allowed::Only(&names),
    };
    let accept = Accept { allowed, ..Accept::default() };
    let read = match asked["format"].as_str() {
        Some("msgpack") => Envelope::from_msgpack(&bytes, &accept),
        Some("checkpoint") => Envelope::from_checkpoint_json(&bytes, &accept),
        _ => Envelope::from_json(&bytes, &accept),
    };
    match read {
        Ok(envelope) => json!({"ok": true, "objects": envelope.root().has_object(), "dump": envelope.to_json()}),
        Err(refused) => {
            let told = |refused: &lockgate_decode::Refused| json!({"code": refused.code, "pointer": refused.pointer, "found": refused.found});
            json!({"ok": false, "refused": refused.iter().map(told).collect::<Vec<_>>()})
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
