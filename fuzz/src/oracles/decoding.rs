use std::collections::HashSet;

use lockgate_authority::Value;
use lockgate_decode::{Budget, Turn, TurnStatus, decode_value};
use lockgate_journal::body_to_json;

use crate::generators::encoded;
use crate::protocol::{Event, Frame, FrameError, MAX_FRAME_BYTES};

/// Small in every way, so that each limit is met.
const SMALL: Budget = Budget { bytes: 200, nodes: 20, depth: 4, text: 20 };

/// Reading is total, keeps to its budget, and what was read is written as what reads back the same.
pub fn value(bytes: &[u8]) {
    let large = decode_value(bytes, &Budget::ARGUMENT);
    let small = decode_value(bytes, &SMALL);
    for (result, budget) in [(&large, &Budget::ARGUMENT), (&small, &SMALL)] {
        match result {
            Ok(value) => {
                assert_within(value, budget, bytes);
                assert_round_trip(value, bytes);
            }
            Err(refused) => {
                assert!(refused.pointer.is_empty() || refused.pointer.starts_with('/'));
                // A segment is a key of the input, escaped, or a number.
                assert!(refused.pointer.len() <= 2 * bytes.len() + 24 * budget.depth, "{refused}");
                assert!(refused.to_string().starts_with(refused.found));
            }
        }
    }
    if let Ok(small) = small {
        let large = large.expect("what a small budget takes, a large one takes");
        assert!(identical(&small, &large));
    }
}

/// Counted anew, on the value instead of the bytes.
fn assert_within(value: &Value, budget: &Budget, bytes: &[u8]) {
    assert!(bytes.len() <= budget.bytes);
    let mut nodes = 0;
    let mut open = vec![(value, 0)];
    while let Some((value, depth)) = open.pop() {
        nodes += 1;
        let text = |length: usize| assert!(length <= budget.text);
        match value {
            Value::Text(t) => text(t.len()),
            Value::Bytes(b) => text(b.len()),
            Value::Int(number) => assert!(number.unsigned_abs() < 1 << 53),
            Value::List(items) => {
                assert!(depth < budget.depth);
                open.extend(items.iter().map(|item| (item, depth + 1)));
            }
            Value::Map(entries) => {
                assert!(depth < budget.depth);
                let mut keys = HashSet::new();
                for (key, item) in entries {
                    text(key.len());
                    assert!(keys.insert(key), "a key twice");
                    open.push((item, depth + 1));
                }
            }
            Value::Null | Value::Undefined | Value::Bool(_) | Value::Float(_) => {}
        }
    }
    assert!(nodes <= budget.nodes);
}

fn assert_round_trip(value: &Value, bytes: &[u8]) {
    let once = encoded(value);
    assert!(once.len() <= bytes.len(), "the canonical form is the shortest");
    let again = decode_value(&once, &Budget::ARGUMENT).expect("what was written can be read");
    assert!(identical(value, &again));
    assert_eq!(encoded(&again), once);
}

/// The same data, bit for bit and in the same order.
fn identical(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Float(left), Value::Float(right)) => {
            left.to_bits() == right.to_bits() || left.is_nan() && right.is_nan()
        }
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| identical(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            let same =
                |(left, right): (&(String, Value), &(String, Value))| left.0 == right.0 && identical(&left.1, &right.1);
            left.len() == right.len() && left.iter().zip(right).all(same)
        }
        _ => left == right,
    }
}

/// Longest text of a failure that is kept, in bytes.
const FAILURE_TEXT: usize = 16 << 10;

/// A turn is read or refused; its requests end, lie within it, and end for good at the first that is malformed.
pub fn turn(bytes: &[u8]) {
    let Ok(mut turn) = Turn::read(bytes, &SMALL) else { return };
    match &turn.status {
        TurnStatus::Waiting => {}
        // The budget's bytes are those of the result, not of the turn.
        TurnStatus::Done(value) => assert_within(value, &SMALL, &encoded(value)),
        TurnStatus::Failed(failure) => {
            let file = failure.file.as_deref().unwrap_or_default();
            for text in [&*failure.name, &failure.message, &failure.stack, file] {
                assert!(text.len() <= FAILURE_TEXT);
            }
        }
    }
    let announced = turn.requests.len();
    assert!(announced <= bytes.len() as u64);
    let mut given = 0;
    while let Some(request) = turn.requests.next() {
        given += 1;
        let Ok(request) = request else {
            assert!(turn.requests.next().is_none());
            assert!(turn.requests.is_empty());
            break;
        };
        let inside = bytes.as_ptr_range();
        assert!(inside.contains(&request.args.as_ptr()) && request.args.as_ptr_range().end <= inside.end);
        assert!(!request.args.is_empty());
        value(request.args);
    }
    assert!(given <= announced);
}

/// Every frame is understood by at most one side, and is written exactly as it was read.
pub fn frames(bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        match Frame::first(rest) {
            Ok(Some((frame, length))) => {
                assert!((9..=MAX_FRAME_BYTES + 4).contains(&length));
                let (this, next) = rest.split_at(length);
                assert_incomplete_before(this);
                assert_understood(frame, this);
                rest = next;
            }
            Ok(None) => {
                // Either the length is not there yet, or as much as it announces is not.
                assert!(rest.len() < 4 || rest.len() - 4 < announced(rest));
                break;
            }
            Err(error) => {
                let length = announced(rest);
                assert!(!(5..=MAX_FRAME_BYTES).contains(&length), "{error}");
                break;
            }
        }
    }
}

fn announced(bytes: &[u8]) -> usize {
    bytes.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

fn assert_incomplete_before(frame: &[u8]) {
    for length in (0..frame.len()).rev().take(8).chain(0..frame.len().min(8)) {
        assert_eq!(Frame::first(&frame[..length]), Ok(None));
    }
}

fn assert_understood(frame: Frame<'_>, bytes: &[u8]) {
    let mut written = Vec::new();
    match (frame.order(), frame.event()) {
        (Ok(order), Err(FrameError::Kind(_))) => {
            order.encode(&mut written).expect("its payload is no larger than before")
        }
        (Err(FrameError::Kind(_)), Ok(event)) => {
            if let Event::Turn { bytes, .. } = event {
                turn(bytes);
            }
            event.encode(&mut written).expect("its payload is no larger than before");
        }
        (Ok(_), Ok(_)) => panic!("both sides understand {bytes:?}"),
        (Err(_), Err(_)) => return,
        (order, event) => panic!("{order:?} and {event:?} of {bytes:?}"),
    }
    assert_eq!(written, bytes);
}

/// Any body has a rendering: canonical JSON (RFC 8785) of a bounded length.
pub fn body(bytes: &[u8]) {
    let json = body_to_json(bytes);
    // Of one byte of CBOR it makes at most `{"$undefined":true},`.
    assert!(json.len() <= 20 * bytes.len() + 100, "{} bytes of {}", json.len(), bytes.len());
    let parsed: serde_json::Value = match serde_json::from_str(&json) {
        Ok(parsed) => parsed,
        // The parser's own limit of nesting, which is above that of the rendering for a body of few levels.
        Err(error) if error.to_string().contains("recursion limit") => return,
        Err(error) => panic!("{error}: {json}"),
    };
    assert_canonical(&parsed);
    if !contains_number(&parsed) {
        assert_eq!(parsed.to_string(), json, "no white space, and only what must be escaped is");
    }
}

fn contains_number(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::Number(_) => true,
        serde_json::Value::Array(items) => items.iter().any(contains_number),
        serde_json::Value::Object(entries) => entries.values().any(contains_number),
        _ => false,
    }
}

/// Keys are in order of their UTF-16 units, and those that start with `$` are the rendering's own.
fn assert_canonical(json: &serde_json::Value) {
    match json {
        serde_json::Value::Array(items) => items.iter().for_each(assert_canonical),
        serde_json::Value::Object(entries) => {
            let keys: Vec<Vec<u16>> = entries.keys().map(|key| key.encode_utf16().collect()).collect();
            assert!(keys.is_sorted(), "{json}");
            assert!(entries.len() == 1 || entries.keys().all(|key| !key.starts_with('$')), "{json}");
            entries.values().for_each(assert_canonical);
        }
        _ => {}
    }
}
