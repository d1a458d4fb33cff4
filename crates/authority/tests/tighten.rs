//! A manifest cut down to recorded calls of tools: still allows each of them, and nothing that was refused before.

use lockgate_authority::{
    Call, Decision, HeldGrants, Manifest, Mint, Past, PointKind, Principal, PrincipalKind, Request, SectionChange,
    Subject, Usage, Used, Value, authorize,
};
use proptest::prelude::*;

const WIDE: &str = r#"
isolation = "trusted"
[tool.t]
command = ["server"]
tools = "*"
calls = 90
[tool.t.where.put]
n = { max = 50, optional = true }
to = { prefix = "a", optional = true }
[kv.k]
allow = ["get"]
"#;

/// Arguments of one call: by name, any of what a manifest can and cannot speak of.
fn any_args() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["a[a-c]{0,2}", "a/[a-c]/[a-c]", Just("a\"[\\]~/x".to_owned()), "a[a-c]{200}"];
    let scalar = prop_oneof![
        (-60_i64..60).prop_map(Value::Int),
        (-60.0_f64..60.0).prop_map(Value::Float),
        any::<bool>().prop_map(Value::Bool),
        text.clone().prop_map(Value::Text),
        Just(Value::Null),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
    ];
    let list = proptest::collection::vec(scalar.clone(), 0..4).prop_map(Value::List);
    let any = prop_oneof![3 => scalar, 1 => list];
    let number = prop_oneof![(-60_i64..60).prop_map(Value::Int), (-60.0_f64..60.0).prop_map(Value::Float)];
    let optional = |value: BoxedStrategy<Value>| proptest::option::weighted(0.8, value);
    (
        optional(number.boxed()),
        optional(text.prop_map(Value::Text).boxed()),
        optional(any.clone().boxed()),
        optional(any.boxed()),
    )
        .prop_map(|(n, to, x, odd)| {
            let named = [("n", n), ("to", to), ("x", x), ("odd/name~", odd)];
            Value::map(named.into_iter().filter_map(|(name, value)| Some((name, value?))))
        })
}

fn hold(manifest: &Manifest) -> HeldGrants {
    manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new())
}

fn allows(held: &HeldGrants, op: &str, args: &Value) -> bool {
    let request = Request {
        kind: PointKind::Tool,
        name: "t",
        op,
        subject: Subject::None,
        args,
        bytes: 0,
        now_ms: 0,
        seen: None,
        approved: None,
    };
    matches!(authorize(held.for_handle(PointKind::Tool, "t"), &request, &Usage::new()), Decision::Allow(_))
}

fn past<'a>(calls: &'a [(&'static str, Value)]) -> Past<'a> {
    let call = |(op, args): &'a (&'static str, Value)| Call {
        used: Used { point: "tool.t", op, subject: Subject::None },
        args: Some(args),
    };
    Past { calls: calls.iter().map(call).collect(), ..Past::default() }
}

proptest! {
    #[test]
    fn a15_what_tools_were_given_stays_allowed_and_nothing_is_added(
        calls in proptest::collection::vec((prop_oneof![Just("put"), Just("get")], any_args()), 1..12),
        others in proptest::collection::vec((prop_oneof![Just("put"), Just("get"), Just("drop")], any_args()), 20),
    ) {
        let manifest = Manifest::parse(WIDE, "test").unwrap_or_else(|errors| panic!("{errors}"));
        let wide = hold(&manifest);
        let calls: Vec<_> = calls.into_iter().filter(|(op, args)| allows(&wide, op, args)).collect();
        let found = manifest.tightened(&[past(&calls)]);
        let text = found.manifest.to_toml();
        let again = Manifest::parse(&text, "tightened").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        let tight = hold(&again);
        for (op, args) in &calls {
            prop_assert!(allows(&tight, op, args), "{op} {args:?} was used\n{text}");
        }
        for (op, args) in &others {
            prop_assert!(!allows(&tight, op, args) || allows(&wide, op, args), "{op} {args:?}\n{text}");
            let used = calls.iter().any(|(used, _)| used == op);
            prop_assert!(used || !allows(&tight, op, args), "{op} was never used\n{text}");
        }
        // Doing it again changes nothing.
        prop_assert_eq!(again.tightened(&[past(&calls)]).manifest.to_toml(), text);
    }
}

#[test]
fn a15_arguments_and_budgets_become_what_they_were() {
    let manifest = Manifest::parse(WIDE, "test").expect("well formed");
    let calls = [
        ("put", Value::map([("n", Value::Int(3)), ("to", Value::from("aa"))])),
        ("put", Value::map([("n", Value::Int(7)), ("to", Value::from("ab")), ("x", Value::from("a/b/c"))])),
    ];
    let found = manifest.tightened(&[past(&calls)]);
    let expected = r#"isolation = "trusted"

[wall]
minimum = []

[tool.t]
command = ["server"]
tools = ["put"]
arguments = { put = ["n", "to", "x"] }
calls = 2

[tool.t.where.put]
to = { prefix = "a", one_of = ["aa", "ab"] }
n = { min = 3, max = 7, integer = true }
x = { one_of = ["a/b/c"], optional = true }
"#;
    assert_eq!(found.manifest.to_toml(), expected);
    let difference = manifest.difference(&found.manifest);
    assert_eq!(difference.len(), 2, "{difference:?}");
    assert_eq!(difference[1].change, SectionChange::Gone);
    let SectionChange::Changed(keys) = &difference[0].change else { panic!("{difference:?}") };
    let max = keys.iter().find(|key| key.key == "where.put.n.max").expect("the range differs");
    assert_eq!((max.before.as_deref(), max.after.as_deref()), (Some("50"), Some("7")));
    assert!(manifest.difference(&manifest).is_empty());
}

#[test]
fn a15_what_is_not_known_stays_as_it_was() {
    let manifest = Manifest::parse(
        "[fs.d]\npath = \"d\"\nallow = [\"read\", \"list\"]\nunder = \"x\"\nbytes = \"1KiB\"\n",
        "test",
    );
    let manifest = manifest.expect("well formed");
    let used = Used { point: "fs.d", op: "read", subject: Subject::None };
    let past = Past { calls: vec![Call { used, args: None }], ..Past::default() };
    let found = manifest.tightened(&[past]);
    let text = found.manifest.to_toml();
    assert!(text.contains("under = \"x\"") && text.contains("bytes = \"1KiB\"") && !text.contains("list"), "{text}");
    assert_eq!(found.remarks.len(), 2, "{:?}", found.remarks);
}
