//! A manifest cut down to what was used still allows it, and nothing that was refused before.

use lockgate_authority::{
    CanonicalPath, CanonicalUrl, Decision, HeldGrants, Manifest, Mint, PointKind, Principal, PrincipalKind, Request,
    Subject, Usage, Used, Value, authorize,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const MANIFEST: &str = r#"
isolation = "trusted"
[fs.data]
path = "./data"
allow = ["read", "list", "write"]
[fs.few]
path = "./few"
allow = ["read", "list"]
under = ["x/a", "x/b"]
[http.api]
hosts = ["api.example.com", "*.example.org"]
methods = ["GET", "POST"]
paths = ["/v1/", "/v2/a"]
schemes = ["https", "http"]
calls = 1000
[http.open]
hosts = ["*"]
schemes = ["http"]
private = true
[kv.notes]
allow = ["get", "set", "list"]
[tool.files]
command = ["server"]
tools = "*"
[tool.files.where.write]
path = { under = "/srv" }
[tool.files.where.read]
path = { max_length = 10 }
[cell]
children = 3
"#;

/// A request in parts: kind, handle, operation or method, subject.
type Parts = (PointKind, &'static str, &'static str, String);

fn any_request() -> impl Strategy<Value = Parts> {
    let fs = (
        select(&["data", "few"][..]),
        select(&["read", "list", "write"][..]),
        "(x/[abc]/[a-z]|[a-d]/[a-d]/[a-z]|x/a|\\.)",
    )
        .prop_map(|(name, op, path)| (PointKind::Fs, name, op, path));
    let hosts = &["api.example.com", "a.example.org", "10.0.0.1", "evil.example:8080"][..];
    let http =
        (select(hosts), select(&["GET", "POST"][..]), select(&["http", "https"][..]), "/(v[12](/[a-c])?)?(/[a-z])?")
            .prop_map(|(host, method, scheme, path)| {
                (PointKind::Http, "http", method, format!("{scheme}://{host}{path}"))
            });
    let kv = (select(&["get", "set", "list"][..]), "(a|b)?[/:]?(c|d)?[/]?[a-z]?")
        .prop_map(|(op, key)| (PointKind::Kv, "notes", op, key));
    let tool = (select(&["read", "write", "other"][..]), select(&["/srv/x", "/etc/x", "/srv/longer/than/ten"][..]))
        .prop_map(|(op, path)| (PointKind::Tool, "files", op, path.to_owned()));
    let cell = (0_u64..4).prop_map(|depth| (PointKind::Cell, "cell", "spawn", depth.to_string()));
    prop_oneof![4 => fs, 4 => http, 2 => kv, 1 => tool, 1 => cell]
}

fn with_request<T>(parts: &Parts, then: impl FnOnce(&Request<'_>) -> T) -> T {
    let (kind, name, op, text) = parts;
    let (path, url);
    let args = Value::map([("path", Value::from(text.as_str()))]);
    let (op, subject) = match kind {
        PointKind::Fs => {
            path = CanonicalPath::parse(text).expect(text);
            (*op, Subject::Path(&path))
        }
        PointKind::Http => {
            url = CanonicalUrl::parse(text).expect(text);
            ("request", Subject::Url { url: &url, method: op })
        }
        PointKind::Kv => (*op, Subject::Key(text)),
        PointKind::Cell => (*op, Subject::Child { depth: text.parse().expect(text) }),
        _ => (*op, Subject::None),
    };
    then(&Request { kind: *kind, name, op, subject, args: &args, bytes: 0, now_ms: 0, seen: None, approved: None })
}

fn hold(manifest: &Manifest) -> HeldGrants {
    manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new())
}

fn allowed_by(held: &HeldGrants, parts: &Parts) -> Option<String> {
    with_request(parts, |request| {
        match authorize(held.for_handle(request.kind, request.name), request, &Usage::new()) {
            Decision::Allow(grant) => Some(grant.point().to_string()),
            Decision::Deny(_) => None,
        }
    })
}

fn narrowed(manifest: &Manifest, used: &[(Parts, String)]) -> Manifest {
    fn collect<'a>(manifest: &Manifest, rest: &'a [(Parts, String)], found: Vec<Used<'a>>) -> Manifest {
        match rest {
            [] => manifest.narrowed(found),
            [(parts, point), rest @ ..] => with_request(parts, |request| {
                let mut found: Vec<Used<'_>> = found.clone();
                found.push(Used { point, op: request.op, subject: request.subject });
                collect(manifest, rest, found)
            }),
        }
    }
    collect(manifest, used, Vec::new())
}

proptest! {
    #[test]
    fn g05_what_was_used_stays_allowed_and_nothing_is_added(
        requests in proptest::collection::vec(any_request(), 80),
        kept in subsequence((0..80).collect::<Vec<usize>>(), 0..80),
    ) {
        let manifest = Manifest::parse(MANIFEST, "test").unwrap_or_else(|errors| panic!("{errors}"));
        let before = hold(&manifest);
        let used: Vec<(Parts, String)> = kept
            .iter()
            .filter_map(|index| Some((requests[*index].clone(), allowed_by(&before, &requests[*index])?)))
            .collect();
        let narrow = narrowed(&manifest, &used);
        let text = narrow.to_toml();
        let again = Manifest::parse(&text, "narrowed").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        let after = hold(&again);
        for (parts, _) in &used {
            prop_assert!(allowed_by(&after, parts).is_some(), "{parts:?} was used\n{text}");
        }
        for parts in &requests {
            prop_assert!(allowed_by(&after, parts).is_none() || allowed_by(&before, parts).is_some(), "{parts:?}\n{text}");
        }
        prop_assert!(narrow.grants().len() <= used.len());
    }
}

#[test]
fn g05_a_trace_names_what_was_used_and_no_more() {
    let manifest = Manifest::parse(MANIFEST, "test").expect("well formed");
    let parts = |kind, name, op, text: &str| (kind, name, op, text.to_owned());
    let used = [
        (parts(PointKind::Fs, "data", "read", "2024/a.csv"), "fs.data".to_owned()),
        (parts(PointKind::Fs, "data", "read", "2024/b.csv"), "fs.data".to_owned()),
        (parts(PointKind::Http, "http", "GET", "https://api.example.com/v1/items?page=1"), "http.api".to_owned()),
        (parts(PointKind::Kv, "notes", "get", "x/1"), "kv.notes".to_owned()),
        (parts(PointKind::Tool, "files", "read", "/srv/x"), "tool.files".to_owned()),
    ];
    let text = narrowed(&manifest, &used).to_toml();
    let expected = r#"isolation = "trusted"

[wall]
minimum = []

[fs.data]
path = "./data"
allow = ["read"]
under = ["2024/a.csv", "2024/b.csv"]

[http.api]
hosts = ["api.example.com"]
methods = ["GET"]
paths = ["/v1/items/"]
calls = 1000

[kv.notes]
allow = ["get"]
prefix = "x/"

[tool.files]
command = ["server"]
tools = ["read"]

[tool.files.where.read]
path = { max_length = 10 }
"#;
    assert_eq!(text, expected);
}
