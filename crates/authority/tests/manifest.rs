//! Reading of manifests and `--allow`: everything that is wrong is reported at once, with its place.

use lockgate_authority::{
    CanonicalPath, Caveat, ClockMode, Isolation, Manifest, Mint, Names, Place, Point, PointKind, Principal,
    PrincipalKind, RandomMode, ServerNetwork, ServerWall, Source, Subject, Used, Wall,
};

const FULL: &str = r#"
isolation = "isolated"
agent = "report-writer"

[limits]
wall = "10s"
cpu = "500ms"
memory = "32MiB"
output = "64KiB"
crossings = 1000

[wall]
minimum = ["no-new-privileges", "seccomp", "landlock", "namespaces"]

[clock]
mode = "frozen"
at = 2026-01-01T00:00:00Z

[random]
mode = "seeded"
seed = 42

[fs.data]
path = "./data"
allow = ["read", "list"]
under = "2024"
bytes = "10MiB"
calls = 100

[fs.out]
path = "./out"
allow = ["read", "write", "list", "remove"]

[http.api]
hosts = ["api.example.com", "*.example.org"]
methods = ["GET", "POST"]
paths = ["/v1/"]
rate = "10/s"
calls = 50
bytes = "1MiB"
until = "2026-12-31T00:00:00Z"
timeout = "5s"
response_bytes = "256KiB"

[http.local]
hosts = ["127.0.0.1"]
schemes = ["http"]
ports = [3000]
private = true

[kv.notes]
allow = ["get", "set"]
prefix = "x/"

[tool.files]
command = ["npx", "server", "./dir"]
env = { KEY = "value" }
directory = "."
tools = ["read_text_file", "write_file"]
arguments = { write_file = ["path", "content"] }
approval = true

[tool.files.where.write_file]
path = { under = "/srv/out" }
content = { max_length = 10000, prefix = "% " }
mode = { one_of = ["a", 1, true, 2.5], optional = true }
copy = { equals = "path" }
"/options/depth" = { min = 0, max = 3, integer = true }
tags = { each = { max_length = 5, prefix = "t" }, max_length = 3 }

[tool.remote]
url = "http://127.0.0.1:3000/mcp"
tools = ["search"]

[cell]
children = 8
depth = 3
limits = { memory = "8MiB", crossings = 100 }
"#;

fn parse(text: &str) -> Result<Manifest, Vec<String>> {
    Manifest::parse(text, "lockgate.toml").map_err(|errors| errors.with_hints().lines().map(str::to_owned).collect())
}

/// The lines of the errors of a manifest that is refused.
fn refused(text: &str) -> Vec<String> {
    parse(text).expect_err("the manifest is refused")
}

#[test]
fn m05_a_whole_manifest_is_read() {
    let manifest = parse(FULL).expect("a manifest without problems");
    assert_eq!(manifest.isolation(), Isolation::Isolated);
    assert_eq!(manifest.agent(), Some("report-writer"));
    assert_eq!(manifest.limits().wall_ms, 10_000);
    assert_eq!(manifest.limits().memory_bytes, 32 << 20);
    assert_eq!(manifest.limits().handles, Isolation::Isolated.defaults().expect("has defaults").handles);
    assert!(manifest.walls().contains(&Wall::Namespaces));
    assert_eq!(manifest.clock(), ClockMode::Frozen { at_ms: 1_767_225_600_000 });
    assert!(matches!(manifest.random(), RandomMode::Seeded { seed } if seed[0] == 42));
    let points: Vec<_> = manifest.grants().iter().map(|grant| grant.point.to_string()).collect();
    assert_eq!(
        points,
        ["fs.data", "fs.out", "http.api", "http.local", "kv.notes", "tool.files", "tool.remote", "cell"]
    );
    let data = manifest.grant(PointKind::Fs, "data").expect("granted");
    assert_eq!(data.source, Source::Directory("./data".into()));
    assert_eq!(data.ops, Names::only(["read", "list", "stat"]));
    assert!(data.caveats.contains(&Caveat::Under([CanonicalPath::parse("2024").expect("canonical")].into())));
    let api = manifest.grant(PointKind::Http, "api").expect("granted");
    assert!(api.caveats.contains(&Caveat::Private(false)), "private addresses are refused unless granted");
    assert!(api.caveats.contains(&Caveat::Ports([443].into())), "only the scheme's port unless granted");
}

#[test]
fn g05_a_rendered_manifest_reads_back_as_the_same() {
    let manifest = parse(FULL).expect("a manifest without problems");
    let text = manifest.to_toml();
    let again = Manifest::parse(&text, "rendered").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    assert_eq!(again, manifest, "{text}");
    assert_eq!(again.to_toml(), text);
    let empty = Manifest::default();
    assert_eq!(parse(&empty.to_toml()).expect("readable"), empty);
    assert_eq!(parse("").expect("the empty manifest"), empty);
}

#[test]
fn m05_every_problem_is_reported_with_its_place_and_a_suggestion() {
    let text = r#"isolatoin = "isolated"
[limits]
memory = 32
wall = "10 s"
crossings = "many"
[fs.data]
path = "./data"
allow = ["read", "raed"]
undr = "x"
[fs.out]
allow = ["write"]
[http.api]
hosts = ["https://api.example.com/", "127.0.0.1", "*.com"]
methods = ["get"]
ports = [0, 70000]
private = "yes"
[kv."a b"]
allow = []
[tool.files]
command = "npx server"
tools = ["*"]
[tool.files.where.x]
path = { undre = "/srv" }
[cell]
children = -1
"#;
    let lines = refused(text);
    let text = lines.join("\n");
    for expected in [
        "lockgate.toml:1:1: `isolatoin`: unknown key `isolatoin`\n  hint: did you mean `isolation`?",
        "lockgate.toml:3:10: `limits.memory`: expected a size such as `32MiB` or `64KiB`, found the integer `32`",
        "lockgate.toml:4:8: `limits.wall`: expected a duration such as `10s` or `500ms`, found the text `10 s`",
        "lockgate.toml:5:13: `limits.crossings`: expected an integer from 0 on, found the text `many`",
        "lockgate.toml:8:18: `fs.data.allow[1]`: expected one of `read`, `list`, `stat`, `write`, `mkdir`, `remove`, found the text `raed`\n  hint: did you mean `read`?",
        "lockgate.toml:9:1: `fs.data.undr`: unknown key `undr`\n  hint: did you mean `under`?",
        "lockgate.toml:10:1: `fs.out`: the key `path` is missing\n  hint: add `path = \"./data\"`",
        "lockgate.toml:13:10: `http.api.hosts[0]`: a host has no scheme, port or path, found the text `https://api.example.com/`",
        "lockgate.toml:13:38: `http.api.hosts[1]`: `127.0.0.1` is not a public address\n  hint: add `private = true` to reach it",
        "lockgate.toml:13:51: `http.api.hosts[2]`: a pattern such as `*.org` covers too much",
        "lockgate.toml:14:12: `http.api.methods[0]`: expected one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS`, found the text `get`\n  hint: did you mean `GET`?",
        "lockgate.toml:15:10: `http.api.ports[0]`: expected a port from 1 to 65535, found the integer `0`",
        "lockgate.toml:15:13: `http.api.ports[1]`: expected a port from 1 to 65535",
        "lockgate.toml:16:11: `http.api.private`: expected `true` or `false`, found the text `yes`",
        "`kv.\"a b\"`: a name is a letter, then letters, digits, `_` or `-`, found `a b`",
        "lockgate.toml:18:9: `kv.\"a b\".allow`: expected a list of operations, found an empty list",
        "lockgate.toml:20:11: `tool.files.command`: expected a list of a program and its arguments, found the text `npx server`",
        "lockgate.toml:21:10: `tool.files.tools[0]`: expected a tool's name, found `*`",
        "lockgate.toml:23:10: `tool.files.where.x.path.undre`: unknown key `undre`\n  hint: did you mean `under`?",
        "lockgate.toml:25:12: `cell.children`: expected an integer from 0 on, found the integer `-1`",
    ] {
        assert!(text.contains(expected), "missing:\n{expected}\nin:\n{text}");
    }
}

#[test]
fn m05_one_malformed_entry_refuses_the_whole_and_is_not_skipped() {
    let good = "[kv.a]\nallow = [\"get\"]\n";
    assert!(parse(good).is_ok());
    assert_eq!(
        refused(&format!("{good}[kv.b]\nallow = [\"gett\"]\n")),
        [
            "lockgate.toml:4:10: `kv.b.allow[0]`: expected one of `get`, `set`, `delete`, `list`, found the text `gett`",
            "  hint: did you mean `get`?"
        ]
    );
}

#[test]
fn m05_broken_toml_is_an_error_with_its_place() {
    let errors = Manifest::parse("isolation = \"isolated\"\n[fs.data\npath = 1\n", "x.toml").expect_err("not TOML");
    assert_eq!(errors.problems[0].place.map(|place| place.line), Some(2), "{errors}");
    let errors = Manifest::parse("a = 1\na = 2\n", "x.toml").expect_err("a key given twice");
    assert_eq!(errors.problems[0].place, Some(Place { line: 2, column: 1 }), "{errors}");
    assert!(Manifest::parse(&"#".repeat(2 << 20), "x.toml").is_err());
}

#[test]
fn m04_a_manifest_cannot_set_what_is_not_its_own() {
    for text in [
        "trusted = true",
        "mode = \"bypass\"",
        "[proxy]\nurl = \"http://evil.example\"",
        "[telemetry]\nendpoint = \"x\"",
        "[certificates]\nroot = \"x\"",
        "[parent.up]\nallow = []",
        "[log]\nlevel = \"off\"",
        "[http.api]\nhosts = [\"a.example\"]\nproxy = \"http://evil.example\"",
        "[fs.a]\npath = \"/\"\nallow = [\"read\"]\nfollow_links = true",
    ] {
        let lines = refused(text);
        assert!(lines.iter().any(|line| line.contains("unknown key")), "{lines:?}");
    }
}

#[test]
fn g01_a_manifest_cannot_weaken_its_policy() {
    assert_eq!(
        refused("isolation = \"isolated\"\n[limits]\nmemory = \"1GiB\"\n"),
        [
            "lockgate.toml:3:10: `limits.memory`: the limit `memory` is 1GiB, but isolation `isolated` allows at most 512MiB"
        ]
    );
    assert!(parse("isolation = \"trusted\"\n[limits]\nmemory = \"1GiB\"\n").is_ok());
    let lines = refused("[wall]\nminimum = [\"seccomp\"]\n");
    assert!(lines[0].contains("isolation `isolated` demands the wall `no-new-privileges`"), "{lines:?}");
    assert!(parse("isolation = \"trusted\"\n[wall]\nminimum = []\n").is_ok());
}

#[test]
fn g01_stricter_policies_refuse_wider_grants() {
    let any_tool = "[tool.t]\ncommand = [\"x\"]\ntools = \"*\"\n";
    let plain = "[http.t]\nhosts = [\"a.example\"]\nschemes = [\"http\"]\n";
    let any_host = "[http.t]\nhosts = [\"*\"]\n";
    for (isolation, text, allowed) in [
        ("trusted", any_tool, true),
        ("constrained", any_tool, true),
        ("isolated", any_tool, false),
        ("constrained", plain, true),
        ("isolated", plain, false),
        ("trusted", any_host, true),
        ("constrained", any_host, false),
    ] {
        let result = parse(&format!("isolation = \"{isolation}\"\n{text}"));
        assert_eq!(result.is_ok(), allowed, "{isolation} {text} {result:?}");
    }
}

fn untrusted(rest: &str) -> Result<Manifest, Vec<String>> {
    let limits = "wall = \"10s\"\ncpu = \"1s\"\nmemory = \"16MiB\"\ntable = 16384\nstack = \"128KiB\"\noutput = \"1MiB\"\n\
                  handles = 8\ncrossings = 100\nin_flight = 4\nbuffers = \"1MiB\"\nchildren = 0\ndepth = 0\n";
    parse(&format!("isolation = \"untrusted\"\n[limits]\n{limits}{rest}"))
}

#[test]
fn g02_untrusted_names_all_missing_limits_in_one_error() {
    let lines = refused("isolation = \"untrusted\"\n[limits]\nwall = \"1s\"\n");
    assert_eq!(lines.len(), 11, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("the limit `depth` must be set where isolation is `untrusted`")));
    assert!(untrusted("").is_ok());
}

#[test]
fn g02_untrusted_grants_need_budgets_and_names() {
    let lines =
        untrusted("[http.a]\nhosts = [\"*.example.com\", \"10.0.0.1\"]\nprivate = true\n").expect_err("too wide");
    for expected in
        ["private addresses", "hosts by a `*.suffix`", "without a budget `calls`", "without a budget `bytes`"]
    {
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected} in {lines:?}");
    }
    assert!(untrusted("[http.a]\nhosts = [\"a.example.com\"]\ncalls = 10\nbytes = \"1MiB\"\n").is_ok());
    assert!(untrusted("[fs.a]\npath = \".\"\nallow = [\"write\"]\n").is_err());
    assert!(untrusted("[fs.a]\npath = \".\"\nallow = [\"read\"]\n").is_ok());
}

#[test]
fn a03_allow_expressions_grant_what_the_same_section_would() {
    for (expression, section) in [
        ("fs:data=./data", "[fs.data]\npath = \"./data\"\nallow = [\"read\", \"list\"]"),
        ("fs:data=./data:read,write", "[fs.data]\npath = \"./data\"\nallow = [\"read\", \"write\"]"),
        ("http:api.example.com", "[http.api-example-com]\nhosts = [\"api.example.com\"]"),
        (
            "http:api.example.com:GET,POST",
            "[http.api-example-com]\nhosts = [\"api.example.com\"]\nmethods = [\"GET\", \"POST\"]",
        ),
        (
            "http:https://api.example.com:8443/v1:POST",
            "[http.api-example-com-8443]\nhosts = [\"api.example.com\"]\nports = [8443]\npaths = [\"/v1\"]\nmethods = [\"POST\"]",
        ),
        (
            "http:http://127.0.0.1:3000",
            "[http.h127-0-0-1-3000]\nhosts = [\"127.0.0.1\"]\nschemes = [\"http\"]\nports = [3000]\nprivate = true",
        ),
        (
            "http:http://[::1]:3000:GET",
            "[http.h---1--3000]\nhosts = [\"::1\"]\nschemes = [\"http\"]\nports = [3000]\nprivate = true\nmethods = [\"GET\"]",
        ),
        ("kv:notes", "[kv.notes]\nallow = [\"get\", \"set\", \"delete\", \"list\"]"),
        ("kv:notes:get", "[kv.notes]\nallow = [\"get\"]"),
        (
            "tool:files:read,list=npx server './my dir'",
            "[tool.files]\ncommand = [\"npx\", \"server\", \"./my dir\"]\ntools = [\"read\", \"list\"]",
        ),
        (
            "tool:web:search=http://127.0.0.1:3000/mcp",
            "[tool.web]\nurl = \"http://127.0.0.1:3000/mcp\"\ntools = [\"search\"]",
        ),
        ("cell", "[cell]\nchildren = 8\ndepth = 3"),
        ("cell:2,1", "[cell]\nchildren = 2\ndepth = 1"),
    ] {
        let mut manifest = Manifest::default();
        manifest.allow(expression).unwrap_or_else(|errors| panic!("{errors}"));
        let expected = parse(section).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(manifest.grants(), expected.grants(), "{expression}");
    }
}

#[test]
fn m05_allow_expressions_that_are_wrong_say_what_is_expected() {
    for (expression, expected) in [
        ("fz:data=./data", "did you mean `fs`?"),
        ("fs:data", "a directory is missing"),
        ("fs:data=", "expected a directory, found ``"),
        ("fs:data=./data:raed", "did you mean `read`?"),
        ("fs:da ta=./x", "found `da ta`"),
        ("fs:data=./da:ta:read", "expected one of"),
        ("http:", "a host is missing"),
        ("http:exa mple.com", "not a host name"),
        ("http:example.com:get", "did you mean `GET`?"),
        ("http:ftp://example.com", "expected one of `https`, `http`"),
        ("http:example.com:99999", "expected a port"),
        ("kv:", "a name is a letter"),
        ("tool:x", "a command is missing"),
        ("tool:x:a='unclosed", "ends within a quotation"),
        ("tool:x=server", "isolation `isolated` refuses every tool by `*`"),
        ("cell:many", "expected an integer"),
        ("", "expected a kind of point"),
    ] {
        let mut manifest = Manifest::default();
        let errors = manifest.allow(expression).expect_err(expression);
        assert!(errors.with_hints().contains(expected), "{expression}: {}", errors.with_hints());
        assert_eq!(manifest, Manifest::default(), "a refused expression changes nothing");
    }
    let mut manifest = Manifest::default();
    manifest.allow("kv:notes").expect("granted");
    assert!(manifest.allow("kv:notes:get").expect_err("twice").to_string().contains("`kv.notes` is granted already"));
}

#[test]
fn a01_held_grants_are_found_by_handle() {
    let manifest = parse(FULL).expect("a manifest without problems");
    let held = manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new());
    let handles: Vec<_> =
        held.handles().map(|(kind, name, grants)| format!("{kind} {name} {}", grants.len())).collect();
    assert_eq!(
        handles,
        [
            "fs data 1",
            "fs out 1",
            "http http 2",
            "kv notes 1",
            "tool files 1",
            "tool remote 1",
            "cell cell 1",
            "clock clock 1",
            "random random 1",
            "log log 1",
            "sealed sealed 1"
        ]
    );
    assert_eq!(held.for_handle(PointKind::Http, "http").len(), 2);
    assert_eq!(held.for_handle(PointKind::Fs, "out")[0].point(), &Point::new(PointKind::Fs, "out"));
    assert!(held.for_handle(PointKind::Fs, "nothing").is_empty());
    assert!(held.for_handle(PointKind::Parent, "parent").is_empty());
}

#[test]
fn m05_the_documented_manifest_is_accepted() {
    let text = include_str!("../MANIFEST.md");
    let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("there is an example");
    let manifest = Manifest::parse(block, "MANIFEST.md").unwrap_or_else(|errors| panic!("{}", errors.with_hints()));
    assert_eq!(manifest.grants().len(), 12);
    // Every condition and every key of a grant is in the document.
    for key in ["calls", "bytes", "rate", "until", "approval", "each", "at_most", "equals", "min_length", "prefix"] {
        assert!(text.contains(&format!("`{key}`")), "{key}");
    }
    for limit in lockgate_authority::Limit::ALL {
        assert!(block.contains(&format!("{} = ", limit.key())), "{limit:?}");
    }
}

#[test]
fn n02_tokens_are_trusted_and_required_as_written() {
    let root = format!("ed25519/{}", "0A".repeat(32));
    let tokens =
        |lines: &str| format!("[tokens]\n{lines}\n[fs.data]\npath = \".\"\nallow = [\"read\"]\n[cell]\nchildren = 1\n");
    let text = tokens(&format!("roots = [\"{root}\"]\nrequired = [\"fs.data\", \"cell\"]"));
    let manifest = parse(&text).expect("a manifest without problems");
    assert_eq!(manifest.tokens().roots, [root.to_lowercase()]);
    let required = [Point::new(PointKind::Fs, "data"), Point::new(PointKind::Cell, "cell")];
    assert_eq!(manifest.tokens().required, required);
    assert_eq!(parse(&manifest.to_toml()).expect("what is written is read"), manifest);
    let wrong = [
        ("roots = [\"ed25519/0a\"]", "tokens.roots[0]"),
        ("roots = \"x\"", "tokens.roots"),
        ("required = [\"fs.date\"]", "tokens.required[0]"),
        ("required = [\"fs\"]", "tokens.required[0]"),
        ("required = [\"cell\", \"cell\"]", "tokens.required[1]"),
        ("root = []", "tokens.root"),
    ];
    for (lines, key) in wrong {
        let errors = Manifest::parse(&tokens(lines), "lockgate.toml").expect_err(lines);
        assert_eq!(errors.problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), [key], "{lines}");
    }
}

/// A section of a tool server with these lines.
fn server(lines: &str) -> String {
    format!("[tool.t]\ncommand = [\"x\"]\ntools = [\"a\"]\n{lines}")
}

fn wall_of(manifest: &Manifest) -> Option<ServerWall> {
    let grant = manifest.grant(PointKind::Tool, "t").expect("the section is there");
    let Source::Command(command) = &grant.source else { panic!("it has a command") };
    command.wall.clone()
}

#[test]
fn m09_a_tool_server_has_the_strictest_wall_unless_its_section_says_more() {
    let strict = parse(&server("")).expect("a manifest");
    assert_eq!(wall_of(&strict), Some(ServerWall::default()));
    assert!(!strict.to_toml().contains("wall ="), "{}", strict.to_toml());
    let more = "writes = [\"out\", \"out\"]\nreads = [\"b\", \"a\"]\nconnect = [443, 53, 443]\nscratch = true\n";
    let manifest = parse(&server(more)).expect("a manifest");
    let expected = ServerWall {
        reads: vec!["a".into(), "b".into()],
        writes: vec!["out".into()],
        network: ServerNetwork::Ports(vec![53, 443]),
        scratch: true,
    };
    assert_eq!(wall_of(&manifest), Some(expected));
    // One form, whatever the order in which it was written: what is trusted is the digest of that form.
    let other = "scratch = true\nconnect = [53, 443]\nreads = [\"a\", \"b\"]\nwrites = [\"out\"]\nwall = \"strict\"\n";
    let other = parse(&server(other)).expect("a manifest");
    assert_eq!(manifest.to_toml(), other.to_toml());
    assert_eq!(parse(&manifest.to_toml()).expect("it is read back"), manifest);
    let any = parse(&server("network = true\n")).expect("a manifest");
    assert_eq!(parse(&any.to_toml()).expect("it is read back"), any);
    // Every key is part of what differs.
    for lines in ["reads = [\"a\"]\n", "writes = [\"a\"]\n", "connect = [1]\n", "network = true\n", "scratch = true\n"]
    {
        let changed = parse(&server(lines)).expect("a manifest");
        assert!(!strict.difference(&changed).is_empty(), "{lines}");
    }
}

#[test]
fn m09_a_server_without_a_wall_is_for_trusted_isolation_only() {
    for isolation in ["constrained", "isolated"] {
        let lines = refused(&format!("isolation = \"{isolation}\"\n{}", server("wall = \"none\"\n")));
        assert!(lines[0].contains("`tool.t.wall`") && lines[0].contains("without a wall"), "{lines:?}");
    }
    let text = format!("isolation = \"trusted\"\n{}", server("wall = \"none\"\n"));
    let trusted = parse(&text).expect("trusted code may");
    assert_eq!(wall_of(&trusted), None);
    assert!(trusted.to_toml().contains("wall = \"none\""));
    assert_eq!(parse(&trusted.to_toml()).expect("it is read back"), trusted);
}

#[test]
fn m09_what_contradicts_itself_is_refused() {
    for (lines, key) in [
        ("wall = \"weak\"\n", "`tool.t.wall`"),
        ("network = true\nconnect = [443]\n", "`tool.t.connect`"),
        ("connect = [0]\n", "`tool.t.connect[0]`"),
        ("connect = [70000]\n", "`tool.t.connect[0]`"),
        ("reads = \"a\"\n", "`tool.t.reads`"),
        ("writes = [\"\"]\n", "`tool.t.writes[0]`"),
        ("network = 1\n", "`tool.t.network`"),
    ] {
        let found = refused(&server(lines));
        assert!(found[0].contains(key), "{lines}: {found:?}");
    }
    let bare = format!("isolation = \"trusted\"\n{}", server("wall = \"none\"\nreads = [\"a\"]\n"));
    assert!(refused(&bare)[0].contains("`tool.t.reads`"));
    let url = "[tool.t]\nurl = \"http://127.0.0.1:1/mcp\"\ntools = [\"a\"]\nscratch = true\n";
    assert!(refused(url)[0].contains("`tool.t.scratch`"));
}

/// Making a manifest less never makes a wall more.
#[test]
fn m09_narrowing_leaves_the_wall_as_it_is() {
    let manifest = parse(&server("reads = [\"a\"]\nconnect = [443]\n")).expect("a manifest");
    let used = Used { point: "tool.t", op: "a", subject: Subject::None };
    assert_eq!(wall_of(&manifest.narrowed([used])), wall_of(&manifest));
}

#[test]
fn a07_read_only_names_tools_that_are_granted_and_is_part_of_what_is_trusted() {
    let manifest = parse(&server("read_only = [\"a\"]\n")).expect("a manifest");
    let grant = manifest.grant(PointKind::Tool, "t").expect("the section is there");
    assert_eq!(grant.known.read_only, ["a".into()]);
    assert_eq!(parse(&manifest.to_toml()).expect("it is read back"), manifest);
    assert_ne!(manifest.to_toml(), parse(&server("")).expect("a manifest").to_toml());
    let errors = Manifest::parse(&server("read_only = [\"b\"]\n"), "lockgate.toml").expect_err("no such tool");
    assert_eq!(errors.problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), ["tool.t.read_only[0]"]);
}
