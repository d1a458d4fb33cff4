//! Decisions and their reasons: the most specific one is given, in words about the request alone.

use lockgate_authority::{
    CanonicalPath, CanonicalUrl, Decision, Denial, Explanation, HeldGrants, Manifest, Mint, PointKind, Principal,
    PrincipalKind, ReasonCode, Request, Spend, Subject, Usage, Value, authorize, explain,
};
use serde_json::json;

const MANIFEST: &str = r#"
isolation = "trusted"
[fs.data]
path = "./data"
allow = ["read", "list"]
under = ["2024", "2025/a.csv"]
[http.api]
hosts = ["api.example.com"]
methods = ["GET"]
paths = ["/v1/"]
calls = 2
[http.upload]
hosts = ["upload.example.com"]
methods = ["POST"]
rate = "1/h"
[http.local]
hosts = ["127.0.0.1", "localhost"]
schemes = ["http"]
ports = [3000]
private = true
[http.wide]
hosts = ["*.wide.example"]
until = "1970-01-01T00:01:40Z"
[kv.notes]
allow = ["get"]
prefix = "x/"
bytes = "100B"
[tool.files]
command = ["server"]
tools = ["read", "write"]
arguments = { read = ["path"] }
[tool.files.where.write]
path = { under = "/srv/out" }
content = { max_length = 5 }
mode = { one_of = ["append", "replace"], optional = true }
copies = { min = 1, max = 3, integer = true, optional = true }
[tool.guarded]
command = ["server"]
tools = ["act"]
approval = true
[cell]
children = 1
depth = 2
"#;

fn held(manifest: &str) -> HeldGrants {
    let manifest = Manifest::parse(manifest, "test").unwrap_or_else(|errors| panic!("{errors}\n{manifest}"));
    manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new())
}

/// A request in a few words: `fs.data read 2024/x`, `http GET https://…`, `tool.files write {…}`, `cell spawn 1`.
fn with_request<T>(text: &str, now_ms: u64, then: impl FnOnce(&Request<'_>) -> T) -> T {
    let mut words = text.splitn(3, ' ');
    let (point, op, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or(""));
    let (kind, name) = point.split_once('.').unwrap_or((point, point));
    let kind = PointKind::from_name(kind).expect(text);
    let (path, url, args);
    args = if rest.starts_with('{') {
        Value::from_json(serde_json::from_str(rest).expect(text))
    } else {
        Value::EMPTY_MAP
    };
    let (op, subject) = match kind {
        PointKind::Fs => {
            path = CanonicalPath::parse(rest).expect(text);
            (op, Subject::Path(&path))
        }
        PointKind::Kv => (op, Subject::Key(rest)),
        PointKind::Http if op == "body" => (op, Subject::Continued),
        PointKind::Http => {
            url = CanonicalUrl::parse(rest).expect(text);
            ("request", Subject::Url { url: &url, method: op })
        }
        PointKind::Cell if op == "spawn" => (op, Subject::Child { depth: rest.parse().expect(text) }),
        _ => (op, Subject::None),
    };
    then(&Request { kind, name, op, subject, args: &args, bytes: 10, now_ms, seen: None, approved: None })
}

fn decide(held: &HeldGrants, text: &str, usage: &Usage) -> Result<String, Denial> {
    with_request(text, 0, |request| match authorize(held.for_handle(request.kind, request.name), request, usage) {
        Decision::Allow(grant) => Ok(grant.point().to_string()),
        Decision::Deny(denial) => Err(denial),
    })
}

#[test]
fn a03_what_is_granted_is_allowed_by_the_grant_that_covers_it() {
    let held = held(MANIFEST);
    for (text, by) in [
        ("fs.data read 2024/x.csv", "fs.data"),
        ("fs.data stat 2025/a.csv", "fs.data"),
        ("http GET https://api.example.com/v1/items", "http.api"),
        ("http POST https://upload.example.com/", "http.upload"),
        ("http GET http://127.0.0.1:3000/x", "http.local"),
        ("http GET http://localhost:3000/x", "http.local"),
        ("http GET https://a.wide.example/", "http.wide"),
        ("http body", "http.api"),
        ("kv.notes get x/1", "kv.notes"),
        (r#"tool.files read {"path": "/etc/passwd"}"#, "tool.files"),
        (r#"tool.files write {"path": "/srv/out/a", "content": "12345"}"#, "tool.files"),
        (r#"tool.files write {"path": "/srv/out/a", "content": "", "mode": "append", "copies": 3}"#, "tool.files"),
        ("cell spawn 2", "cell"),
        ("cell stop", "cell"),
        ("clock now", "clock"),
        ("random bytes", "random"),
        ("log warn", "log"),
    ] {
        assert_eq!(decide(&held, text, &Usage::new()), Ok(by.to_owned()), "{text}");
    }
}

#[test]
fn a06_a_denial_has_the_most_specific_reason() {
    let held = held(MANIFEST);
    use ReasonCode as R;
    for (text, code, message) in [
        ("fs.other read a", R::PointNotGranted, "`fs.other` is not granted"),
        ("fs.data write 2024/x", R::OpNotGranted, "`write` on `fs.data` is not granted"),
        ("fs.data rename 2024/x", R::UnknownOperation, "`fs.data` has no operation `rename`"),
        ("fs.data read 2023/x", R::PathNotGranted, "`read` of `2023/x` in `fs.data` is not granted"),
        ("fs.data list .", R::PathNotGranted, "`list` of `.` in `fs.data` is not granted"),
        ("http GET https://evil.example/", R::HostNotGranted, "the host `evil.example` is not granted"),
        ("http GET https://wide.example/", R::HostNotGranted, "the host `wide.example` is not granted"),
        ("http GET http://169.254.169.254/", R::HostNotGranted, "the host `169.254.169.254` is not granted"),
        ("http GET http://api.example.com/v1/", R::SchemeNotGranted, "`http` to `api.example.com` is not granted"),
        (
            "http GET https://api.example.com:8443/v1/",
            R::PortNotGranted,
            "port 8443 of `api.example.com` is not granted",
        ),
        ("http POST https://api.example.com/v1/", R::MethodNotGranted, "`POST` to `api.example.com` is not granted"),
        (
            "http GET https://api.example.com/v2/",
            R::UrlPathNotGranted,
            "the path `/v2/` of `api.example.com` is not granted",
        ),
        (
            "http DELETE https://upload.example.com/",
            R::MethodNotGranted,
            "`DELETE` to `upload.example.com` is not granted",
        ),
        ("kv.notes set x/1", R::OpNotGranted, "`set` on `kv.notes` is not granted"),
        ("kv.notes get y/1", R::KeyNotGranted, "`get` of the key `y/1` in `kv.notes` is not granted"),
        ("tool.files remove {}", R::OpNotGranted, "`remove` on `tool.files` is not granted"),
        (
            r#"tool.files read {"path": "a", "follow": true}"#,
            R::ArgumentRefused,
            "an argument of `read` on `tool.files` is not granted",
        ),
        (
            r#"tool.files write {"path": "/srv/outer", "content": ""}"#,
            R::ArgumentRefused,
            "the argument `/path` of `write` on `tool.files` is not granted",
        ),
        (
            r#"tool.files write {"content": ""}"#,
            R::ArgumentRefused,
            "the argument `/path` of `write` on `tool.files` is not granted",
        ),
        (
            r#"tool.files write {"path": "/srv/out", "content": "123456"}"#,
            R::ArgumentRefused,
            "the argument `/content` of `write` on `tool.files` is not granted",
        ),
        (
            r#"tool.files write {"path": "/srv/out", "content": "", "copies": 2.5}"#,
            R::ArgumentRefused,
            "the argument `/copies` of `write` on `tool.files` is not granted",
        ),
        ("tool.guarded act {}", R::ApprovalRequired, "`act` on `tool.guarded` needs an approval"),
        ("cell spawn 3", R::SpawnRefused, "no further child is granted: depth or number is used up"),
        ("clock stop", R::UnknownOperation, "`clock` has no operation `stop`"),
    ] {
        let denial = decide(&held, text, &Usage::new()).expect_err(text);
        assert_eq!((denial.code, &*denial.message), (code, message), "{text}");
    }
}

#[test]
fn a06_the_reason_is_the_first_in_order_not_the_last_layer() {
    let held = held(MANIFEST);
    let mut usage = Usage::new();
    let grant = &held.for_handle(PointKind::Http, "http")[0];
    for _ in 0..2 {
        drop(usage.reserve(grant, Spend::call(0), 0).expect("two calls"));
    }
    let denial = decide(&held, "http GET https://api.example.com/v1/", &usage).expect_err("spent");
    assert_eq!(denial.code, ReasonCode::BudgetCalls);
    let denial = decide(&held, "http POST https://api.example.com/v1/", &usage).expect_err("spent and not granted");
    assert_eq!(denial.code, ReasonCode::MethodNotGranted, "what would be refused in any case comes first");
    let child = grant.attenuate(
        &mut Mint::new(),
        vec![lockgate_authority::Caveat::Methods(lockgate_authority::Names::only(["PUT"]))],
    );
    let denial = with_request("http GET https://api.example.com/v2/", 0, |request| {
        authorize([&child.expect("few layers")], request, &usage).into_result().expect_err("refused").code
    });
    assert_eq!(denial, ReasonCode::MethodNotGranted, "an earlier reason in a later layer");
}

#[test]
fn a06_messages_and_hints_hold_no_other_grants_data() {
    let held = held(MANIFEST);
    for text in
        ["http GET https://evil.example/", "http GET https://api.example.com/v2/", "fs.data read x", "kv.notes get y/1"]
    {
        let denial = decide(&held, text, &Usage::new()).expect_err(text);
        let said = format!("{} {}", denial.message, denial.hint.unwrap_or_default());
        for secret in ["upload", "wide", "127.0.0.1", "2024", "x/", "/v1", "./data"] {
            assert!(!said.contains(secret) || text.contains(secret), "{said}");
        }
    }
}

#[test]
fn a06_a_refused_text_is_repeated_bounded_and_without_control_characters() {
    let held = held(MANIFEST);
    let long = format!("kv.notes get {}\u{1b}[31m", "k".repeat(10));
    let denial = decide(&held, &long, &Usage::new()).expect_err("refused");
    assert!(denial.message.contains("kkk\\u{1b}[31m"), "{}", denial.message);
    let denial = decide(&held, &format!("kv.notes get {}", "k".repeat(5000)), &Usage::new()).expect_err("refused");
    assert!(denial.message.len() < 200);
}

/// The manifest with the explained change applied to its tables.
fn changed(manifest: &str, explanation: &Explanation) -> String {
    use lockgate_authority::Addition;
    match explanation.addition.as_ref().expect("there is an addition") {
        Addition::Section(text) => format!("{manifest}\n{text}"),
        Addition::Changes { section, root, derived } => {
            assert!(derived.is_empty(), "nothing is derived here");
            let mut table: toml::Table = manifest.parse().expect("the manifest is TOML");
            let mut at = &mut table;
            for part in section.split('.') {
                at = at.get_mut(part).and_then(toml::Value::as_table_mut).expect(section);
            }
            for change in root {
                let (mut at, mut parts) = (&mut *at, change.key.split('.').peekable());
                while let Some(part) = parts.next() {
                    if parts.peek().is_some() {
                        at = at.get_mut(part).and_then(toml::Value::as_table_mut).expect(part);
                    } else if let Some(value) = &change.value {
                        let parsed: toml::Table = format!("x = {value}").parse().expect(value);
                        at.insert(part.to_owned(), parsed["x"].clone());
                    } else {
                        at.remove(part);
                    }
                }
            }
            toml::to_string(&table).expect("serializes")
        }
    }
}

#[test]
fn a15_the_smallest_addition_would_allow_it() {
    for text in [
        "fs.other read a/b.csv",
        "fs.data write 2024/x",
        "fs.data remove 2023/x",
        "fs.data list .",
        "http GET https://evil.example/deep/path?q=1",
        "http POST http://10.0.0.1:8080/x",
        "http GET http://api.example.com/v1/",
        "http POST https://api.example.com:8443/v2/",
        "http GET http://localhost:3001/",
        "kv.notes set y/deep/1",
        "kv.notes get plain",
        "kv.new set a:1",
        "tool.files remove {}",
        "tool.new call {}",
        r#"tool.files read {"path": "a", "follow": true}"#,
        r#"tool.files write {"path": "/srv/outer", "content": "123456", "mode": "truncate", "copies": 9}"#,
        r#"tool.files write {}"#,
        "tool.guarded act {}",
        "cell spawn 7",
    ] {
        let before = held(MANIFEST);
        let explanation = with_request(text, 0, |request| explain(&before, request, &Usage::new()));
        assert!(!explanation.allowed, "{text}");
        let manifest = changed(MANIFEST, &explanation);
        let after = held(&manifest);
        assert!(decide(&after, text, &Usage::new()).is_ok(), "{text}\n{explanation}");
        // It is small: neither this nor that becomes allowed beside it.
        for other in
            ["http DELETE https://elsewhere.example/", "fs.data mkdir 1999/x", "kv.notes delete z/1", "cell spawn 8"]
        {
            assert!(decide(&after, other, &Usage::new()).is_err(), "{other} after {text}\n{explanation}");
        }
    }
}

#[test]
fn a15_an_explanation_shows_every_caveat_and_the_change_as_toml() {
    let held = held(MANIFEST);
    let explanation =
        with_request("http POST https://api.example.com/v2/x", 0, |request| explain(&held, request, &Usage::new()));
    let text = explanation.to_string();
    for expected in [
        "agent:a: `POST` `https://api.example.com/v2/x` through `http`",
        "denied (method_not_granted): `POST` to `api.example.com` is not granted",
        "grant 2 on `http.api` refuses",
        "[ok] hosts = [\"api.example.com\"]",
        "[no] methods = [\"GET\"]",
        "[no] paths = [\"/v1/\"]",
        "[http.api]\nmethods = [\"GET\", \"POST\"]\npaths = [\"/v1/\", \"/v2/x/\"]",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let allowed = with_request("kv.notes get x/1", 0, |request| explain(&held, request, &Usage::new()));
    assert!(
        allowed.allowed && allowed.addition.is_none() && allowed.to_string().contains("allowed by grant"),
        "{allowed}"
    );
    let json = serde_json::to_value(&explanation).expect("serializes");
    assert_eq!(json["code"], json!("method_not_granted"));
    assert_eq!(json["candidates"][0]["layers"][0]["grant"], json!(2));
}

#[test]
fn a15_a_childs_refusal_names_the_ask_that_narrowed_it() {
    let parent = held(MANIFEST);
    let ask = Value::from_json(json!([{"kind": "kv", "name": "notes", "prefix": "x/y/"}]));
    let requests = lockgate_authority::GrantRequest::parse_list(&ask).expect("well formed");
    let mut mint = Mint::new();
    let child = parent.derive_for_child(&requests, Principal::new(PrincipalKind::Cell, "c"), &mut mint).expect("held");
    let explanation = with_request("kv.notes get x/1", 0, |request| explain(&child, request, &Usage::new()));
    let text = explanation.to_string();
    assert!(text.contains("narrowed to grant 1\n  [no] prefix = \"x/y/\""), "{text}");
    assert!(text.contains("# in the ask that made grant 1: prefix = [\"x/y/\", \"x/\"]"), "{text}");
    let mut usage = Usage::new();
    usage.revoke(parent.for_handle(PointKind::Kv, "notes")[0].id());
    let explanation = with_request("kv.notes get x/y/1", 0, |request| explain(&child, request, &usage));
    assert_eq!((explanation.code, explanation.addition), (Some(ReasonCode::Revoked), None));
}
