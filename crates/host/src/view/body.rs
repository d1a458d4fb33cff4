//! The bodies of entries, read back.

use lockgate_authority::{PointKind, Value};
use lockgate_crossing::body::MAX_REFUSED;
use lockgate_decode::{Budget, decode_value};
use lockgate_journal::MAX_BODY;
use minicbor::Decoder;

/// What one value of a body may cost: the arguments of a crossing lie one level deep in it.
const BODY: Budget = Budget { bytes: MAX_BODY, nodes: 100_000, depth: 66, text: MAX_BODY };

/// The fields of an entry's body. A field that is no data (the arguments of a refused crossing can be anything) is left
/// out, with those behind it.
pub(super) struct Fields {
    fields: Vec<(String, Value)>,
    /// Bytes of the arguments as they are in the entry.
    sent: u64,
}

/// The arguments of a crossing, as far as its entry holds them.
pub(super) enum Arguments {
    /// All of them, and their size in bytes.
    Whole(Value, u64),
    /// Their size in bytes; the entry holds their digest.
    Digest(u64),
    /// They were no data.
    Unreadable,
}

impl Fields {
    /// Reads a body; `None` where it is no map with text keys.
    pub(super) fn read(body: &[u8]) -> Option<Fields> {
        let mut decoder = Decoder::new(body);
        let mut out = Fields { fields: Vec::new(), sent: 0 };
        for _ in 0..decoder.map().ok()?? {
            let key = decoder.str().ok()?.to_owned();
            let start = decoder.position();
            if decoder.skip().is_err() {
                break;
            }
            let bytes = body.get(start..decoder.position())?;
            let Ok(value) = decode_value(bytes, &BODY) else { continue };
            if key == "args" {
                out.sent = bytes.len() as u64;
            }
            out.fields.push((key, value));
        }
        Some(out)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    pub(super) fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.get(key)?.as_bytes()
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    pub(super) fn arguments(&self) -> Arguments {
        match self.get("args") {
            None => Arguments::Unreadable,
            Some(args) => match condensed(args) {
                0 if args.as_map().is_some() => Arguments::Whole(args.clone(), self.sent),
                0 => Arguments::Unreadable,
                digested => Arguments::Digest(self.sent.saturating_add(digested)),
            },
        }
    }
}

/// The size of a value of which an entry holds only `{sha256, bytes}`. A value of that very form would be small enough to
/// be kept whole, so its size tells the two apart.
fn digest_of(value: &Value) -> Option<u64> {
    if let Some(bytes) = sealed_of(value) {
        return Some(bytes);
    }
    let fields = value.as_map()?;
    let bytes = value.get("bytes")?.as_u64()?;
    let digest = value.get("sha256")?.as_bytes()?;
    (fields.len() == 2 && digest.len() == 32 && bytes > MAX_REFUSED as u64).then_some(bytes)
}

/// The size of content that is sealed at its point, of which an entry never holds more than `{sha256, bytes, sealed: true}`.
fn sealed_of(value: &Value) -> Option<u64> {
    let is_sealed = value.get("sealed") == Some(&Value::Bool(true)) && value.as_map()?.len() == 3;
    let digest = value.get("sha256")?.as_bytes()?;
    value.get("bytes")?.as_u64().filter(|_| is_sealed && digest.len() == 32)
}

/// Bytes of a value that its entry holds only the digests of: of the whole or, anywhere in it, of long texts and bytes.
fn condensed(value: &Value) -> u64 {
    if let Some(bytes) = leaf_of(value) {
        return bytes;
    }
    match value {
        Value::List(items) => items.iter().map(condensed).sum(),
        Value::Map(entries) => entries.iter().map(|(_, value)| condensed(value)).sum(),
        _ => 0,
    }
}

/// As [`digest_of`], for a part of a value.
fn leaf_of(value: &Value) -> Option<u64> {
    /// Longer ones are kept as digests.
    const MAX_LEAF: u64 = 256;
    if let Some(bytes) = sealed_of(value) {
        // Even of nothing only the digest is there.
        return Some(bytes.max(1));
    }
    let bytes = value.get("bytes")?.as_u64()?;
    let digest = value.get("sha256")?.as_bytes()?;
    (value.as_map()?.len() == 2 && digest.len() == 32 && bytes > MAX_LEAF).then_some(bytes)
}

/// Bytes that a crossing was charged for its result, never fewer than it was; `None` where the entry does not tell.
pub(super) fn received(kind: PointKind, op: &str, outcome: &Fields) -> Option<u64> {
    if matches!((kind, op), (PointKind::Fs, "write") | (PointKind::Cell | PointKind::Parent, "send")) {
        return Some(0);
    }
    // Of what was kept unread all was charged that it could have been.
    if outcome.get("sealed").is_some() {
        return None;
    }
    let Some(result) = outcome.get("ok") else { return Some(0) };
    match digest_of(result) {
        None if condensed(result) > 0 => None,
        None => Some(result.weight()),
        // A part of a response and a file are bytes, which weigh less than their encoding.
        Some(encoded) if matches!((kind, op), (PointKind::Http, "body") | (PointKind::Fs, "read")) => Some(encoded),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_authority::{Denial, Label, PartyNames, ReasonCode};
    use lockgate_crossing::{Shown, body};
    use lockgate_decode::encode_value;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        let _ = encode_value(value, &mut minicbor::Encoder::new(&mut out));
        out
    }

    fn intent(point: &str, op: &str, args: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let parties = PartyNames::default();
        // Written by anyone: the entry then has a field before the arguments that not every entry has.
        let label = Shown { label: Label::TOP, parties: &parties };
        let intent = body::Intent {
            point,
            op,
            grant: 3,
            approval: Some(2),
            label,
            sealed: &[],
            rises: false,
            heard: label,
            args,
        };
        body::intent(&mut out, &intent);
        out
    }

    #[test]
    fn j01_what_an_entry_holds_is_read_back() {
        let args = Value::map([("path", Value::from("a")), ("data", Value::Bytes(vec![7; 40]))]);
        let raw = encoded(&args);
        let out = intent("fs.data", "write", &raw);
        let fields = Fields::read(&out).expect("a body");
        assert_eq!(
            (fields.text("point"), fields.text("op"), fields.number("grant")),
            (Some("fs.data"), Some("write"), Some(3))
        );
        assert!(
            matches!(fields.arguments(), Arguments::Whole(found, sent) if found == args && sent == raw.len() as u64)
        );
    }

    #[test]
    fn j01_a_digest_is_told_from_arguments_of_its_form() {
        let raw = encoded(&Value::map([("data", Value::Bytes(vec![7; 20_000]))]));
        let out = intent("fs.data", "write", &raw);
        let fields = Fields::read(&out).expect("a body");
        assert!(matches!(fields.arguments(), Arguments::Digest(sent) if sent >= raw.len() as u64));
        let alike = Value::map([("sha256", Value::Bytes(vec![0; 32])), ("bytes", Value::Int(60))]);
        let out = intent("tool.t", "x", &encoded(&alike));
        assert!(
            matches!(Fields::read(&out).expect("a body").arguments(), Arguments::Whole(found, _) if found == alike)
        );
    }

    #[test]
    fn j01_arguments_that_are_no_data_leave_the_rest_readable() {
        let denial = Denial::new(ReasonCode::Malformed, "the arguments hold something");
        for junk in [&b"\xff"[..], b"\x5f\x41", b"\xa1\x01\x02", b""] {
            let mut out = Vec::new();
            let parties = PartyNames::default();
            let label = Shown { label: Label::BOTTOM, parties: &parties };
            let refusal = body::Refusal {
                point: Some("fs.data"),
                op: "read",
                denial: &denial,
                about: None,
                label,
                heard: label,
                args: junk,
            };
            body::refusal(&mut out, &refusal);
            let fields = Fields::read(&out).expect("a body");
            assert_eq!(fields.text("code"), Some("malformed"), "{junk:?}");
            assert!(matches!(fields.arguments(), Arguments::Unreadable), "{junk:?}");
        }
    }
}
