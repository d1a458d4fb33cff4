use lockgate_authority::{ReasonCode, Value};
use lockgate_decode::{
    Accept, Allowed, BadMessage, Budget, Envelope, Line, Lines, MessageId, Node, Refused, Strict, check_message,
    decode_json, inspect as inspect_bytes,
};

/// Small in every way, so that each limit is met.
const SMALL: Strict =
    Strict { budget: Budget { bytes: 200, nodes: 20, depth: 4, text: 20 }, keys: 8, ..Strict::JAVASCRIPT };
/// White space beyond what any reader takes in at once.
const PADDING: usize = 16 << 10;

/// What is taken is what `serde_json` takes; what is refused has a place in the document; white space at its end changes nothing.
pub fn json(bytes: &[u8]) {
    let read = decode_json(bytes, &Strict::DATA);
    let padded = [bytes, &[b' '; PADDING + 1]].concat();
    assert_eq!(read.is_ok(), decode_json(&padded, &Strict::DATA).is_ok(), "white space at the end changed it");
    for strict in [Strict::JAVASCRIPT, SMALL] {
        if let Ok(value) = decode_json(bytes, &strict) {
            assert_eq!(Ok(&value), read.as_ref(), "what is taken strictly is taken");
        }
    }
    match &read {
        Ok(value) => {
            let other: serde_json::Value = serde_json::from_slice(bytes).expect("taken here only");
            assert!(value.same(&Value::from_json(other)), "read differently");
        }
        Err(refused) => assert_placed(refused, bytes),
    }
    messages(bytes);
}

/// Messages, line by line: however they arrive they are the same lines, and an id that is told stands in the text.
fn messages(bytes: &[u8]) {
    let collected = |cut: usize| {
        let (mut lines, mut found) = (Lines::new(64), Vec::new());
        for piece in bytes.chunks(cut) {
            lines.take(piece, |line| {
                found.push(match line {
                    Line::Whole(line) => (line.to_vec(), None),
                    Line::TooLong(beginning, end) => (beginning.to_vec(), Some(end.to_vec())),
                });
            });
        }
        found
    };
    let found = collected(usize::MAX);
    for (beginning, end) in collected(7).iter().zip(&found) {
        assert_eq!(beginning.1.is_some(), end.1.is_some(), "one and the same line is too long or is not");
        let (beginning, end) = end;
        let Some(end) = end else { continue };
        assert!(beginning.len() <= 64 && end.len() <= 256);
        let refused = Refused { code: ReasonCode::TooLarge, pointer: String::new(), found: "too large" };
        if let Some(MessageId::Number(number)) = BadMessage::of_ends(beginning, end, refused).id {
            let digits = number.to_string();
            let has = |text: &[u8]| text.windows(digits.len()).any(|window| window == digits.as_bytes());
            assert!(has(beginning) || has(end) || number == 0, "{number} stands nowhere");
        }
    }
    if let Err(bad) = check_message(bytes, &Strict::DATA) {
        assert!(bad.id.is_none() || bad.has_id);
    }
}

fn assert_placed(refused: &Refused, bytes: &[u8]) {
    assert!(refused.pointer.is_empty() || refused.pointer.starts_with('/'), "{refused:?}");
    assert!(refused.pointer.len() <= 8 * bytes.len() + 64, "{refused:?}");
}

/// Envelopes: messages are a part of core; what was read is written as what reads back the same; data stays data.
pub fn envelope(bytes: &[u8]) {
    let core = Accept { allowed: Allowed::Core, ..Accept::default() };
    let none = Accept { allowed: Allowed::Only(&[]), ..Accept::default() };
    let read = Envelope::from_json(bytes, &core);
    if let Ok(messages) = Envelope::from_json(bytes, &Accept::default()) {
        assert_eq!(read.as_ref(), Ok(&messages));
    }
    if let Ok(empty) = Envelope::from_json(bytes, &none) {
        assert!(!empty.root().has_object(), "an object although nothing is allowed");
    }
    match &read {
        Ok(envelope) => {
            let text = envelope.to_json().expect("what JSON said has a form in JSON");
            assert_eq!(Envelope::from_json(text.as_bytes(), &core).as_ref(), Ok(envelope), "{text}");
        }
        Err(refused) => assert!(!refused.is_empty() && refused.len() <= 100),
    }
    if let Ok(value) = decode_json(bytes, &Strict::DATA) {
        let data = Envelope::from_data(value);
        let text = data.to_json().expect("data has a form in JSON");
        // An escape adds a level to what may have no more.
        if let Ok(again) = Envelope::from_json(text.as_bytes(), &core) {
            assert!(!again.root().has_object(), "data became an object: {text}");
            assert_eq!(again, data);
        }
    }
    checkpoints(bytes);
}

/// Checkpoints, in both forms: total, and what is allowed by default is a part of what may be.
fn checkpoints(bytes: &[u8]) {
    let core = Accept { allowed: Allowed::Core, ..Accept::default() };
    for read in [Envelope::from_checkpoint_json, Envelope::from_msgpack] {
        let wide = read(bytes, &core);
        if let Ok(narrow) = read(bytes, &Accept::default()) {
            assert_eq!(wide.as_ref(), Ok(&narrow));
        }
        if let Ok(envelope) = wide {
            assert_finite(envelope.root());
        }
    }
}

fn assert_finite(node: &Node) {
    match node {
        Node::Float(number) => assert!(number.is_finite()),
        Node::Int(number) => assert!(number.unsigned_abs() < 1 << 53),
        Node::List(items) => items.iter().for_each(assert_finite),
        Node::Map(entries) => entries.iter().for_each(|(_, node)| assert_finite(node)),
        _ => {}
    }
}

/// A report is bounded, is the same each time, and says of what is taken that it is.
pub fn inspect(bytes: &[u8]) {
    let report = inspect_bytes(bytes, &Accept::default());
    assert_eq!(report, inspect_bytes(bytes, &Accept::default()));
    assert_eq!(report.digest().len(), 64);
    assert!(report.refused.len() <= 100);
    for (_, list) in report.can.lists() {
        assert!(list.len() <= 1000);
        assert!(list.iter().all(|named| named.what.len() <= 2048));
    }
}
