//! The grants of one handle, looked up by what a request is about: decided as among all of them.

use lockgate_authority::{
    Candidates, CanonicalPath, CanonicalUrl, Flowing, Grant, GrantRequest, HeldGrants, Label, Manifest, Mint,
    PointKind, Principal, PrincipalKind, Request, Subject, Usage, Value, authorize, authorize_flow,
};
use proptest::prelude::*;

fn agent() -> Principal {
    Principal::new(PrincipalKind::Agent, "agent")
}

/// Grants over one handle: one in each manifest, since a section is there once.
fn held(sections: &[String]) -> Vec<Grant> {
    let mut mint = Mint::new();
    let grants = sections.iter().enumerate().flat_map(|(number, section)| {
        let text = section.replace("NUMBER", &number.to_string());
        let text = format!("isolation = \"trusted\"\n{text}\n");
        let manifest = Manifest::parse(&text, "test").unwrap_or_else(|errors| panic!("{text}{errors}"));
        let held = manifest.hold(agent(), &mut mint);
        held.all().iter().filter(|grant| grant.point().kind.is_named()).cloned().collect::<Vec<_>>()
    });
    grants.collect()
}

/// Both ways to decide, where nothing was read and something was.
fn same(kind: PointKind, grants: &[Grant], request: &Request<'_>, usage: &Usage) {
    let candidates = Candidates::new(kind, grants);
    let (quick, slow) = (candidates.authorize(request, usage), authorize(grants, request, usage));
    assert_eq!(quick, slow, "{request:?}");
    // Where only labels hold it back, the first grant that would do is told.
    for clearance in [Label::TOP, Label::BOTTOM] {
        let flowing = Flowing { label: Label::BOTTOM, sends: true, reads: true, clearance };
        let quick = candidates.authorize_flow(request, &flowing, usage);
        assert_eq!(quick, authorize_flow(grants, request, &flowing, usage), "{request:?}");
    }
}

fn request<'a>(kind: PointKind, name: &'a str, op: &'a str, subject: Subject<'a>, args: &'a Value) -> Request<'a> {
    Request { kind, name, op, subject, args, bytes: 1, now_ms: 0, seen: None, approved: None }
}

const HOSTS: &[&str] = &[
    "\"a.example.com\"",
    "\"b.example.com\"",
    "\"*.example.com\"",
    "\"*.b.example.com\"",
    "\"*\"",
    "\"10.0.0.1\"",
    "\"example.com\"",
];
const DIRECTORIES: &[&str] = &["\"a\"", "\"a/b\"", "\"a/b/c\"", "\"ab\"", "\".\"", "\"c\""];

fn some(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(of), 1..3).prop_map(|items| items.join(", "))
}

fn http() -> impl Strategy<Value = String> {
    let methods = proptest::sample::select(&["\"GET\"", "\"POST\", \"PUT\""][..]);
    (some(HOSTS), methods, any::<bool>()).prop_map(|(hosts, methods, approval)| {
        format!("[http.hNUMBER]\nhosts = [{hosts}]\nmethods = [{methods}]\nprivate = true\napproval = {approval}\n[approval]\n")
    })
}

fn fs() -> impl Strategy<Value = String> {
    let allow = proptest::sample::select(&["\"read\"", "\"list\"", "\"read\", \"write\""][..]);
    (some(DIRECTORIES), allow)
        .prop_map(|(under, allow)| format!("[fs.data]\npath = \"data\"\nunder = [{under}]\nallow = [{allow}]\n"))
}

proptest! {
    #[test]
    fn a03_of_many_hosts_the_same_grant_allows(
        sections in proptest::collection::vec(http(), 32..60),
        host in "(a|b|c|a\\.b|x\\.y\\.z|a\\.b\\.c\\.d\\.e\\.f\\.g\\.h\\.i)\\.example\\.com|example\\.com|10\\.0\\.0\\.[12]|example\\.org",
        method in "GET|POST|HEAD",
        revoked in 0..40_usize,
    ) {
        let grants = held(&sections);
        let mut usage = Usage::new();
        usage.revoke(grants[revoked.min(grants.len() - 1)].id());
        let url = CanonicalUrl::parse(&format!("https://{host}/x")).expect("canonical");
        let none = Value::EMPTY_MAP;
        for (op, subject) in [("request", Subject::Url { url: &url, method: &method }), ("body", Subject::Continued), ("request", Subject::None)] {
            same(PointKind::Http, &grants, &request(PointKind::Http, "http", op, subject, &none), &usage);
        }
    }

    #[test]
    fn a03_of_many_directories_the_same_grant_allows(
        sections in proptest::collection::vec(fs(), 32..60),
        path in "(a|b|ab|a/b|a/b/c|a/b/c/d|a/x|c|a/a/a/a/a/a/a/a/a/a|\\.)",
        op in "read|write|list|stat|burn",
    ) {
        let grants = held(&sections);
        let path = CanonicalPath::parse(&path).expect("canonical");
        let none = Value::EMPTY_MAP;
        for subject in [Subject::Path(&path), Subject::None] {
            same(PointKind::Fs, &grants, &request(PointKind::Fs, "data", &op, subject, &none), &Usage::new());
        }
    }

    #[test]
    fn a03_of_many_tools_the_same_grant_allows(
        sections in proptest::collection::vec(proptest::sample::subsequence(vec!["\"a\"", "\"b\"", "\"c\"", "\"d\""], 1..4), 32..60),
        op in "a|b|c|d|e",
    ) {
        let section = |tools: &Vec<&str>| format!("[tool.shop]\ncommand = [\"x\"]\ntools = [{}]\n", tools.join(", "));
        let grants = held(&sections.iter().map(section).collect::<Vec<_>>());
        let none = Value::EMPTY_MAP;
        same(PointKind::Tool, &grants, &request(PointKind::Tool, "shop", &op, Subject::None, &none), &Usage::new());
    }
}

/// What a child asks for beyond its parent's is found by either layer.
#[test]
fn a03_an_attenuated_grant_is_found_by_what_any_layer_names() {
    let grants = held(&vec!["[http.hNUMBER]\nhosts = [\"*\"]\n".to_owned(); 40]);
    let held = HeldGrants::new(agent(), grants);
    let asked = Value::List(vec![Value::map([
        ("kind", Value::from("http")),
        ("hosts", Value::List(vec![Value::from("a.example.com")])),
    ])]);
    let asked = GrantRequest::parse_list(&asked).expect("well formed");
    let mut mint = Mint::after(1000);
    let child = held.derive_for_child(&asked, Principal::new(PrincipalKind::Cell, "c"), &mut mint).expect("held");
    let grants = child.for_handle(PointKind::Http, "http");
    assert_eq!(grants.len(), 40);
    let none = Value::EMPTY_MAP;
    for (host, allows) in [("a.example.com", true), ("b.example.com", false)] {
        let url = CanonicalUrl::parse(&format!("https://{host}/")).expect("canonical");
        let request = request(PointKind::Http, "http", "request", Subject::Url { url: &url, method: "GET" }, &none);
        same(PointKind::Http, grants, &request, &Usage::new());
        let decision =
            Candidates::new(PointKind::Http, grants).authorize(&request, &Usage::new()).into_result().is_ok();
        assert_eq!(decision, allows);
    }
}
