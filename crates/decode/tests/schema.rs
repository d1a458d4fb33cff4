//! JSON Schemas of others: what they say is checked, and a hostile one costs nothing.

use lockgate_decode::{Mismatch, Schema, SchemaError};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// Far above what anything here takes, far below what would be taken without bounds.
const SOON: Duration = Duration::from_secs(5);

fn compiled(schema: &Json) -> Schema {
    Schema::compile(schema).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(schema: &Json) -> String {
    let began = Instant::now();
    let error = Schema::compile(schema).expect_err("it is refused").to_string();
    assert!(began.elapsed() < SOON, "{error}");
    assert!(error.len() < 3_000 && !error.contains(char::is_control), "{error}");
    error
}

fn mismatch(schema: &Json, value: &Json) -> (String, String) {
    let began = Instant::now();
    let Mismatch { pointer, message } = compiled(schema).check(value).expect_err("it does not fit");
    assert!(began.elapsed() < SOON, "{message}");
    assert!(pointer.len() <= 2_000 && message.len() < 1_000, "{message}");
    assert!(!pointer.contains(char::is_control) && !message.contains(char::is_control), "{message}");
    (pointer, message)
}

fn tool() -> Json {
    json!({
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "pattern": "^[a-z./]+$"},
            "lines": {"type": "integer", "minimum": 1, "maximum": 100},
            "mode": {"enum": ["append", "replace"]},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            "a/b~c": {"const": 1}
        },
        "required": ["path"],
        "additionalProperties": false
    })
}

#[test]
fn d06_arguments_are_checked_with_the_place_of_what_does_not_fit() {
    assert_eq!(compiled(&tool()).check(&json!({"path": "a.txt", "lines": 3, "mode": "append", "tags": ["x"]})), Ok(()));
    for (value, pointer, says) in [
        (json!({}), "", "without `\"path\"`"),
        (json!({"path": 1}), "/path", "not of the type `string`"),
        (json!({"path": "A"}), "/path", "does not match `^[a-z./]+$`"),
        (json!({"path": ""}), "/path", "fewer than 1 characters"),
        (json!({"path": "a", "lines": 0}), "/lines", "below `1`"),
        (json!({"path": "a", "lines": 1.5}), "/lines", "not of the type `integer`"),
        (json!({"path": "a", "mode": "erase"}), "/mode", "one of `[\"append\",\"replace\"]`"),
        (json!({"path": "a", "tags": ["x", 2]}), "/tags/1", "not of the type `string`"),
        (json!({"path": "a", "tags": ["x", "y", "z"]}), "/tags", "more than 2 items"),
        (json!({"path": "a", "x/y\n": 1}), "/x~1y\u{fffd}", "does not have"),
        (json!({"path": "a", "a/b~c": 2}), "/a~1b~0c", "else than `1`"),
        (json!([]), "", "not of the type `object`"),
    ] {
        let (at, message) = mismatch(&tool(), &value);
        assert_eq!(at, pointer, "{value}: {message}");
        assert!(message.contains(says), "{value}: {message}");
    }
}

#[test]
fn d06_a_mismatch_holds_nothing_of_the_value() {
    for value in [json!({"path": "SECRET"}), json!({"path": "a", "mode": "SECRET"}), json!({"path": ["SECRET"]})] {
        let (pointer, message) = mismatch(&tool(), &value);
        assert!(!pointer.contains("SECRET") && !message.contains("SECRET"), "{pointer} {message}");
    }
}

#[test]
fn d06_references_lead_to_places_in_the_same_schema_only() {
    let inside = json!({"$defs": {"name": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/name"}}});
    assert_eq!(mismatch(&inside, &json!({"a": 1})).0, "/a");
    for reference in [
        "http://127.0.0.1:1/schema.json",
        "https://example.com/x",
        "file:///etc/passwd",
        "other.json#/a",
        "#name",
        "#/$defs/%6eame",
        "#/nowhere",
        "\u{1b}[2J",
    ] {
        let schema = json!({"$defs": {"name": {}}, "properties": {"a": {"items": {"$ref": reference}}}});
        assert!(refused(&schema).contains("at `/properties/a/items/$ref`"), "{reference}");
    }
    for keyword in ["$dynamicAnchor", "$dynamicRef", "$id"] {
        let schema = json!({"properties": {"a": {keyword: "https://example.com/x"}}});
        assert!(matches!(Schema::compile(&schema), Err(SchemaError::Reference { .. })), "{keyword}");
    }
    // A name for a place is harmless as long as nothing goes by it.
    let named = |reference: &str| json!({"$defs": {"x": {"$anchor": "name", "type": "string"}}, "properties": {"a": {"$ref": reference}}});
    assert!(compiled(&named("#/$defs/x")).check(&json!({"a": 1})).is_err());
    assert!(matches!(Schema::compile(&named("#name")), Err(SchemaError::Reference { .. })));
    // A draft that nobody knows would have to be fetched.
    assert!(Schema::compile(&json!({"$schema": "https://example.com/draft", "type": "string"})).is_err());
    // The keys of a table are names, not keywords.
    compiled(&json!({"properties": {"$id": {"type": "string"}, "$ref": {"type": "string"}}}));
}

#[test]
fn d06_what_is_no_schema_is_refused_with_its_place() {
    assert!(refused(&json!({"properties": {"a": {"type": "strnig"}}})).contains("/properties/a/type"));
    assert!(refused(&json!({"properties": {"a": {"pattern": "("}}})).contains("not valid"));
    for schema in [json!("x"), json!({"properties": []}), json!({"type": 1})] {
        refused(&schema);
    }
}

#[test]
fn d06_hostile_schemas_are_refused_before_they_cost_anything() {
    let mut deep = json!({"type": "string"});
    for _ in 0..100 {
        deep = json!({"items": deep});
    }
    refused(&deep);
    refused(&json!({"enum": (0..30_000).collect::<Vec<_>>()}));
    refused(&json!({"description": "x".repeat(600 << 10)}));
    // 2^20 ways through 20 schemas, for one text.
    let mut definitions = serde_json::Map::new();
    for level in 0..20 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        definitions.insert(format!("d{level}"), json!({"anyOf": [next, next, {"type": "null"}]}));
    }
    definitions.insert("d20".to_owned(), json!({"type": "integer"}));
    assert!(refused(&json!({"$defs": definitions, "$ref": "#/$defs/d0"})).contains("over 100,000 times"));
    // The same, a level of the value for each.
    let mut definitions = serde_json::Map::new();
    for level in 0..30 {
        let next = json!({"properties": {"x": {"$ref": format!("#/$defs/d{}", level + 1)}}});
        definitions.insert(format!("d{level}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("d30".to_owned(), json!({"type": "integer"}));
    assert!(refused(&json!({"$defs": definitions, "$ref": "#/$defs/d0"})).contains("over 100,000 times"));
    // A chain of references that would take the stack.
    let mut definitions = serde_json::Map::new();
    for level in 0..3_000 {
        definitions.insert(format!("d{level}"), json!({"$ref": format!("#/$defs/d{}", level + 1)}));
    }
    definitions.insert("d3000".to_owned(), json!({}));
    assert!(refused(&json!({"$defs": definitions, "$ref": "#/$defs/d0"})).contains("within one another"));
    // References that an old draft resolves against an inner name, and not against the root.
    let mut definitions = serde_json::Map::new();
    for level in 0..30 {
        let next = json!({"$ref": format!("#/definitions/d{}", level + 1)});
        definitions.insert(format!("d{level}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("d30".to_owned(), json!({"type": "integer"}));
    let inner =
        json!({"id": "http://example.com/x", "definitions": definitions, "allOf": [{"$ref": "#/definitions/d0"}]});
    refused(&json!({
        "$schema": "http://json-schema.org/draft-04/schema#", "definitions": {"d0": {}}, "properties": {"x": inner},
    }));
    // A key so long that its place would take gigabytes if it were kept for each schema below it.
    let wide: serde_json::Map<String, Json> = (0..15_000).map(|key| (key.to_string(), json!({}))).collect();
    assert!(refused(&json!({"properties": {"k".repeat(400 << 10): {"properties": wide}}})).contains("long keys"));
}

#[test]
fn d06_recursive_schemas_end() {
    // Itself, for the same value.
    assert_eq!(compiled(&json!({"$ref": "#"})).check(&json!(1)), Ok(()));
    let _ = compiled(&json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}))
        .check(&json!(1));
    let tree = json!({
        "type": "object",
        "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "value": {"type": "integer"}},
        "additionalProperties": false
    });
    assert_eq!(compiled(&tree).check(&json!({"left": {"right": {"value": 1}}})), Ok(()));
    assert_eq!(mismatch(&tree, &json!({"left": {"right": {"value": "x"}}})).0, "/left/right/value");
    // In two ways for each level: 2^60 without what is remembered.
    let twice = json!({"anyOf": [
        {"properties": {"x": {"$ref": "#"}}, "required": ["y"]},
        {"properties": {"x": {"$ref": "#"}}, "required": ["z"]},
        {"type": "null"}
    ]});
    let mut value = json!({"w": 1});
    for _ in 0..60 {
        value = json!({"x": value});
    }
    assert_eq!(mismatch(&twice, &value).0, "");
}

#[test]
fn d06_patterns_that_explode_elsewhere_take_linear_time() {
    let schema = compiled(&json!({"type": "string", "pattern": "^(a+)+$"}));
    let text = json!(format!("{}!", "a".repeat(1 << 20)));
    let began = Instant::now();
    assert!(schema.check(&text).is_err());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    // One that looks around steps back, a bounded number of times over a bounded text.
    let schema = compiled(&json!({"type": "string", "pattern": "^(?=(a+)+$)(a|aa)+\\1$"}));
    let began = Instant::now();
    assert!(schema.check(&json!(format!("{}!", "a".repeat(100_000)))).is_err());
    assert!(schema.check(&json!("a".repeat(2 << 20))).is_err(), "too large for it");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    // Too large once it is compiled.
    refused(&json!({"pattern": "((((a{1,100}){1,100}){1,100}){1,100})"}));
}

#[test]
fn d06_a_check_that_would_cost_too_much_is_refused() {
    let many: Vec<Json> = (0..3_000).map(|number| json!({"not": {"const": number}})).collect();
    let schema = compiled(&json!({"items": {"allOf": many}}));
    assert_eq!(schema.check(&json!([-1, -2])), Ok(()));
    let large: Vec<i64> = (0..50_000).map(|number| -number - 1).collect();
    let began = Instant::now();
    assert!(schema.check(&json!(large)).expect_err("too much").message.contains("too large to be checked"));
    let mut deep = json!(1);
    for _ in 0..70 {
        deep = json!([deep]);
    }
    assert!(schema.check(&deep).is_err());
    assert!(began.elapsed() < SOON);
}

/// The deepest that is compiled and checked fits on the stack of a small thread.
#[test]
fn d06_the_deepest_check_fits_a_small_stack() {
    let mut schema = json!({"type": ["object", "integer"], "properties": {"x": {"$ref": "#"}}});
    for level in 0..40 {
        schema = if level % 2 == 0 { json!({"allOf": [schema]}) } else { json!({"anyOf": [schema]}) };
        if level == 20 {
            schema["title"] = json!("x");
        }
    }
    let mut value = json!(1);
    for _ in 0..60 {
        value = json!({"x": value});
    }
    let run = move || {
        let _ = Schema::compile(&schema).map(|schema| schema.check(&value));
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).expect("a thread").join().expect("it fits");
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        "[a-z#/$]{0,6}".prop_map(Json::from),
        prop::sample::select(vec!["object", "string", "#", "#/$defs/a", "(a|b)*"]).prop_map(Json::from),
    ];
    let keyword = prop::sample::select(vec![
        "type",
        "properties",
        "items",
        "anyOf",
        "allOf",
        "not",
        "$ref",
        "$defs",
        "a",
        "enum",
        "pattern",
        "required",
        "additionalProperties",
        "minimum",
        "if",
        "then",
        "const",
        "contains",
        "prefixItems",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((keyword.clone(), inner), 0..5).prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    /// Any schema and any value: an answer, in bounded time, whose text is plain; and whatever says no says where.
    #[test]
    fn d06_compiling_and_checking_is_total(schema in json_value(), value in json_value()) {
        let began = Instant::now();
        match Schema::compile(&schema) {
            Ok(schema) => if let Err(mismatch) = schema.check(&value) {
                prop_assert!(value.pointer(&mismatch.pointer).is_some(), "{mismatch}");
                prop_assert!(!mismatch.message.contains(char::is_control));
            },
            Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
        }
        prop_assert!(began.elapsed() < SOON);
    }

    /// What another build of the same library says without bounds is what is said here.
    #[test]
    fn d06_bounds_change_no_answer(schema in json_value(), value in json_value()) {
        if let (Ok(ours), Ok(plain)) = (Schema::compile(&schema), jsonschema::options().offline().build(&schema)) {
            prop_assert_eq!(ours.check(&value).is_ok(), plain.is_valid(&value));
        }
    }
}
