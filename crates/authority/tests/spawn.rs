//! What a child asks for is read strictly and never amplifies.

use lockgate_authority::{
    Caveat, Decision, Denial, Grant, GrantRequest, HeldGrants, Limits, Manifest, Mint, PointKind, Principal,
    PrincipalKind, ReasonCode, Request, SpawnAsk, Subject, Usage, Value, authorize,
};
use serde_json::json;

const MANIFEST: &str = r#"
[fs.data]
path = "./data"
allow = ["read"]
under = "2024"
[http.api]
hosts = ["api.example.com"]
[http.docs]
hosts = ["docs.example.com"]
methods = ["GET"]
[tool.files]
command = ["server"]
tools = ["read"]
[cell]
children = 4
depth = 3
"#;

fn parent(mint: &mut Mint) -> HeldGrants {
    let manifest = Manifest::parse(MANIFEST, "test").unwrap_or_else(|errors| panic!("{errors}"));
    manifest.hold(Principal::new(PrincipalKind::Agent, "a"), mint)
}

fn child_of(held: &HeldGrants, grants: serde_json::Value, mint: &mut Mint) -> Result<HeldGrants, Denial> {
    let requests = GrantRequest::parse_list(&Value::from_json(grants))?;
    Ok(held.derive_for_child(&requests, Principal::new(PrincipalKind::Cell, "c"), mint)?)
}

fn points(held: &HeldGrants) -> Vec<String> {
    held.all().iter().map(|grant| grant.point().to_string()).collect()
}

fn parse(args: serde_json::Value) -> Result<SpawnAsk, Vec<String>> {
    SpawnAsk::parse(Value::from_json(args)).map_err(|error| {
        assert_eq!(error.code, ReasonCode::Malformed);
        error.problems.iter().map(ToString::to_string).collect()
    })
}

/// GHSA-8hg8-63c5-gwmx, first shape: nesting is on and nothing else is allowed. The nested cell then chose its own
/// configuration. Here a cell with nothing but `cell` gives its child nothing but `cell`.
#[test]
fn n01_nesting_with_nothing_allowed_gives_nothing() {
    let mut mint = Mint::new();
    let held = parent(&mut mint);
    let child = child_of(&held, json!([{"kind": "cell"}]), &mut mint).expect("the parent holds it");
    assert_eq!(points(&child), ["cell", "parent", "clock", "random", "log", "sealed"]);
    for grants in [
        json!([{"kind": "fs", "name": "data"}]),
        json!([{"kind": "http"}]),
        json!([{"kind": "tool", "name": "files", "tools": ["read"]}]),
        json!([{"kind": "cell"}, {"kind": "kv", "name": "anything", "allow": ["get"]}]),
    ] {
        let denial = child_of(&child, grants.clone(), &mut mint).expect_err("its parent does not hold it");
        assert_eq!(denial.code, ReasonCode::Amplification, "{grants}");
    }
    let nothing = child_of(&held, json!([]), &mut mint).expect("asking for nothing is fine");
    assert_eq!(points(&nothing), ["parent", "clock", "random", "log", "sealed"]);
}

/// Second shape: a truthy value that is no object, where an object or a boolean is expected.
#[test]
fn n02_truthy_values_are_not_configuration() {
    for truthy in [json!(true), json!(1), json!("all"), json!("*"), json!({"all": true}), json!({})] {
        let problems = parse(json!({"source": "1", "grants": truthy})).expect_err("refused");
        assert!(problems[0].starts_with("`grants`: expected a list of grants, found "), "{problems:?}");
    }
    for truthy in [json!(true), json!(1), json!("fs"), json!(null)] {
        let problems = parse(json!({"source": "1", "grants": [truthy]})).expect_err("refused");
        assert!(problems[0].starts_with("`grants[0]`: expected a table, found "), "{problems:?}");
    }
    for truthy in [json!(1), json!("true"), json!("no"), json!([]), json!({}), json!(null)] {
        let ask = json!({"source": "1", "grants": [{"kind": "http", "name": "api", "private": truthy}]});
        let problems = parse(ask).expect_err("refused");
        assert!(problems[0].starts_with("`grants[0].private`: expected `true` or `false`, found "), "{problems:?}");
    }
    let problems = parse(json!({"source": "1", "limits": true})).expect_err("refused");
    assert_eq!(problems, ["`limits`: expected a table, found `true`"]);
}

/// Third shape: an array where an object is expected, which has no properties and reads as "nothing is restricted".
#[test]
fn n02_a_list_is_not_a_table() {
    assert_eq!(parse(json!([])).expect_err("refused"), ["expected a table, found a list"]);
    assert_eq!(
        parse(json!({"source": "1", "limits": []})).expect_err("refused"),
        ["`limits`: expected a table, found a list"]
    );
    assert_eq!(
        parse(json!({"source": "1", "grants": [[]]})).expect_err("refused"),
        ["`grants[0]`: expected a table, found a list"]
    );
    let ask = json!({"source": "1", "grants": [{"kind": "tool", "name": "files", "where": []}]});
    assert_eq!(parse(ask).expect_err("refused"), ["`grants[0].where`: expected a table, found a list"]);
}

#[test]
fn n02_everything_wrong_is_refused_at_once_with_key_found_and_expected() {
    let problems = parse(json!({
        "sorce": "1",
        "name": "a b",
        "grants": [
            {"kind": "fs", "name": "data", "path": "/etc", "allow": ["raed"]},
            {"kind": "https"},
            {"kind": "fs"},
            {"kind": "cell", "name": "cell"},
            {"kind": "parent"},
            {"name": "data"},
        ],
        "limits": {"memory": "1KiB", "wall": 10, "cpus": 4},
        "__proto__": {"grants": []},
    }))
    .expect_err("refused");
    let text = problems.join("\n");
    for expected in [
        "`sorce`: unknown key `sorce`",
        "`__proto__`: unknown key `__proto__`",
        "`source`: the child's program is missing",
        "`name`: a name is a letter, then letters, digits, `_` or `-`, found `a b`",
        "`grants[0].path`: unknown key `path`",
        "`grants[0].allow[0]`: expected one of `read`",
        "`grants[1].kind`: expected one of `fs`",
        "`grants[2]`: the key `name` is missing",
        "`grants[3].name`: `cell` has no name",
        "`grants[4].kind`: expected one of",
        "`grants[5]`: the key `kind` is missing",
        "`limits.memory`: a cell needs at least 1MiB, found 1KiB",
        "`limits.wall`: expected a duration such as `10s` or `500ms`, found the integer `10`",
        "`limits.cpus`: unknown key `cpus`",
    ] {
        assert!(text.contains(expected), "missing {expected} in\n{text}");
    }
    assert!(
        parse(json!({"source": 1})).expect_err("refused")[0].contains("`source`: expected text, found the integer `1`")
    );
    assert!(parse(json!({"source": "1", "name": null})).expect_err("refused")[0].contains("expected text, found null"));
    assert!(SpawnAsk::parse(Value::Undefined).is_err());
    let many: Vec<_> = (0..300).map(|_| json!({"kind": "cell"})).collect();
    assert!(parse(json!({"source": "1", "grants": many})).expect_err("refused")[0].contains("at most 256 grants"));
    let wrong: Vec<_> = (0..200).map(|_| json!({"x": 1, "y": 2})).collect();
    assert!(parse(json!({"source": "1", "grants": wrong})).expect_err("refused").len() <= 100, "the list is bounded");
}

#[test]
fn n02_a_good_ask_is_read_as_it_is() {
    let ask = parse(json!({
        "source": "export default 1",
        "name": "worker",
        "input": {"rows": [1, 2]},
        "grants": [{"kind": "http", "name": "api", "methods": ["GET"]}, {"kind": "http"}, {"kind": "clock"}],
        "limits": {"memory": "8MiB"},
    }))
    .expect("well formed");
    assert_eq!((ask.source.as_str(), ask.name.as_deref()), ("export default 1", Some("worker")));
    assert_eq!(ask.input.pointer("/rows/1"), Some(&Value::Int(2)));
    assert_eq!(ask.limits.memory_bytes, Some(8 << 20));
    assert_eq!(ask.grants.iter().map(|grant| grant.name.as_deref()).collect::<Vec<_>>(), [Some("api"), None, None]);
    let bare = parse(json!({"source": "1"})).expect("well formed");
    assert_eq!((bare.input, bare.grants, bare.name), (Value::Undefined, vec![], None));
}

fn read<'a>(held: &'a HeldGrants, path: &str) -> Decision<'a> {
    let path = lockgate_authority::CanonicalPath::parse(path).expect("canonical");
    let args = Value::EMPTY_MAP;
    let request = Request {
        kind: PointKind::Fs,
        name: "data",
        op: "read",
        subject: Subject::Path(&path),
        args: &args,
        bytes: 0,
        now_ms: 0,
        seen: None,
        approved: None,
    };
    authorize(held.for_handle(PointKind::Fs, "data"), &request, &Usage::new())
}

#[test]
fn a04_asking_for_more_gives_what_both_allow() {
    let mut mint = Mint::new();
    let held = parent(&mut mint);
    let asked = json!([{"kind": "fs", "name": "data", "allow": ["read", "write", "remove"], "under": "."}]);
    let child = child_of(&held, asked, &mut mint).expect("held by the parent");
    assert!(matches!(read(&child, "2024/a"), Decision::Allow(_)));
    assert!(matches!(read(&child, "2023/a"), Decision::Deny(denial) if denial.code == ReasonCode::PathNotGranted));
    let grant: &Grant = &child.for_handle(PointKind::Fs, "data")[0];
    assert!(!grant.operations().contains("write"));
    let private = child_of(&held, json!([{"kind": "http", "private": true, "hosts": ["*"]}]), &mut mint).expect("held");
    assert_eq!(private.for_handle(PointKind::Http, "http").len(), 2, "an unnamed ask speaks of every `http` grant");
    assert!(private.all().iter().all(|grant| !grant.allows_private()));
    assert!(
        private
            .for_handle(PointKind::Http, "http")
            .iter()
            .all(|grant| !grant.caveats().any(|caveat| *caveat == Caveat::Private(true)))
    );
}

#[test]
fn n01_a_misspelled_point_is_refused_with_what_was_probably_meant() {
    let mut mint = Mint::new();
    let held = parent(&mut mint);
    let denial = child_of(&held, json!([{"kind": "fs", "name": "dta"}]), &mut mint).expect_err("not held");
    assert_eq!(denial.code, ReasonCode::Amplification);
    assert_eq!(denial.message, "`grants[0]`: the parent does not hold `fs.dta`");
    assert_eq!(denial.hint.as_deref(), Some("did you mean `data`?"));
}

#[test]
fn n01_grants_do_not_multiply_without_bound() {
    let mut mint = Mint::new();
    let mut held = parent(&mut mint);
    let asks = json!((0..100).map(|_| json!({"kind": "http"})).collect::<Vec<_>>());
    held = child_of(&held, asks.clone(), &mut mint).expect("200 grants");
    let denial = child_of(&held, asks, &mut mint).expect_err("20,000 grants");
    assert_eq!(denial.code, ReasonCode::TooLarge);
}

#[test]
fn n05_a_childs_limits_are_met_with_its_parents_and_the_ceilings() {
    let manifest = Manifest::parse("[cell]\nlimits = { memory = \"8MiB\", crossings = 10 }\n", "test").expect("valid");
    let held = manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new());
    let cell = &held.for_handle(PointKind::Cell, "cell")[0];
    let ask =
        parse(json!({"source": "1", "limits": {"memory": "1GiB", "cpu": "1ms", "depth": 100}})).expect("well formed");
    let own: &Limits = manifest.limits();
    let child = own.for_child(&ask.limits, cell.ceilings()).expect("there is depth left");
    assert_eq!((child.memory_bytes, child.cpu_ms, child.crossings, child.depth), (8 << 20, 1, 10, own.depth - 1));
    assert_eq!(child.wall_ms, own.wall_ms);
    let last = Limits { depth: 0, ..*own };
    assert_eq!(last.for_child(&ask.limits, []), None);
}
