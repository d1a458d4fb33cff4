//! Whatever is read, reading ends with a value or a refusal.

use lockgate_authority::{
    ArgumentPath, CanonicalPath, CanonicalUrl, GrantRequest, Host, HostPattern, Manifest, SpawnAsk, UrlPathPrefix,
    Value,
};
use proptest::prelude::*;

fn any_value() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        "(kind|name|grants|limits|source|where|arguments|hosts|each|tools|allow|under|one_of|min|equals|write|path|memory|private)",
        ".{0,4}",
    ];
    let text = prop_oneof![
        "(fs|http|kv|tool|cell|clock|data|\\*|/|10s|1MiB|1/s|read|write|2026-01-01T00:00:00Z|GET|\\.\\.)",
        ".{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(Value::Undefined),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        text.prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            proptest::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
        ]
    })
}

/// Lines of a manifest, most of them nearly right.
fn any_manifest() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "\\[(fs|http|kv|tool|limits|wall|clock|random)(\\.[a-z]{1,3})?(\\.where\\.[a-z])?\\]",
        "\\[cell\\]",
        "(path|prefix|url|isolation|mode|at|seed|wall|memory|until|rate|bytes) = \"[ -~]{0,8}\"",
        "(allow|hosts|methods|tools|paths|under|command|minimum) = \\[(\"[ -~]{0,6}\",? ?){0,3}\\]",
        "(calls|crossings|ports|private|approval|children) = (-?[0-9]{1,20}|true|\\[[0-9]{1,6}\\]|1e9|nan)",
        "(where|env|limits|path) = \\{ [a-z]{1,5} = (1|\"x\"|\\{ each = \\{ max = 1 \\} \\}) \\}",
        "[ -~äß\u{0}\t]{0,12}",
    ];
    proptest::collection::vec(line, 0..14).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn n02_any_ask_is_read_or_refused(value in any_value()) {
        if let Err(error) = GrantRequest::parse_list(&value) {
            prop_assert!(!error.problems.is_empty());
        }
        if let Err(error) = SpawnAsk::parse(value) {
            prop_assert!(!error.problems.is_empty());
        }
    }

    #[test]
    fn m05_any_text_is_a_manifest_or_an_error_with_a_place(text in any_manifest()) {
        match Manifest::parse(&text, "test") {
            Ok(manifest) => {
                let rendered = manifest.to_toml();
                prop_assert_eq!(Manifest::parse(&rendered, "again"), Ok(manifest), "{}", rendered);
            }
            Err(errors) => {
                prop_assert!(!errors.problems.is_empty());
                for problem in &errors.problems {
                    prop_assert!(problem.place.is_some() || problem.key.is_empty() || problem.key.starts_with("limits"), "{problem:?}");
                }
            }
        }
    }

    #[test]
    fn m05_any_allow_expression_is_read_or_refused(text in "(fs|http|kv|tool|cell|x)?:?[ -~]{0,20}") {
        let mut manifest = Manifest::default();
        match manifest.allow(&text) {
            Ok(()) => prop_assert_eq!(manifest.grants().len(), 1),
            Err(errors) => prop_assert!(!errors.problems.is_empty()),
        }
    }

    #[test]
    fn n06_canonical_forms_are_fixed_points(
        text in prop_oneof!["https?://[a-zA-Z0-9.%@:\\[\\]-]{1,20}(/[a-z.%0-9;/~\\\\]{0,16})?(\\?[a-z/.%]{0,6})?", ".{0,24}"],
    ) {
        if let Ok(url) = CanonicalUrl::parse(&text) {
            prop_assert_eq!(CanonicalUrl::parse(url.as_str()), Ok(url.clone()));
            prop_assert!(!url.path().split(['/', '\\']).any(|part| part == ".."), "{url}");
            prop_assert!(url.as_str().starts_with(url.origin()) && url.path().starts_with('/'));
            prop_assert_eq!(Host::parse(&url.host().to_string()), Ok(url.host().clone()));
            let prefix = UrlPathPrefix::parse(url.path()).expect("the path of a canonical URL is a prefix");
            prop_assert!(prefix.matches(&url));
            prop_assert_eq!(UrlPathPrefix::parse(&prefix.to_string()), Ok(prefix));
        }
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
        if let Ok(pattern) = HostPattern::parse(&text) {
            prop_assert_eq!(HostPattern::parse(&pattern.to_string()), Ok(pattern));
        }
        if let Ok(path) = CanonicalPath::parse(&text) {
            prop_assert_eq!(CanonicalPath::parse(path.as_str()), Ok(path));
        }
        if let Ok(path) = ArgumentPath::parse(&text) {
            prop_assert!(path.holds(&path.to_string()) && path.holds(&text));
        }
    }
}
