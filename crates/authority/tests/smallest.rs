//! The smallest grant that `explain` names really allows the request, and no part of it does.

use lockgate_authority::{
    Addition, CanonicalPath, CanonicalUrl, Change, Explanation, HeldGrants, Manifest, Mint, PointKind, Principal,
    PrincipalKind, Request, Spend, Subject, Usage, Value, explain,
};
use proptest::prelude::*;
use proptest::sample::select;
use toml::{Table, Value as Toml};

const MANIFEST: &str = r#"
isolation = "trusted"
[fs.data]
path = "./data"
allow = ["read"]
under = ["x/a", "y"]
calls = 3
[http.api]
hosts = ["api.example.com"]
methods = ["GET"]
paths = ["/v1/"]
bytes = "64B"
[http.other]
hosts = ["a.example.org"]
schemes = ["https", "http"]
ports = [443, 8080]
until = "1970-01-01T00:00:10Z"
[kv.notes]
allow = ["get"]
prefix = "r/"
rate = "2/s"
[tool.files]
command = ["server"]
tools = ["read", "write"]
arguments = { write = ["path", "n"] }
[tool.files.where.write]
path = { under = "/srv", max_length = 12 }
n = { min = 0, max = 5 }
[tool.files.where.read]
path = { one_of = ["/srv/a"] }
[tool.asks]
command = ["server"]
tools = "*"
approval = true
[cell]
children = 1
depth = 2
"#;

/// A request in parts: kind, handle, operation or method, subject, arguments.
type Parts = (PointKind, &'static str, &'static str, String, Value);

fn any_request() -> impl Strategy<Value = Parts> {
    let fs = (select(&["data", "none"][..]), select(&["read", "write", "list"][..]), "(x/[ab]|y|z)(/[a-c])?")
        .prop_map(|(name, op, path)| (PointKind::Fs, name, op, path, Value::EMPTY_MAP));
    let hosts = &["api.example.com", "a.example.org", "a.example.org:8080", "new.example.net", "10.0.0.1"][..];
    let http = (select(hosts), select(&["GET", "POST"][..]), select(&["http", "https"][..]), "/(v1|v2)/[a-c]")
        .prop_map(|(host, method, scheme, path)| {
            (PointKind::Http, "http", method, format!("{scheme}://{host}{path}"), Value::EMPTY_MAP)
        });
    let kv = (select(&["notes", "none"][..]), select(&["get", "set"][..]), "[rq]/[a-c](/d)?")
        .prop_map(|(name, op, key)| (PointKind::Kv, name, op, key, Value::EMPTY_MAP));
    let path = select(&["/srv/a", "/srv/b/c", "/etc/x", "/srv/a/very/long/path"][..]);
    let args = (proptest::option::weighted(0.9, path), proptest::option::of(-3_i64..9), any::<bool>()).prop_map(
        |(path, n, more)| {
            let path = path.map(|path| ("path", Value::from(path)));
            let n = n.map(|n| ("n", Value::Int(n)));
            let more = more.then(|| ("mode", Value::from("fast")));
            Value::map([path, n, more].into_iter().flatten())
        },
    );
    let tool = (select(&["files", "files", "asks", "none"][..]), select(&["read", "write", "drop"][..]), args)
        .prop_map(|(name, op, args)| (PointKind::Tool, name, op, String::new(), args));
    let cell = (1_u64..4).prop_map(|depth| (PointKind::Cell, "cell", "spawn", depth.to_string(), Value::EMPTY_MAP));
    prop_oneof![3 => fs, 3 => http, 2 => kv, 4 => tool, 1 => cell]
}

fn with_request<T>(parts: &Parts, then: impl FnOnce(&Request<'_>) -> T) -> T {
    let (kind, name, op, text, args) = parts;
    let (path, url);
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
    // After the time at which one of the grants runs out.
    then(&Request { kind: *kind, name, op, subject, args, bytes: 8, now_ms: 20_000, seen: None, approved: None })
}

fn hold(text: &str) -> HeldGrants {
    let manifest = Manifest::parse(text, "test").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new())
}

/// Whether two manifests grant the same.
fn same(left: &str, right: &str) -> bool {
    let read = |text: &str| Manifest::parse(text, "test").unwrap_or_else(|errors| panic!("{errors}"));
    read(left).difference(&read(right)).is_empty()
}

fn explained(text: &str, parts: &Parts, usage: &Usage) -> Explanation {
    let held = hold(text);
    with_request(parts, |request| explain(&held, request, usage))
}

/// The manifest with these changes, as a person would make them.
fn changed(section: &str, changes: &[&Change]) -> String {
    fn merge(into: &mut Table, from: Table) {
        for (key, value) in from {
            match (into.get_mut(&key), value) {
                (Some(Toml::Table(into)), Toml::Table(from)) => merge(into, from),
                (_, value) => drop(into.insert(key, value)),
            }
        }
    }
    fn remove(from: &mut Table, path: Table) {
        for (key, value) in path {
            match (from.get_mut(&key), value) {
                (Some(Toml::Table(from)), Toml::Table(path)) => remove(from, path),
                _ => drop(from.remove(&key)),
            }
        }
    }
    let mut manifest: Table = MANIFEST.parse().expect("TOML");
    for change in changes {
        let text = format!("[{section}]\n{} = {}\n", change.key, change.value.as_deref().unwrap_or("0"));
        let table: Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        match change.value {
            Some(_) => merge(&mut manifest, table),
            None => remove(&mut manifest, table),
        }
    }
    manifest.to_string()
}

/// Some of every budget is spent.
fn spent(held: &HeldGrants, calls: u64) -> Usage {
    let mut usage = Usage::new();
    for grant in held.all() {
        for _ in 0..calls {
            let spend = Spend { children: u64::from(grant.point().kind == PointKind::Cell), ..Spend::call(20) };
            if let Ok(reservation) = usage.reserve(grant, spend, 19_900) {
                usage.settle(reservation, 20);
            }
        }
    }
    usage
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a15_the_smallest_grant_allows_the_request_and_no_part_of_it_does(parts in any_request(), calls in 0_u64..4) {
        let usage = spent(&hold(MANIFEST), calls);
        let before = explained(MANIFEST, &parts, &usage);
        prop_assert_eq!(before.allowed, before.addition.is_none() && before.by.is_some());
        match before.addition {
            None => {}
            Some(Addition::Section(text)) => {
                let text = text.replace("PROGRAM", "server");
                let after = explained(&format!("{MANIFEST}\n{text}"), &parts, &usage);
                prop_assert!(after.allowed, "{after}\n{text}");
            }
            Some(Addition::Changes { section, root, derived }) => {
                prop_assert!(derived.is_empty() && !root.is_empty());
                let all: Vec<&Change> = root.iter().collect();
                let whole = changed(&section, &all);
                let after = explained(&whole, &parts, &usage);
                prop_assert!(after.allowed, "{}\n{:?}\n{}", after, all, whole);
                // No part of them does, unless it comes to the same grant: the ports follow the schemes where none are named.
                for subset in 0..(1_u32 << root.len()) - 1 {
                    let some: Vec<&Change> =
                        root.iter().enumerate().filter(|(index, _)| subset & 1 << index != 0).map(|(_, one)| one).collect();
                    let text = changed(&section, &some);
                    let after = explained(&text, &parts, &usage);
                    prop_assert!(!after.allowed || same(&text, &whole), "{}\n{:?}\n{}", after, some, text);
                }
            }
        }
    }
}

#[test]
fn a15_few_refusals_have_no_smallest_grant() {
    // What nothing would allow is said to be so: a revoked grant is not made good by a wider one.
    let held = hold(MANIFEST);
    let mut usage = Usage::new();
    for grant in held.all() {
        usage.revoke(grant.id());
    }
    let parts = (PointKind::Fs, "data", "read", "x/a".to_owned(), Value::EMPTY_MAP);
    let found = with_request(&parts, |request| explain(&held, request, &usage));
    assert!(!found.allowed && found.addition.is_none(), "{found}");
    assert!(found.candidates.iter().all(|candidate| candidate.layers.iter().any(|layer| layer.revoked)));
}
