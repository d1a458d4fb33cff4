//! The export, and the rendering of bodies.

mod common;

use common::{Dice, entries, fill, fresh, id};
use lockgate_journal::{Entry, Hash, Head, Kind, MAX_BODY, MAX_LINE, SessionId, body_to_json, export, verify_export};
use proptest::prelude::*;
use serde_json::Value;

fn exported() -> (tempfile::TempDir, std::path::PathBuf, String) {
    let (directory, path, journal) = fresh();
    fill(&journal, 3, 40);
    drop(journal);
    let mut text = Vec::new();
    assert!(export(&path, None, &mut text).unwrap().is_clean());
    (directory, path, String::from_utf8(text).unwrap())
}

#[test]
fn j02_the_hash_is_what_other_tools_compute() {
    // Computed with Python's hashlib from the encoding that the crate's documentation gives.
    let session = SessionId::from_bytes(std::array::from_fn(|n| n as u8));
    let mut entry = Entry {
        row: 1,
        session,
        serial: 0,
        time: 1_785_000_000_000_000,
        kind: Kind::Start,
        cell: 0,
        body: b"\xa0".to_vec(),
        hash: Hash::ZERO,
    };
    let first = entry.hash_after(&Hash::ZERO);
    assert_eq!(first.to_string(), "11f6e87bf52568e4a3f346ae01de24aef2205c777c8c155e6327d8f7a6e6e920");
    entry = Entry {
        serial: 1,
        time: entry.time + 1,
        kind: Kind::Intent,
        cell: 7,
        body: b"\x82\x01\x63abc".to_vec(),
        ..entry
    };
    assert_eq!(
        entry.hash_after(&first).to_string(),
        "84c7bfec0da0f402d85969c1492d0397b6f32fd94e227eb6c856d559268efee4"
    );
}

#[test]
fn j02_an_export_verifies_by_itself() {
    let (_directory, path, text) = exported();
    let report = verify_export(text.as_bytes(), &[]).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.entries, report.sessions, report.open.len()), (120, 3, 1));
    let all = entries(&path);
    let last = all.iter().rfind(|entry| entry.session == id(1)).unwrap();
    let head = Head { session: id(1), serial: last.serial, hash: last.hash };
    assert!(verify_export(text.as_bytes(), &[head]).unwrap().is_clean());
    let other = Head { hash: Hash::ZERO, ..head };
    assert!(!verify_export(text.as_bytes(), &[other]).unwrap().is_clean());
    for (line, entry) in text.lines().skip(1).zip(&all) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["session"], entry.session.to_string());
        assert_eq!(line["serial"], entry.serial);
        assert_eq!(line["time"], entry.time);
        assert_eq!(line["kind"], entry.kind.name());
        assert_eq!(line["hash"], entry.hash.to_string());
    }
    let mut one = Vec::new();
    assert!(export(&path, Some(id(1)), &mut one).unwrap().is_clean());
    let report = verify_export(one.as_slice(), &[head]).unwrap();
    assert!(report.is_clean() && report.entries == 40 && report.sessions == 1);
}

#[test]
fn j02_any_change_to_an_export_is_found() {
    let (_directory, _, text) = exported();
    let mut dice = Dice(3);
    for round in 0..3_000 {
        let mut bytes = text.clone().into_bytes();
        let at = dice.below(bytes.len() as u64) as usize;
        match dice.below(4) {
            0 => bytes.truncate(at),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b"0 a\n\"{,"[dice.below(7) as usize]),
            _ => bytes[at] ^= 1 << dice.below(8),
        }
        // Cutting at the end or changing nothing gives the same text.
        if bytes != text.as_bytes() {
            assert!(!verify_export(bytes.as_slice(), &[]).unwrap().is_clean(), "round {round}, byte {at}");
        }
    }
}

#[test]
fn j02_lines_of_an_export_cannot_be_dropped_swapped_or_added() {
    let (_directory, _, text) = exported();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let rejected = |lines: &[&str]| !verify_export(lines.concat().as_bytes(), &[]).unwrap().is_clean();
    assert!(!rejected(&lines));
    for n in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(n);
        assert!(rejected(&fewer), "without line {n}");
        let mut more = lines.clone();
        more.insert(n, lines[n]);
        assert!(rejected(&more), "with line {n} twice");
        // Entries of different sessions may change places: their order is not hashed.
        let mut swapped = lines.clone();
        swapped.swap(n, (n + 3).min(lines.len() - 1));
        assert!(swapped == lines || rejected(&swapped), "with line {n} three later");
    }
}

#[test]
fn j02_the_shown_body_is_the_hashed_one() {
    let (_directory, _, text) = exported();
    let shown = text.replacen(r#"{"body":["foo","#, r#"{"body":["bar","#, 1);
    assert_ne!(shown, text);
    let report = verify_export(shown.as_bytes(), &[]).unwrap();
    assert!(report.findings[0].to_string().contains("contradict each other"), "{:?}", report.findings);
}

#[test]
fn j02_the_longest_bodies_can_be_exported() {
    let (_directory, path, journal) = fresh();
    let key = journal.begin(id(1), 0, b"").unwrap();
    for byte in [0xf7, 0x00, 0xe0, 0x80, 0xff] {
        let mut body = vec![byte; MAX_BODY];
        body[..5].copy_from_slice(&[0x9a, 0, 0, 0xff, 0xfa]);
        let _ = journal.append(key, Kind::Note, 0, 0, &body).unwrap();
    }
    journal.flush().unwrap();
    let mut text = Vec::new();
    assert!(export(&path, None, &mut text).unwrap().is_clean());
    assert!(text.split(|byte| *byte == b'\n').all(|line| line.len() < MAX_LINE));
    assert!(text.len() > 1_200_000 && verify_export(text.as_slice(), &[]).unwrap().is_clean());
}

#[test]
fn j02_bodies_have_one_rendering() {
    for (cbor, json) in [
        (&b""[..], "null"),
        (b"\xf6", "null"),
        (b"\xf7", r#"{"$undefined":true}"#),
        (b"\x83\x01\x20\xf5", "[1,-1,true]"),
        (b"\x1b\x00\x1f\xff\xff\xff\xff\xff\xff", "9007199254740991"),
        (b"\x1b\x00\x20\x00\x00\x00\x00\x00\x00", r#"{"$int":"9007199254740992"}"#),
        (b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", r#"{"$int":"-18446744073709551616"}"#),
        (b"\xfb\x44\xb5\x2d\x02\xc7\xe1\x4a\xf6", "1e+23"),
        (b"\xfb\x3e\x7a\xd7\xf2\x9a\xbc\xaf\x48", "1e-7"),
        (b"\xfa\x3f\xc0\x00\x00", "1.5"),
        (b"\xfb\x80\x00\x00\x00\x00\x00\x00\x00", r#"{"$float":"-0"}"#),
        (b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00", r#"{"$float":"NaN"}"#),
        (b"\xfb\xff\xf0\x00\x00\x00\x00\x00\x00", r#"{"$float":"-Infinity"}"#),
        (b"\x43\x01\x02\x03", r#"{"$bytes":"AQID"}"#),
        (b"\x66\x22\x5c\x0a\x01\xc3\xa9", "\"\\\"\\\\\\n\\u0001\u{e9}\""),
        (b"\xa2\x61b\x01\x61a\x02", r#"{"a":2,"b":1}"#),
        // U+FFFD sorts after U+10000, whose UTF-16 form starts with D800.
        (b"\xa2\x63\xef\xbf\xbd\x01\x64\xf0\x90\x80\x80\x02", "{\"\u{10000}\":2,\"\u{fffd}\":1}"),
        (b"\xa2\x61a\x01\x61a\x02", r#"{"$map":[["a",1],["a",2]]}"#),
        (b"\xa1\x62$a\x01", r#"{"$map":[["$a",1]]}"#),
        (b"\xa1\x01\x02", r#"{"$map":[[1,2]]}"#),
        (b"\xc1\x00", r#"{"$tag":[1,0]}"#),
        (b"\xe5", r#"{"$simple":5}"#),
        (b"\x01\x02", r#"{"$unreadable":"more follows the value"}"#),
        (b"\x82\x01", r#"{"$unreadable":"it is not well-formed CBOR"}"#),
        (b"\x61\xff", r#"{"$unreadable":"it is not well-formed CBOR"}"#),
        (b"\x9f\xff", r#"{"$unreadable":"it holds a value of indefinite length"}"#),
        (b"\xf9\x3c\x00", r#"{"$unreadable":"it holds a 16-bit float"}"#),
        (&[0x81; 3_000], r#"{"$unreadable":"it is nested too deeply"}"#),
    ] {
        assert_eq!(body_to_json(cbor), json, "{cbor:x?}");
    }
}

/// Values that are the same in CBOR and JSON.
fn plain() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1i64 << 53) + 1..1i64 << 53).prop_map(Value::from),
        "\\PC{0,8}|[\\x00-\\x1f\"\\\\]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z\u{e9}\u{10000}]{0,3}", inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

fn encode(value: &Value, to: &mut minicbor::Encoder<Vec<u8>>) {
    match value {
        Value::Null => drop(to.null().unwrap()),
        Value::Bool(value) => drop(to.bool(*value).unwrap()),
        Value::Number(number) => drop(to.i64(number.as_i64().unwrap()).unwrap()),
        Value::String(text) => drop(to.str(text).unwrap()),
        Value::Array(values) => {
            to.array(values.len() as u64).unwrap();
            values.iter().for_each(|value| encode(value, to));
        }
        Value::Object(pairs) => {
            to.map(pairs.len() as u64).unwrap();
            for (key, value) in pairs.iter().rev() {
                to.str(key).unwrap();
                encode(value, to);
            }
        }
    }
}

proptest! {
    #[test]
    fn j02_plain_values_are_rendered_as_they_are(value in plain()) {
        let mut encoder = minicbor::Encoder::new(Vec::new());
        encode(&value, &mut encoder);
        let json = body_to_json(encoder.writer());
        prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }

    #[test]
    fn j02_every_body_is_rendered_as_json(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let json = body_to_json(&body);
        prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
        prop_assert!(!json.contains('\n'));
    }

    #[test]
    fn j02_noise_is_no_export(lines in prop::collection::vec("\\PC{0,40}|\\{\"body\":\\PC{0,40}", 0..6)) {
        prop_assert!(!verify_export(lines.join("\n").as_bytes(), &[]).unwrap().is_clean());
        let header = "{\"format\":\"lockgate journal export\",\"version\":1}\n";
        prop_assert!(!verify_export((header.to_owned() + &lines.join("\n")).as_bytes(), &[]).unwrap().is_clean());
    }

    #[test]
    fn j02_heads_and_ids_are_read_as_they_are_written(session: [u8; 16], serial: u64, hash: [u8; 32]) {
        let head = Head { session: SessionId::from_bytes(session), serial, hash: Hash::from_bytes(hash) };
        prop_assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in [head.to_string() + "0", head.to_string().to_uppercase() + "x", format!("+{head}"), format!("{head}:1")] {
            prop_assert!(wrong.parse::<Head>().is_err(), "{}", wrong);
        }
    }
}
