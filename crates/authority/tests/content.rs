//! `seal` and `format` of a section: how they are read, written again, and that no derivation loses them.

use lockgate_authority::{
    Caveat, Classes, Flow, Format, Grant, HeldGrants, Label, Manifest, Mint, Names, Parties, PointKind, Principal,
    PrincipalKind, ReasonCode, Request, Seal, Subject, Terms, Usage, Value, authorize,
};

fn manifest(text: &str) -> Manifest {
    Manifest::parse(text, "lockgate.toml").unwrap_or_else(|errors| panic!("{}", errors.with_hints()))
}

fn caveats(settings: &str) -> Vec<Caveat> {
    let text = format!("agent = \"a\"\n[kv.state]\nallow = [\"get\", \"set\"]\n{settings}\n");
    let read = manifest(&text);
    assert_eq!(manifest(&read.to_toml()), read, "{}", read.to_toml());
    read.grants()[0].caveats.clone()
}

fn seal(readers: &[&str], writers: &[&str]) -> Vec<Caveat> {
    vec![Caveat::Seal(Box::new(Seal::new(readers, writers)))]
}

fn format(format: Format) -> Vec<Caveat> {
    vec![Caveat::Format(Box::new(format))]
}

#[test]
fn d10_a_seal_is_read_and_written_again() {
    assert_eq!(caveats("seal = true"), seal(&[], &[]));
    assert_eq!(caveats("seal = false"), []);
    assert_eq!(caveats("seal = { readers = [\"b\", \"a\"] }"), seal(&["a", "b"], &[]));
    assert_eq!(caveats("seal = { readers = [\"b\"], writers = [\"c\"] }"), seal(&["b"], &["c"]));
}

#[test]
fn d01_a_format_is_read_and_written_again() {
    assert_eq!(caveats("format = \"json\""), format(Format::Json));
    assert_eq!(caveats("format = \"lc\""), format(Format::Lc(Classes::Messages)));
    assert_eq!(caveats("format = { type = \"lc\", classes = \"core\" }"), format(Format::Lc(Classes::Core)));
    let only = Format::Lc(Classes::only(["AIMessage", "Document"]));
    assert_eq!(caveats("format = { type = \"lc\", classes = [\"Document\", \"AIMessage\"] }"), format(only));
    assert_eq!(caveats("format = { type = \"lc\", classes = [] }"), format(Format::Lc(Classes::only::<&str>([]))));
}

#[test]
fn d06_a_schema_is_read_and_written_again_beside_a_format() {
    let schema = || Caveat::Format(Box::new(Format::Schema("s.json".into())));
    assert_eq!(caveats("schema = \"s.json\""), [schema()]);
    let both = [format(Format::Lc(Classes::Messages)), vec![schema()]].concat();
    assert_eq!(caveats("schema = \"s.json\"\nformat = \"lc\""), both);
    // Beside a token and a child's ask there are no files.
    let exact = serde_json::json!({"allow": ["get"], "schema": "s.json"});
    let refused = Terms::parse(PointKind::Kv, exact).unwrap_err().to_string();
    assert!(refused.contains("schema"), "{refused}");
}

#[test]
fn n02_what_is_no_seal_and_no_format_is_refused() {
    for (settings, expected) in [
        ("seal = 1", "expected `true` or a table"),
        ("seal = \"yes\"", "expected `true` or a table"),
        ("seal = { reader = [\"b\"] }", "unknown key `reader`"),
        ("seal = { readers = \"b\" }", "expected a list of agents"),
        ("seal = { readers = [\"b c\"] }", "an agent is a letter"),
        ("schema = \"\"", "expected a file with a JSON Schema"),
        ("schema = { type = \"string\" }", "expected text"),
        ("format = \"yaml\"", "expected one of `json`, `lc`"),
        ("format = { classes = \"core\" }", "the key `type` is missing"),
        ("format = { type = \"json\", classes = \"core\" }", "`classes` goes with `type = \"lc\"`"),
        ("format = { type = \"lc\", classes = \"all\" }", "expected one of `messages`, `core`"),
    ] {
        let text = format!("agent = \"a\"\n[fs.state]\npath = \".\"\nallow = [\"read\"]\n{settings}\n");
        let errors = Manifest::parse(&text, "m").expect_err(settings).to_string();
        assert!(errors.contains(expected), "{settings}: {errors}");
    }
    let nameless = "[kv.state]\nallow = [\"get\"]\nseal = true\n";
    let errors = Manifest::parse(nameless, "m").unwrap_err().with_hints();
    assert!(errors.contains("kv.state.seal") && errors.contains("must name its agent"), "{errors}");
    let tool = "agent = \"a\"\n[tool.x]\ncommand = [\"x\"]\ntools = \"*\"\nseal = true\n";
    assert!(Manifest::parse(tool, "m").unwrap_err().to_string().contains("unknown key `seal`"));
}

const SEALED: &str = "agent = \"a\"\n[fs.state]\npath = \".\"\nallow = [\"read\", \"list\", \"write\"]\n\
                      seal = { readers = [\"b\"] }\nformat = \"lc\"\n[cell]\n";

fn held(text: &str, mint: &mut Mint) -> HeldGrants {
    manifest(text).hold(Principal::new(PrincipalKind::Agent, "a"), mint)
}

fn state(held: &HeldGrants) -> &Grant {
    &held.for_handle(PointKind::Fs, "state")[0]
}

#[test]
fn d10_no_derivation_loses_a_seal_or_a_format() {
    let mut mint = Mint::new();
    let held = held(SEALED, &mut mint);
    let root = state(&held);
    let wider = vec![
        Caveat::Seal(Box::new(Seal::new(["b", "mallory"], ["mallory"]))),
        Caveat::Format(Box::new(Format::Lc(Classes::Core))),
    ];
    let derived = root.attenuate(&mut mint, wider).unwrap();
    assert_eq!(derived.seal(), Some(Seal::new(["b"], [])), "who may open is what all layers name");
    let formats: Vec<_> = derived.formats().cloned().collect();
    assert_eq!(formats, [Format::Lc(Classes::Messages), Format::Lc(Classes::Core)], "all of them hold");
    let ask = |json: serde_json::Value| {
        let asked = Value::from_json(json);
        let ask = lockgate_authority::SpawnAsk::parse(asked).map_err(|error| error.to_string())?;
        let child = Principal::new(PrincipalKind::Cell, "c");
        held.derive_for_child(&ask.grants, child, &mut Mint::after(100)).map_err(|error| error.to_string())
    };
    let child = ask(serde_json::json!({"source": "1", "grants": [{"kind": "fs", "name": "state"}]})).unwrap();
    assert_eq!(state(&child).seal(), root.seal());
    let refused = ask(serde_json::json!({"source": "1", "grants": [{"kind": "fs", "name": "state", "seal": false}]}))
        .unwrap_err();
    assert!(refused.contains("seal"), "{refused}");
    let narrowed =
        manifest(SEALED).narrowed([lockgate_authority::Used { point: "fs.state", op: "read", subject: Subject::None }]);
    let sealed = |caveat: &Caveat| matches!(caveat, Caveat::Seal(_) | Caveat::Format(_));
    assert_eq!(narrowed.grants()[0].caveats.iter().filter(|caveat| sealed(caveat)).count(), 2);
}

#[test]
fn a04_a_token_carries_a_seal_and_a_format() {
    for caveats in [seal(&["b"], &[]), format(Format::Lc(Classes::Core))] {
        let terms = Terms::new(PointKind::Fs, Some(Names::only(["read"])), caveats).unwrap();
        assert_eq!(Terms::parse(PointKind::Fs, terms.to_json()).unwrap(), terms);
    }
}

#[test]
fn d10_a_seal_refuses_no_request_by_itself() {
    let held = held(SEALED, &mut Mint::new());
    let path = lockgate_authority::CanonicalPath::parse("x").unwrap();
    let request = Request {
        kind: PointKind::Fs,
        name: "state",
        op: "write",
        subject: Subject::Path(&path),
        args: &Value::EMPTY_MAP,
        bytes: 1,
        now_ms: 0,
        seen: None,
        approved: None,
    };
    let decision = authorize([state(&held)], &request, &Usage::new());
    assert!(matches!(decision, lockgate_authority::Decision::Allow(_)), "{decision:?}");
    assert_eq!(Caveat::Seal(Box::default()).code(), ReasonCode::NotSealed);
}

#[test]
fn a09_sealed_content_brings_its_own_label_and_names_do_not() {
    let held = held(SEALED, &mut Mint::new());
    let of = |op: &str| state(&held).flow_of(op).source;
    assert_eq!(of("read"), Label::BOTTOM);
    assert_eq!(of("list").writers, Parties::OUTSIDE, "names of files are not sealed");
    assert_eq!(state(&held).flow().source.writers, Parties::OUTSIDE);
    let said = SEALED.replace("format = \"lc\"", "written_by = [\"web\"]");
    let held = self::held(&said, &mut Mint::new());
    let Flow { source, .. } = state(&held).flow_of("read");
    assert_eq!(source.writers, held.parties().find("web").unwrap(), "what the section says holds too");
}
