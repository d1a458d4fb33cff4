//! What files are, what they would be able to do, and what of them is refused.

use lockgate_authority::{Manifest, Mint, Principal, PrincipalKind};
use lockgate_decode::{Accept, Allowed, Kind, Named, Report, inspect};

fn look(bytes: impl AsRef<[u8]>) -> Report {
    inspect(bytes.as_ref(), &Accept::default())
}

fn whats(list: &[Named]) -> Vec<(&str, &str)> {
    list.iter().map(|named| (named.at.as_str(), named.what.as_str())).collect()
}

fn codes(report: &Report) -> Vec<(&str, &str)> {
    report.refused.iter().map(|refused| (refused.code.as_str(), refused.pointer.as_str())).collect()
}

const MODEL: &str = r#"{"lc": 1, "type": "constructor", "id": ["langchain", "chat_models", "openai", "ChatOpenAI"], "kwargs": {
  "model_name": "gpt-x", "base_url": "http://169.254.169.254/latest", "default_headers": {"X-Key": "v"}, "openai_proxy": "10.0.0.1:3128",
  "openai_api_key": {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}, "password": "hunter2"}}"#;

#[test]
fn d11_a_dump_says_what_it_would_be_able_to_do() {
    let report = look(MODEL);
    assert_eq!(report.kind, Kind::Langchain);
    assert_eq!(
        whats(&report.can.hosts),
        [("/kwargs/base_url", "http://169.254.169.254/latest"), ("/kwargs/openai_proxy", "10.0.0.1:3128")]
    );
    assert_eq!(whats(&report.can.models), [("/kwargs/model_name", "gpt-x")]);
    assert_eq!(whats(&report.can.headers), [("/kwargs/default_headers/X-Key", "X-Key")]);
    assert_eq!(
        whats(&report.can.secrets),
        [("/kwargs/openai_api_key", "OPENAI_API_KEY"), ("/kwargs/password", "written in plain")]
    );
    assert_eq!(whats(&report.can.code), [("", "langchain.chat_models.openai.ChatOpenAI")]);
    assert_eq!(
        codes(&report),
        [
            ("private_address", "/kwargs/base_url"),
            ("private_address", "/kwargs/openai_proxy"),
            ("type_unknown", "/id"),
            ("secret_refused", "/kwargs/openai_api_key")
        ]
    );
    assert!(!report.to_value().to_json_text().contains("hunter2"));
}

#[test]
fn d09_hosts_in_arguments_are_checked_against_what_is_granted() {
    let message = |url: &str| {
        format!(
            r#"{{"lc":1,"type":"constructor","id":["langchain","schema","messages","HumanMessage"],"kwargs":{{"content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}}}"#
        )
    };
    let manifest = Manifest::parse("[http.images]\nhosts = [\"images.example.com\"]\npaths = [\"/a/\"]\n", "m")
        .expect("a manifest");
    let held = manifest.hold(Principal::new(PrincipalKind::Agent, "agent"), &mut Mint::new());
    let check = |url: &str| {
        let mut report = look(message(url));
        report.check_hosts(&held, 0);
        report.refused.iter().map(|refused| refused.code.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(check("https://images.example.com/a/b.png"), Vec::<&str>::new());
    assert_eq!(check("https://evil.example.com/b.png"), ["host_not_granted"]);
    let hidden = format!("http://{}@169.254.169.254/", "a".repeat(5000));
    assert_eq!(look(message(&hidden)).refused.first().map(|refused| refused.code.as_str()), Some("url_refused"));
    let hidden = format!("http://{}@169.254.169.254/", "a".repeat(500));
    assert_eq!(look(message(&hidden)).refused.first().map(|refused| refused.code.as_str()), Some("private_address"));
    for private in [
        "http://169.254.169.254/",
        "http://10.0.0.1/",
        "http://127.0.0.1:8080/",
        "http://[::1]/",
        "http://localhost/",
        "ws://192.168.0.1/",
    ] {
        assert_eq!(
            look(message(private)).refused.first().map(|refused| refused.code.as_str()),
            Some("private_address"),
            "{private}"
        );
    }
}

#[test]
fn d11_kinds_are_told_apart() {
    for (bytes, kind) in [
        (&br#"{"a":1}"#[..], Kind::Json),
        (b"17", Kind::Json),
        (br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"send_mail","arguments":{}}}"#, Kind::Mcp),
        (br#"{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"send_mail","arguments":"{}"}}]}"#, Kind::OpenaiToolCall),
        (br#"{"type":"function_call","name":"send_mail","arguments":"{}"}"#, Kind::OpenaiToolCall),
        (br#"{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"send_mail","input":{}}]}"#, Kind::AnthropicToolCall),
        (br#"{"v":1,"channel_values":{},"channel_versions":{}}"#, Kind::Checkpoint),
        (b"\x81\xaechannel_values\x80", Kind::Checkpoint),
        (br#"{"a":{"__lc_escaped__":{"lc":1}}}"#, Kind::Langchain),
        (b"\x80\x04K\x01.", Kind::Pickle),
        (b"cos\nsystem\n(S'id'\ntR.", Kind::Pickle),
        (b"a: 1\nb:\n  - c: 2\n", Kind::Yaml),
        (b"--- !!python/object/apply:os.system [id]\n", Kind::Yaml),
        (b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Kind::Archive),
        (b"\x1f\x8b\x08\0\0\0\0\0", Kind::Archive),
        (b"data:application/json,%7B%7D", Kind::DataUrl),
        (b"[fs.data]\npath = \"data\"\nallow = [\"read\"]\n", Kind::Manifest),
        (b"hello there", Kind::Unknown),
        (b"(hello).", Kind::Unknown),
        (b"\xff\xfe\x00", Kind::Unknown),
        (b"", Kind::Unknown),
    ] {
        assert_eq!(look(bytes).kind, kind, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn d11_tools_are_named_however_they_are_called() {
    for json in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"send_mail","arguments":{}}}"#,
        r#"{"tool_calls":[{"id":"1","type":"function","function":{"name":"send_mail","arguments":"{}"}}]}"#,
        r#"{"content":[{"type":"tool_use","id":"1","name":"send_mail","input":{}}]}"#,
        r#"{"lc":1,"type":"constructor","id":["langchain","schema","messages","AIMessage"],"kwargs":{"content":"","tool_calls":[{"name":"send_mail","args":{},"id":"1","type":"tool_call"}]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"send_mail","inputSchema":{}}]}}"#,
    ] {
        let tools: Vec<String> = look(json).can.tools.into_iter().map(|named| named.what).collect();
        assert_eq!(tools, ["send_mail"], "{json}");
    }
}

#[test]
fn d07_pickle_and_tags_of_yaml_are_refused_by_name() {
    let report =
        look(b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.");
    assert_eq!(report.can.code.iter().map(|named| named.what.as_str()).collect::<Vec<_>>(), ["posix.system"]);
    assert_eq!(codes(&report), [("code_refused", ""), ("code_refused", "")]);
    // A name that comes from what was remembered.
    let report = look(b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93.");
    assert_eq!(report.can.code.iter().map(|named| named.what.as_str()).collect::<Vec<_>>(), ["os.system"]);
    let report = look(
        "a: !!python/object/apply:os.system\n  - id\nb: !<tag:yaml.org,2002:python/name:os.system> x\nc: \"!!python/x\" # !!python/y\n",
    );
    assert_eq!(
        whats(&report.can.code),
        [("line 1", "python/object/apply:os.system"), ("line 3", "python/name:os.system")]
    );
    assert_eq!(codes(&report), [("code_refused", "line 1"), ("code_refused", "line 3"), ("format_refused", "")]);
}

#[test]
fn d11_archives_are_not_opened_and_their_names_are_told() {
    let name = b"../x.pkl";
    let mut zip = b"PK\x03\x04".to_vec();
    let directory = u32::try_from(zip.len()).expect("small");
    zip.extend_from_slice(b"PK\x01\x02");
    zip.extend_from_slice(&[0; 16]);
    zip.extend_from_slice(&[1, 0, 0, 0]); // packed
    zip.extend_from_slice(&[0, 0, 16, 0]); // 1 MiB
    zip.extend_from_slice(&[u8::try_from(name.len()).expect("short"), 0, 0, 0, 0, 0]);
    zip.extend_from_slice(&[0; 12]);
    zip.extend_from_slice(name);
    zip.extend_from_slice(b"PK\x05\x06");
    zip.extend_from_slice(&[0; 12]);
    zip.extend_from_slice(&directory.to_le_bytes());
    zip.extend_from_slice(&[0; 2]);
    let report = look(&zip);
    assert_eq!(whats(&report.can.files), [("../x.pkl", "../x.pkl")]);
    assert_eq!(whats(&report.can.code), [("../x.pkl", "pickle")]);
    assert_eq!(
        codes(&report),
        [("format_refused", "../x.pkl"), ("format_refused", "../x.pkl"), ("format_refused", "")]
    );
}

#[test]
fn d11_a_checkpoint_that_names_code_is_refused_and_says_so() {
    // {"x": extension 0 of ["os", "system", "id"]}
    let report = look(b"\x81\xa1x\xc7\x0e\x00\x93\xa2os\xa6system\xa2id");
    assert_eq!(report.kind, Kind::Checkpoint);
    assert_eq!(whats(&report.can.code), [("/x", "os.system")]);
    assert_eq!(codes(&report), [("type_unknown", "/x")]);
}

#[test]
fn d11_what_is_wrapped_has_a_report_of_its_own() {
    let report = look("data:application/octet-stream;base64,gARLAS4=");
    assert!(report.refused.is_empty() && !report.is_taken());
    assert_eq!(report.inner.map(|inner| inner.kind), Some(Kind::Pickle));
    let mut nested = "data:,x".to_owned();
    for _ in 0..5 {
        nested = format!("data:,{nested}");
    }
    assert!(!look(nested).is_taken());
}

#[test]
fn d11_a_manifest_says_what_it_grants() {
    let report = look(
        "[fs.data]\npath = \"data\"\nallow = [\"read\"]\n[http.api]\nhosts = [\"api.example.com\"]\n[tool.mail]\ncommand = [\"mailer\", \"--all\"]\ntools = [\"send\"]\n",
    );
    assert_eq!(report.kind, Kind::Manifest);
    assert_eq!(whats(&report.can.files), [("fs.data", "data")]);
    assert_eq!(whats(&report.can.hosts), [("http.api", "api.example.com")]);
    assert_eq!(whats(&report.can.code), [("tool.mail", "mailer --all")]);
    assert_eq!(whats(&report.can.tools), [("tool.mail", "send")]);
    assert_eq!(codes(&look("[fs.data]\nallow = 1\n")), [("misconfigured", "")]);
}

#[test]
fn d11_the_digest_is_of_what_the_report_says() {
    let (one, same, other) = (look(r#"{"a":1}"#), look(r#"{"a":1}"#), look(r#"{"a":2}"#));
    assert_eq!(one.digest(), same.digest());
    assert_ne!(one.digest(), other.digest());
    let core = inspect(br#"{"lc":1,"type":"constructor","id":["langchain","schema","document","Document"],"kwargs":{"page_content":"x"}}"#, &Accept { allowed: Allowed::Core, ..Accept::default() });
    assert!(core.is_taken());
    assert_eq!(whats(&core.can.types), [("", "langchain.schema.document.Document")]);
    assert_eq!(one.to_value().get("digest").and_then(|digest| digest.as_text()).map(str::len), Some(64));
}

#[test]
fn d08_keys_of_javascript_are_told() {
    assert_eq!(codes(&look(r#"{"a":{"__proto__":{"x":1}}}"#)), [("key_refused", "/a/__proto__")]);
}

#[test]
fn d11_what_a_file_names_is_bounded() {
    let many = format!("[{}\"\"]", r#""https://example.com/","#.repeat(5000));
    let report = look(many);
    assert_eq!((report.can.hosts.len(), report.can.more), (1000, 4000));
}

/// What a place holds: the kind, and the codes of its refusals and of what is wrapped in it.
fn within(report: &Report) -> Vec<(&str, &str, Vec<&str>)> {
    fn all<'r>(report: &'r Report, into: &mut Vec<&'r str>) {
        into.extend(report.refused.iter().map(|refused| refused.code.as_str()));
        report.wrapped().for_each(|wrapped| all(wrapped, into));
    }
    let told = report.within.iter().map(|within| {
        let mut codes = Vec::new();
        all(&within.report, &mut codes);
        codes.dedup();
        let inner = within.report.inner.as_deref().unwrap_or(&within.report);
        (within.at.as_str(), inner.kind.as_str(), codes)
    });
    told.collect()
}

const PICKLE: &str = "Y3Bvc2l4CnN5c3RlbQooUydpZCcKdFIu";

#[test]
fn d11_what_is_wrapped_in_texts_of_a_document_is_looked_into_and_told_with_its_place() {
    let code = |kind: &'static str| (kind, vec!["code_refused"]);
    for (json, at, (kind, codes)) in [
        (
            r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,PICKLE"}}]}]"#,
            "/0/content/0/image_url/url",
            code("pickle"),
        ),
        (r#"{"a":" DATA:;x=y; BASE64,PICKLE\n"}"#, "/a", code("pickle")),
        (r#"{"a/b":"data:,cposix%0asystem%0A(S'id'%0AtR."}"#, "/a~1b", code("pickle")),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"contents":[{"uri":"file:///x","blob":"PICKLE"}]}}"#,
            "/result/contents/0/blob",
            code("pickle"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"image","mimeType":"image/png","data":"PICKLE"}]}}"#,
            "/result/content/0/data",
            code("pickle"),
        ),
        (
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"PICKLE"}}"#,
            "/source/data",
            code("pickle"),
        ),
        (r#"{"blob":"data:;base64,PICKLE"}"#, "/blob", code("pickle")),
        // Not padded, in the other alphabet, with white space.
        (r#"{"blob":"gARL\nAS4"}"#, "/blob", code("pickle")),
        (
            r#"["data:text/yaml,--- !!python/object/apply:os.system [id]"]"#,
            "/0",
            ("yaml", vec!["code_refused", "format_refused"]),
        ),
        (r#"["data:application/gzip;base64,H4sIAAAAAAA="]"#, "/0", ("archive", vec!["format_refused"])),
        (r#"["data:application/json,{%22a%22:1,%22a%22:2}"]"#, "/0", ("json", vec!["duplicate_key"])),
        (r#"["data:;base64,????"]"#, "/0", ("data_url", vec!["malformed"])),
        // What nothing here reads is nothing to refuse in a message: an image, a text.
        (r#"["data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="]"#, "/0", ("unknown", vec![])),
        (r#"["data:text/plain,hello%20there"]"#, "/0", ("unknown", vec![])),
    ] {
        let json = json.replace("PICKLE", PICKLE);
        let report = look(&json);
        assert_eq!(within(&report), [(at, kind, codes.clone())], "{json}");
        assert_eq!(report.is_taken(), codes.is_empty(), "{json}");
    }
    let deep = look(r#"[{"x":"data:application/json,[%22data:,cposix%250asystem%250A(S'id'%250AtR.%22]"}]"#);
    let [outer] = &*deep.within else { panic!("{deep:?}") };
    let inner = outer.report.inner.as_deref().expect("it was looked into");
    assert_eq!(within(inner), [("/0", "pickle", vec!["code_refused"])]);
    assert!(!deep.is_taken());
    let told = deep.to_value();
    assert_eq!(told.pointer("/within/0/at").and_then(|at| at.as_text()), Some("/0/x"));
    assert_eq!(
        told.pointer("/within/0/report/inner/within/0/report/inner/kind").and_then(|kind| kind.as_text()),
        Some("pickle")
    );
}

#[test]
fn d11_prose_and_data_are_not_taken_for_what_is_wrapped() {
    for json in [
        r#"["data: one, two", "see data:image/png;base64,PICKLE", "data:no comma", "metadata:a,b"]"#,
        r#"{"data":"PICKLE","url":"PICKLE","text":"PICKLE"}"#,
        r#"{"mimeType":"a/b","data":{"x":"PICKLE"},"blob":["PICKLE"]}"#,
    ] {
        let report = look(json.replace("PICKLE", PICKLE));
        assert!(report.within.is_empty() && report.is_taken(), "{json}: {report:?}");
    }
}

#[test]
fn d06_what_is_wrapped_is_looked_into_within_bounds() {
    let many = |count: usize| look(format!("[{}0]", r#""data:,x","#.repeat(count)));
    assert!(many(100).is_taken());
    assert_eq!((many(101).within.len(), codes(&many(101))), (100, vec![("too_large", "/100")]));
    assert_eq!(codes(&look(r#"{"blob":"not base64"}"#)), [("malformed", "/blob")]);
    // Whatever wraps whatever, three times.
    let mut wrapped = format!("data:;base64,{PICKLE}");
    for _ in 0..3 {
        let escaped = format!("[\"{wrapped}\"]").replace('%', "%25").replace('"', "%22");
        wrapped = format!("data:application/json,{escaped}");
    }
    let report = look(format!("[\"{wrapped}\"]"));
    assert!(!report.is_taken());
    assert!(report.to_value().to_json_text().contains("too_deep"), "{report:?}");
}
