//! What all cells of a session crossed and were refused, read back from its journal.

use lockgate_authority::{PointKind, ReasonCode};
use lockgate_host::{Closed, Finished, Gate};
use lockgate_journal::{Entry, Kind, Query, Reader, body_to_json};
use serde_json::{Value as Json, json};
use std::collections::HashSet;

/// The crossings of a session, those of child cells among them.
#[derive(Default)]
pub(crate) struct Crossed {
    pub(crate) crossings: u64,
    pub(crate) refusals: u64,
    /// `{point, op, code, message, about, …}` of the first refusals.
    pub(crate) refused: Vec<Json>,
    /// `{serial, of, code, message, …}` of the first failures that no cell was told of, since they depend on what it holds
    /// sealed.
    pub(crate) unread: Vec<Json>,
}

impl Crossed {
    /// What the journal says; where it cannot be read, what the first cell counted.
    pub(crate) fn read(gate: &Gate, closed: Option<&Closed>, finished: &Finished) -> Crossed {
        let first = || Crossed { crossings: finished.crossings, refusals: finished.refusals, ..Crossed::default() };
        let Some(closed) = closed else { return first() };
        let Ok(reader) = Reader::open(gate.journal()) else { return first() };
        let mut crossed = Crossed::default();
        let mut spawns = HashSet::new();
        for entry in reader.entries(Query::session(closed.id)).filter_map(Result::ok) {
            crossed.add(&entry, &mut spawns);
        }
        crossed
    }

    /// `spawns`: serials of the intents to start a child. Such an intent is allowed as a crossing; that the child asked for
    /// more than its parent holds shows in the outcome.
    fn add(&mut self, entry: &Entry, spawns: &mut HashSet<u64>) {
        if entry.kind == Kind::Outcome && UNREAD.iter().any(|part| has(entry, part)) && self.unread.len() < MOST {
            let mut body = body(entry);
            if let (Some(_), Some(fields)) = (body.get("code").cloned(), body.as_object_mut()) {
                fields.insert("serial".to_owned(), json!(entry.serial));
                self.unread.push(body);
            }
        }
        match entry.kind {
            Kind::Refusal => self.list(|| body(entry)),
            // Its end, with what it counted.
            Kind::Note if entry.cell != 0 => {
                let body = body(entry);
                let count = |key: &str| body.get(key).and_then(Json::as_u64).unwrap_or(0);
                self.crossings += count("crossings");
                self.refusals += count("refusals");
            }
            // Only these are worth decoding: a session may have very many others.
            Kind::Intent if has(entry, SPAWN) => {
                let body = body(entry);
                if body["point"] == PointKind::Cell.as_str() && body["op"] == "spawn" {
                    spawns.insert(entry.serial);
                }
            }
            Kind::Outcome if !spawns.is_empty() => {
                let body = body(entry);
                let of_spawn = body["of"].as_u64().is_some_and(|of| spawns.remove(&of));
                let refused = [ReasonCode::Amplification, ReasonCode::Malformed];
                if of_spawn && refused.iter().any(|code| body["code"] == code.as_str()) {
                    self.refusals += 1;
                    self.list(|| {
                        json!({
                            "point": PointKind::Cell.as_str(),
                            "op": "spawn",
                            "code": body["code"],
                            "message": body["message"],
                            "about": null,
                        })
                    });
                }
            }
            _ => {}
        }
    }

    fn list(&mut self, refusal: impl FnOnce() -> Json) {
        if self.refused.len() < MOST {
            self.refused.push(refusal());
        }
    }
}

/// Most refusals, and most failures, that are listed.
const MOST: usize = 20;
const SPAWN: &[u8] = b"spawn";
/// Keys of outcomes that a cell was not told of as they are.
const UNREAD: [&[u8]; 2] = [b"untold", b"sealed"];

fn has(entry: &Entry, text: &[u8]) -> bool {
    entry.body.windows(text.len()).any(|part| part == text)
}

fn body(entry: &Entry) -> Json {
    serde_json::from_str(&body_to_json(&entry.body)).unwrap_or(Json::Null)
}
