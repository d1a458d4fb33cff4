//! Values across the boundary.

use proptest::prelude::*;
use serde_json::json;

use crate::support::*;

#[test]
fn n03_a_value_crosses_as_bytes_both_ways() {
    let value = json!({"a": [1, -1, 2.5, 9007199254740991i64, -9007199254740991i64, "h\u{e9}\u{1f600}", true, null, {}],
        "f": 1e300, "empty": "", "nested": {"deep": {"er": []}}});
    let start = Start::new(1, "export default (input) => ({ got: input, kind: typeof input.f })").input(value.clone());
    assert_eq!(Cell::new().start(&start).done(), json!({"got": value, "kind": "number"}));
}

#[test]
fn n03_bytes_cross_as_bytes() {
    let mut start = Start::new(
        1,
        "export default (b) => [b instanceof Uint8Array, b.length, b, b.buffer.slice(1), new Uint8Array(0)]",
    );
    start.input = Val::Bytes(vec![1, 2, 255]);
    let turn = Cell::new().start(&start);
    let b = |bytes: &[u8]| json!({ "bytes": bytes });
    assert_eq!(turn.done(), json!([true, 3, b(&[1, 2, 255]), b(&[2, 255]), b(&[])]));
}

#[test]
fn n03_numbers_keep_their_value() {
    assert_eq!(
        eval("[0, -0, 1/3, 2**53, -(2**31), 2**32, 1e21]"),
        json!([0, -0.0, 1.0 / 3.0, 2f64.powi(53), -2147483648i64, 4294967296i64, 1e21])
    );
    assert_eq!(eval("[NaN, Infinity, -Infinity]"), json!(["NaN", "inf", "-inf"]));
    assert_eq!(eval("Object.is(-0, [-0][0])"), json!(true));
}

#[test]
fn n03_undefined_is_a_result_but_no_property() {
    assert_eq!(eval("undefined"), json!("<undefined>"));
    assert_eq!(eval("({a: undefined, b: 1, c: undefined})"), json!({"b": 1}));
    assert_eq!(eval("[undefined, , 1]"), json!([null, null, 1]));
    let many: String = (0..40).map(|i| format!("k{i}: {},", if i % 2 == 0 { "undefined" } else { "1" })).collect();
    assert_eq!(eval(&format!("({{{many}}})")).as_object().unwrap().len(), 20);
    let sixteen_bit: String = (0..300).map(|i| format!("k{i}: {},", if i == 7 { "undefined" } else { "1" })).collect();
    assert_eq!(eval(&format!("({{{sixteen_bit}}})")).as_object().unwrap().len(), 299);
}

#[test]
fn n03_dates_and_urls_say_what_stands_for_them() {
    assert_eq!(
        eval("[new Date(0), new URL('http://a/b'), {toJSON() { return {x: 1} }}]"),
        json!(["1970-01-01T00:00:00.000Z", "http://a/b", {"x": 1}])
    );
}

#[test]
fn n03_a_class_instance_is_its_own_properties() {
    assert_eq!(eval("class P { x = 1; #y = 2; get z() { return 3 } } new P()"), json!({"x": 1}));
    assert_eq!(
        eval("Object.create({inherited: 1}, {hidden: {value: 1}, shown: {value: 2, enumerable: true}})"),
        json!({"shown": 2})
    );
}

#[test]
fn n03_what_no_crossing_can_carry_is_refused() {
    for (source, what) in [
        ("() => 1", "a function"),
        ("[Symbol('x')]", "a symbol"),
        ("({a: 10n})", "a bigint"),
        ("new Map()", "a `Map`"),
        ("new Set()", "a `Set`"),
        ("[new Error('x')]", "an `Error`"),
        ("({p: Promise.resolve()})", "a promise"),
        ("new Float64Array(1)", "a typed array"),
        ("/x/", "an object of this class"),
        ("new WeakMap()", "an object of this class"),
    ] {
        let turn = Cell::new().start(&Start::new(0, source));
        let failure = turn.failed();
        assert_eq!(failure.name, "TypeError", "{source}");
        assert!(failure.message.starts_with(what), "{source}: {}", failure.message);
    }
}

#[test]
fn n03_cycles_and_depth_are_refused() {
    for source in [
        "const a = {}; a.a = a; a",
        "const a = []; a.push(a, a); a",
        "let a = 1; for (let i = 0; i < 65; i++) a = [a]; a",
    ] {
        let turn = Cell::new().start(&Start::new(0, source));
        assert_eq!(turn.failed().message, "a value nests deeper than 64 levels or refers to itself", "{source}");
    }
    assert!(eval("let a = 1; for (let i = 0; i < 64; i++) a = [a]; a").is_array());
}

#[test]
fn n05_a_value_has_a_largest_size() {
    for source in ["'x'.repeat(17 << 20)", "new Array(4e9)", "const a = 'x'.repeat(1 << 20); Array(40).fill(a)"] {
        let turn = Cell::new().start(&Start::new(0, source));
        assert_eq!(
            (turn.failed().name.as_str(), turn.failed().message.as_str()),
            ("RangeError", "a value is larger than 16 MiB"),
            "{source}"
        );
    }
}

#[test]
fn n05_the_requests_of_a_turn_have_a_largest_size() {
    let source = "const text = 'x'.repeat(1 << 20); let n = 0; try { for (;;) { console.log(text); n++ } } catch (e) { [n, e.message] }";
    let turn = Cell::new().start(&Start::new(0, source).grant("log", "log", json!(null)));
    assert_eq!(turn.done(), json!([23, "the requests of one turn are larger than 24 MiB"]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn n03_any_value_comes_back_as_it_went(value in any_value()) {
        // A guest is of its thread; each case gets its own.
        let sent = value.clone();
        let back = std::thread::spawn(move || {
            let mut start = Start::new(1, "export default (x) => x");
            start.input = sent;
            Cell::new().start(&start).done()
        });
        prop_assert_eq!(back.join().unwrap(), value.json());
    }
}

/// Values as a host sends them. Keys of maps are distinct and no array indices, whose order JavaScript would change.
fn any_value() -> impl Strategy<Value = Val> {
    let leaf = prop_oneof![
        Just(Val::Json(json!(null))),
        any::<bool>().prop_map(|b| Val::Json(json!(b))),
        (-(1i64 << 53) + 1..1 << 53).prop_map(|n| Val::Json(json!(n))),
        any::<f64>()
            .prop_filter("not a whole number", |n| n.is_finite() && n.fract() != 0.0)
            .prop_map(|n| Val::Json(json!(n))),
        ".{0,40}".prop_map(|s| Val::Json(json!(s))),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Val::Bytes),
    ];
    leaf.prop_recursive(6, 128, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Val::Array),
            proptest::collection::btree_map("[a-z_]{0,3}[^0-9]{1,6}", inner, 0..8)
                .prop_map(|map| Val::Map(map.into_iter().collect())),
        ]
    })
}

#[test]
fn n03_lone_surrogates_are_replaced() {
    assert_eq!(
        eval(r"['\ud800', 'a\udfffb', '\ud83d\ude00', {'\ud800': 1}]"),
        json!(["\u{fffd}", "a\u{fffd}b", "😀", {"\u{fffd}": 1}])
    );
}

#[test]
fn n03_keys_from_outside_are_own_properties_whatever_they_are_called() {
    let source = "Object.defineProperty(Object.prototype, 'evil', { set(v) { globalThis.leaked = v }, configurable: true });
        export default (o) => [Object.keys(o), Object.getPrototypeOf(o) === Object.prototype, o.__proto__ === o['__proto__'], globalThis.leaked, o.evil]";
    let start = Start::new(1, source).input(json!({"__proto__": {"polluted": 1}, "constructor": 2, "evil": 3}));
    assert_eq!(Cell::new().start(&start).done(), json!([["__proto__", "constructor", "evil"], true, true, null, 3]));
}

#[test]
fn n03_getters_and_proxies_are_read_as_json_reads_them() {
    assert_eq!(eval("({get a() { return 1 }})"), json!({"a": 1}));
    assert_eq!(eval("new Proxy({a: 1, b: [new Proxy([1, 2], {})]}, {})"), json!({"a": 1, "b": [[1, 2]]}));
    let turn = Cell::new().start(&Start::new(0, "({get a() {\n throw new Error('no') }})"));
    assert_eq!((turn.failed().message.as_str(), turn.failed().line), ("no", Some(2)));
    let turn = Cell::new().start(&Start::new(0, "const {proxy, revoke} = Proxy.revocable({}, {}); revoke(); proxy"));
    assert_eq!(turn.failed().name, "TypeError");
}
