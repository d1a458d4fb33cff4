//! What strict JSON takes and refuses, and that a refusal costs next to no memory.

use lockgate_authority::{ReasonCode, Value};
use lockgate_decode::{
    BoundFor, Budget, Line, Lines, MessageId, Numbers, Refused, Strict, check_json, check_message, decode_json,
    value_of_json,
};
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what the current thread holds, and the most it held.
struct Counting;

thread_local! {
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count(change: impl Fn(usize) -> usize) {
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = change(now);
        held.set((now, most.max(now)));
    });
}

// SAFETY: every call is passed on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|now| now + layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|now| now.saturating_sub(layout.size()));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that were held at most at once while `work` ran.
fn most_held<T>(work: impl FnOnce() -> T) -> (T, usize) {
    HELD.set((0, 0));
    let done = work();
    (done, HELD.get().1)
}

fn refused(json: &str) -> Refused {
    refused_bytes(json.as_bytes())
}

fn refused_bytes(json: &[u8]) -> Refused {
    match decode_json(json, &Strict::JAVASCRIPT) {
        Ok(value) => panic!("{} was taken: {value:?}", String::from_utf8_lossy(json)),
        Err(refused) => {
            assert_eq!(check_json(json, &Strict::JAVASCRIPT).as_ref(), Err(&refused));
            refused
        }
    }
}

fn at(json: &str) -> (&'static str, String) {
    let refused = refused(json);
    (refused.code.as_str(), refused.pointer)
}

fn taken(json: &str) -> Value {
    decode_json(json.as_bytes(), &Strict::DATA).unwrap_or_else(|refused| panic!("{json}: {refused}"))
}

#[test]
fn d08_what_readers_disagree_on_is_refused_with_its_place() {
    for (json, code, pointer) in [
        (r#"{"a":1,"a":2}"#, "duplicate_key", "/a"),
        (r#"{"a":[{"b/c":1,"x":0,"b\/c":2}]}"#, "duplicate_key", "/a/0/b~1c"),
        (r#"{"a":{"\u0061":1,"a":1}}"#, "duplicate_key", "/a/a"),
        (r#"["x","\ud800"]"#, "text_not_unicode", "/1"),
        (r#"["\udc00\ud800"]"#, "text_not_unicode", "/0"),
        (r#"{"k":"\ud83d\u0041"}"#, "text_not_unicode", "/k"),
        (r#"{"\ud800":1}"#, "text_not_unicode", ""),
        (r#"{"n":NaN}"#, "number_not_exact", "/n"),
        (r#"{"n":Infinity}"#, "number_not_exact", "/n"),
        (r#"{"n":-Infinity}"#, "number_not_exact", "/n"),
        (r#"{"n":1e400}"#, "number_not_exact", "/n"),
        (r#"{"n":1e-400}"#, "number_not_exact", "/n"),
        (r#"{"n":9007199254740992}"#, "number_not_exact", "/n"),
        (r#"{"n":-9007199254740993}"#, "number_not_exact", "/n"),
        (r#"{"n":123456789012345678901234567890}"#, "number_not_exact", "/n"),
        (r#"{"n":0.3000000000000000444}"#, "number_not_exact", "/n"),
        (r#"{"__proto__":1}"#, "key_refused", "/__proto__"),
        (r#"[{"a":{"constructor":1}}]"#, "key_refused", "/0/a/constructor"),
        (r#"{"proto\u0074ype":1}"#, "key_refused", "/prototype"),
        ("{\"a\":\"x\ny\"}", "malformed", "/a"),
        (r#"{"a":"\x41"}"#, "malformed", "/a"),
        (r#"{"a":"\u+041"}"#, "malformed", "/a"),
        (r#"{"a":01}"#, "malformed", "/a"),
        (r#"{"a":+1}"#, "malformed", "/a"),
        (r#"{"a":.5}"#, "malformed", "/a"),
        (r#"{"a":1.}"#, "malformed", "/a"),
        (r#"{"a":0x10}"#, "malformed", ""),
        (r#"{"a":True}"#, "malformed", "/a"),
        (r#"{"a":nul}"#, "malformed", "/a"),
        (r#"{"a":[1,]}"#, "malformed", "/a/1"),
        (r#"{"a":1,}"#, "malformed", ""),
        (r#"{a:1}"#, "malformed", ""),
        (r#"{'a':1}"#, "malformed", ""),
        (r#"{1:1}"#, "malformed", ""),
        (r#"{"a" 1}"#, "malformed", "/a"),
        (r#"[1 2]"#, "malformed", ""),
        (r#"[1]]"#, "malformed", ""),
        (r#"{} {}"#, "malformed", ""),
        (r#"// x"#, "malformed", ""),
        ("", "malformed", ""),
        ("\u{feff}{}", "malformed", ""),
    ] {
        assert_eq!(at(json), (code, pointer.to_owned()), "{json}");
    }
}

#[test]
fn d08_bytes_that_are_no_utf8_are_refused_where_they_stand() {
    let refused = refused_bytes(b"{\"a\":[1,\"x\xff\"]}");
    assert_eq!((refused.code, refused.pointer.as_str()), (ReasonCode::TextNotUnicode, "/a/1"));
    let refused = refused_bytes(b"{\"a\":1}\xff");
    assert_eq!((refused.code, refused.pointer.as_str()), (ReasonCode::TextNotUnicode, ""));
    // What comes first is said first.
    let refused = refused_bytes(b"{\"a\":NaN,\"b\":\"\xff\"}");
    assert_eq!((refused.code, refused.pointer.as_str()), (ReasonCode::NumberNotExact, "/a"));
}

/// Few keys are compared pair by pair, many are sorted; the start, the end and the length of a key alone do not make it another's equal.
#[test]
fn d08_a_key_given_twice_is_found_among_few_and_many_however_it_is_written() {
    for others in [0, 1, 14, 15, 16, 300] {
        let others = (0..others).map(|index| format!(r#""beginning {index:05} the end":{{"same":1,"other":1}},"#));
        let others: String = others.collect();
        for (one, two) in [
            ("k", "k"),
            ("", ""),
            ("12345678", "12345678"),
            ("beginning -- the end", "beginning -- the end"),
            (r"beginning \u2014 the end", "beginning \u{2014} the end"),
            ("\u{1f600}", r"\ud83d\ude00"),
            (r"b\/\n", r"\u0062/\n"),
        ] {
            let json = format!(r#"{{"in":{{"{one}":1,{others}"{two}":2}}}}"#);
            assert_eq!(at(&json).0, "duplicate_key", "{json}");
            let key = at(&json).1.replace("~1", "/");
            assert_eq!(
                Some(key),
                taken(&format!(r#"["/in/{two}"]"#)).pointer("/0").and_then(Value::as_text).map(Into::into)
            );
        }
        assert!(
            taken(&format!(r#"{{{others}"beginning x the end":1,"beginning y the end":1,"":1,"\u0000":1}}"#))
                .as_map()
                .is_some()
        );
    }
}

/// Keys that no cheap comparison tells apart: refused or taken in a time that grows as the document does.
#[test]
fn d08_keys_that_are_made_to_look_alike_are_told_apart() {
    let keys =
        |count: usize| (0..count).map(|index| format!(r#""beginning {index:09} the end":1"#)).collect::<Vec<_>>();
    let many = keys(49_000);
    assert_eq!(taken(&format!("{{{}}}", many.join(","))).as_map().map(<[_]>::len), Some(49_000));
    let twice = format!("{{{},{}}}", many.join(","), many[24_500]);
    assert_eq!(at(&twice), ("duplicate_key", "/beginning 000024500 the end".to_owned()));
}

#[test]
fn d08_keys_of_javascript_are_only_keys_to_others() {
    assert_eq!(taken(r#"{"__proto__":1}"#), Value::map([("__proto__", Value::Int(1))]));
    assert_eq!(taken(r#"["__proto__"]"#), Value::List(vec![Value::from("__proto__")]));
    assert!(decode_json(br#"["__proto__"]"#, &Strict::JAVASCRIPT).is_ok());
}

#[test]
fn d08_numbers_keep_their_kind_and_value() {
    assert_eq!(taken("1"), Value::Int(1));
    assert_eq!(taken("1.0"), Value::Float(1.0));
    assert_eq!(taken("1e22"), Value::Float(1e22));
    assert_eq!(taken("-9007199254740991"), Value::Int(-9_007_199_254_740_991));
    assert_eq!(taken("0.30000000000000004"), Value::Float(0.1 + 0.2));
    assert_eq!(taken("5e-324"), Value::Float(5e-324));
    assert_eq!(taken("0.00000000000000000000000000000000000010"), Value::Float(1e-37));
    assert!(matches!(taken("-0"), Value::Float(zero) if zero == 0.0 && zero.is_sign_negative()));
    assert!(matches!(taken("0e99"), Value::Float(0.0)));
}

#[test]
fn d06_budgets_are_inclusive_and_name_the_place_where_they_end() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(decode_json(deep(50).as_bytes(), &Strict::DATA).is_ok());
    assert_eq!(at(&deep(51)), ("too_deep", "/0".repeat(50)));

    let small = Strict { budget: Budget { bytes: 40, nodes: 4, depth: 2, text: 5 }, keys: 2, ..Strict::DATA };
    let check =
        |json: &str| decode_json(json.as_bytes(), &small).map_err(|refused| (refused.code.as_str(), refused.pointer));
    assert!(check("[1,2,3]").is_ok());
    assert_eq!(check("[1,2,3,4]"), Err(("too_large", "/3".into())));
    assert!(check(r#"["12345"]"#).is_ok());
    assert_eq!(check(r#"["123456"]"#), Err(("too_large", "/0".into())));
    assert!(check(r#"["\u00e9\u00e9."]"#).is_ok());
    assert_eq!(check(r#"["\u00e9\u00e9.."]"#), Err(("too_large", "/0".into())));
    assert!(check(r#"{"a":{"b":1}}"#).is_ok());
    assert_eq!(check(r#"{"a":{"b":1},"c":1}"#), Err(("too_large", String::new())));
    assert_eq!(check(r#"{"a":"b"}                                "#), Err(("too_large", String::new())));
}

#[test]
fn d06_a_million_elements_are_refused_by_default() {
    let list = format!("[{}0]", "0,".repeat(999_999));
    assert_eq!(at(&list), ("too_large", "/99999".to_owned()));
}

/// Whatever is refused, and wherever in a document: before memory is spent on it.
#[test]
fn d06_a_refusal_costs_at_most_a_mebibyte() {
    const SIZE: usize = 32 << 20;
    let wide = Strict { budget: Budget { bytes: SIZE * 2, ..Strict::DATA.budget }, ..Strict::DATA };
    let unlimited = Strict {
        budget: Budget { bytes: SIZE * 2, nodes: usize::MAX, depth: 256, text: usize::MAX },
        keys: usize::MAX,
        ..Strict::JAVASCRIPT
    };
    let numbers = format!("[{}", "0,".repeat(SIZE / 2));
    let lists = format!("[{}", "[0],".repeat(SIZE / 4));
    let texts = format!("[{}", r#""abcdefgh","#.repeat(SIZE / 11));
    let keys = format!("{{{}", r#""k":0,"#.repeat(SIZE / 6));
    let text = format!("\"{}", "x".repeat(SIZE));
    let whole_text = format!("\"{}\"", "x".repeat(SIZE));
    let escaped = format!("\"{}\"", "\\n".repeat(SIZE / 2));
    let deep = "[".repeat(SIZE);
    let named = format!("[{}{{\"__proto__\":1}}]", r#"{"a":"b"},"#.repeat(SIZE / 10));
    let twice = format!("{{{}\"k0\":1}}", (0..49_000).map(|index| format!(r#""k{index}":[0],"#)).collect::<String>());
    let half = format!("[{}\"\\ud800\"]", "1.5,".repeat(SIZE / 4));
    let small = format!("[{}", "0,".repeat(8190));
    for (name, json, strict) in [
        ("bytes", &numbers, &Strict::DATA),
        ("numbers", &numbers, &wide),
        ("lists", &lists, &wide),
        ("texts", &texts, &wide),
        ("keys", &keys, &wide),
        ("open text", &text, &wide),
        ("long text", &whole_text, &wide),
        ("escaped text", &escaped, &wide),
        ("deep", &deep, &wide),
        ("deep without a limit", &deep, &unlimited),
        ("no end", &numbers, &unlimited),
        ("no end of lists", &lists, &unlimited),
        ("no end of keys", &keys, &unlimited),
        ("a key at the end", &named, &unlimited),
        ("half a pair at the end", &half, &unlimited),
        ("a key given twice", &twice, &Strict::DATA),
        ("a key given twice, after many", &twice, &unlimited),
        ("small and cut", &small, &unlimited),
    ] {
        let (read, held) = most_held(|| decode_json(json.as_bytes(), strict));
        assert!(read.is_err(), "{name} was taken");
        assert!(held <= 1 << 20, "{name}: {held} bytes");
        let (checked, held) = most_held(|| check_json(json.as_bytes(), strict));
        assert_eq!(checked.err(), read.err(), "{name}");
        assert!(held <= 1 << 20, "{name}: {held} bytes");
    }
}

/// Looking through a document costs no more than refusing one, whatever is in it.
#[test]
fn d06_looking_through_a_document_costs_at_most_a_mebibyte() {
    let lists = format!("[{}0]", "[[0],0],".repeat(24_000));
    let keys = format!("{{{}\"\":0}}", (0..49_000).map(|index| format!(r#""{index}":{{}},"#)).collect::<String>());
    for json in [lists, keys] {
        let (checked, held) = most_held(|| check_json(json.as_bytes(), &Strict::JAVASCRIPT));
        assert_eq!(checked, Ok(()));
        assert!(held <= 1 << 20, "{held} bytes");
        let (read, held) = most_held(|| decode_json(json.as_bytes(), &Strict::JAVASCRIPT));
        let value = read.expect("taken");
        let room = value.nodes() * size_of::<(String, Value)>() + usize::try_from(value.weight()).unwrap() + (1 << 20);
        assert!(held <= room, "{held} bytes, {room} for its values");
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let exact = -9_007_199_254_740_991_i64..=9_007_199_254_740_991;
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        exact.prop_map(Into::into),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 200, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(serde_json::Value::from),
            prop::collection::vec((".{0,6}", inner), 0..20)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Another reader's opinion: what it writes is read as what it wrote, compact or not, large or small.
    #[test]
    fn d08_what_is_taken_is_what_another_reader_takes(value in json()) {
        let expected = Value::from_json(value.clone());
        prop_assert_eq!(decode_json(value.to_string().as_bytes(), &Strict::DATA), Ok(expected.clone()));
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(decode_json(pretty.as_bytes(), &Strict::DATA), Ok(expected.clone()));
        let large = format!("[{pretty},\"{}\"]", " ".repeat(20 << 10));
        let read = decode_json(large.as_bytes(), &Strict::DATA).unwrap();
        prop_assert_eq!(read.pointer("/0"), Some(&expected));
        prop_assert_eq!(check_json(large.as_bytes(), &Strict::DATA), Ok(()));
    }

    /// Numbers of few digits are read in a shorter way, to the same double.
    #[test]
    fn d08_a_number_is_the_double_that_is_nearest(number in r"-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?") {
        let is_integer = !number.contains(['.', 'e', 'E']);
        match decode_json(number.as_bytes(), &Strict::DATA) {
            Ok(Value::Int(read)) => {
                prop_assert!(is_integer);
                prop_assert_eq!(read.to_string(), number);
            }
            Ok(Value::Float(read)) => {
                prop_assert!(!is_integer || number == "-0");
                prop_assert_eq!(read.to_bits(), number.parse::<f64>().unwrap().to_bits());
            }
            Ok(other) => prop_assert!(false, "{:?}", other),
            Err(refused) => {
                prop_assert_eq!(refused.code, ReasonCode::NumberNotExact);
                prop_assert!(number.bytes().filter(u8::is_ascii_digit).count() > 15);
            }
        }
    }

    /// Texts of any length with escapes and characters of any kind, wherever a special one stands in them.
    #[test]
    fn d08_a_text_is_read_whole(pieces in prop::collection::vec(r#"[a-c ]{0,70}|[é☃😀"\\\n\u{1}/]{1,3}"#, 0..6)) {
        let text = pieces.concat();
        let written = serde_json::to_string(&text).unwrap();
        let read = decode_json(written.as_bytes(), &Strict::DATA).unwrap();
        prop_assert_eq!(read.as_text(), Some(&*text));
        let cut = &written[..written.len() - 1];
        prop_assert!(decode_json(cut.as_bytes(), &Strict::DATA).is_err());
        for at in written.char_indices().map(|(at, _)| at).skip(1).filter(|at| !written[..*at].ends_with(['\\', 'u', '0'])) {
            let broken = [&written[..at], "\u{2}", &written[at..]].concat();
            prop_assert!(decode_json(broken.as_bytes(), &Strict::DATA).is_err());
        }
    }

    /// Any text: a value that another reader reads too, or a refusal whose place is part of the document.
    #[test]
    fn d08_any_text_is_read_as_another_reader_reads_it_or_refused(text in r#"[\[\]{}:,"\\0-9eE.+\- tfn a-c]{0,40}|.{0,40}"#) {
        if let Ok(value) = decode_json(text.as_bytes(), &Strict::DATA) {
            let other: serde_json::Value = serde_json::from_str(&text).expect("taken here only");
            prop_assert!(value.same(&Value::from_json(other)));
        }
        let read = decode_json(text.as_bytes(), &Strict::DATA);
        prop_assert_eq!(check_json(text.as_bytes(), &Strict::DATA).err(), read.err());
    }

    #[test]
    fn d08_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode_json(&bytes, &Strict::JAVASCRIPT);
    }
}

#[test]
fn d08_numbers_are_taken_exactly_or_refused() {
    let read = |json: &str, numbers| decode_json(json.as_bytes(), &Strict { numbers, ..Strict::DATA });
    let refused = |json: &str, numbers| read(json, numbers).expect_err(json).code.as_str();
    let beyond = ["9007199254740993", "9223372036854775807", "18446744073709551615", "-9223372036854775807"];
    for json in beyond {
        assert_eq!(refused(json, Numbers::Agreed), "number_not_exact");
        assert_eq!(refused(json, Numbers::Exact), "number_not_exact");
        assert!(read(json, Numbers::Bits64).is_ok(), "{json}");
    }
    let exact = ["9007199254740992", "1152921504606846976", "-9223372036854775808", "100000000000000000000"];
    for json in exact {
        assert_eq!(refused(json, Numbers::Agreed), "number_not_exact");
        for numbers in [Numbers::Exact, Numbers::Bits64] {
            let Ok(Value::Float(read)) = read(json, numbers) else { panic!("{json}") };
            assert_eq!(format!("{read:.0}"), json);
        }
    }
    for json in ["18446744073709551616001", "100000000000000000001", &"9".repeat(400)] {
        for numbers in [Numbers::Agreed, Numbers::Exact, Numbers::Bits64] {
            assert_eq!(refused(json, numbers), "number_not_exact", "{json}");
        }
    }
}

#[test]
fn d08_json_that_is_held_becomes_the_same_value_or_none() {
    let value = |text: &str| value_of_json(serde_json::from_str(text).expect("JSON"), BoundFor::JavaScript);
    assert_eq!(
        value("[1, 1.5, 9007199254740992]"),
        Ok(Value::List(vec![Value::Int(1), Value::Float(1.5), Value::Float(9_007_199_254_740_992.0),]))
    );
    let refused = |text: &str| value(text).map_err(|refused| (refused.code.as_str(), refused.pointer)).expect_err(text);
    assert_eq!(refused(r#"{"a/b": [0, 9007199254740993]}"#), ("number_not_exact", "/a~1b/1".into()));
    assert_eq!(refused(r#"{"x": {"__proto__": 1}}"#), ("key_refused", "/x/__proto__".into()));
    assert!(value(r#"["__proto__"]"#).is_ok());
    assert!(value_of_json(serde_json::json!({"constructor": 1}), BoundFor::Data).is_ok());
}

#[test]
fn d08_of_a_refused_message_the_id_is_known() {
    let bad = |text: &str| check_message(text.as_bytes(), &Strict::DATA).expect_err(text);
    let number = Some(MessageId::Number(7));
    let duplicate = bad(r#"{"jsonrpc":"2.0","result":{"a":1,"a":2},"id":7}"#);
    assert_eq!((duplicate.refused.code.as_str(), &*duplicate.refused.pointer), ("duplicate_key", "/result/a"));
    assert_eq!((duplicate.id, duplicate.has_method, duplicate.is_rpc), (number.clone(), false, true));
    let text = bad(r#"{"id":"x","method":"m","params":{"a":1,"a":2}}"#);
    assert_eq!((text.id, text.has_method, text.is_rpc), (Some(MessageId::Text("x".into())), true, false));
    let deep = format!(r#"{{"jsonrpc":"2.0","result":{}1{},"id":7}}"#, "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(bad(&deep).id, number);
    // What stood before the text broke off is known, and two ids are none.
    assert_eq!(bad(r#"{"id":7,"result":{"a":"#).id, number);
    assert_eq!(bad(r#"{"id":7,"id":8,"result":{}}"#).id, None);
    assert_eq!(bad(r#"{"id":[7],"result":1,"result":2}"#).id, None);
    assert!(!bad("[info] started").is_rpc);
    assert!(check_message(br#"{"jsonrpc":"2.0","id":7,"result":{}}"#, &Strict::DATA).is_ok());
}

proptest! {
    /// However a stream is cut, its lines are the same.
    #[test]
    fn d06_lines_are_whole_however_they_arrive(text in "[ab\n]{0,60}", cut in 1_usize..9) {
        let mut lines = Lines::new(1_000);
        let mut found: Vec<Vec<u8>> = Vec::new();
        for piece in text.as_bytes().chunks(cut) {
            lines.take(piece, |line| match line {
                Line::Whole(line) => found.push(line.to_vec()),
                Line::TooLong(line, _) => panic!("it is short: {line:?}"),
            });
        }
        let expected: Vec<&[u8]> = text.as_bytes().split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).collect();
        prop_assert_eq!(found, expected);
    }

    /// A line is too long exactly when it is, is told once, and the next one is whole.
    #[test]
    fn d06_a_line_has_at_most_its_bytes(lengths in proptest::collection::vec(0_usize..20, 1..6), cut in 1_usize..40) {
        let text: Vec<u8> = lengths.iter().flat_map(|length| [vec![b'x'; *length], vec![b'\n']].concat()).collect();
        let mut lines = Lines::new(10);
        let mut found = Vec::new();
        for piece in text.chunks(cut) {
            lines.take(piece, |line| found.push(matches!(line, Line::Whole(_))));
        }
        let expected: Vec<bool> = lengths.iter().map(|length| *length < 10).collect();
        prop_assert_eq!(found, expected);
    }
}
