//! Labels: the laws of their lattice, and every decision beside an oracle that uses sets of names.

use lockgate_authority::{
    Blocked, Caveat, Flowed, Flowing, Grant, GrantRequest, HeldGrants, Label, LabelCaveat, LabelRule, Manifest, Mint,
    Names, Parties, PartyNames, Point, PointKind, Principal, PrincipalKind, ReasonCode, Request, Sink, SpawnAsk,
    Subject, Usage, Value, authorize_flow,
};
use proptest::prelude::*;
use proptest::sample::subsequence;
use std::collections::BTreeSet;

const NAMES: &[&str] = &["outside", "web", "mail", "finance", "validator"];

/// What a label means, said with names: the operator is told apart, and readers are either all or those named.
#[derive(Clone, Debug, PartialEq)]
struct Naive {
    writers: BTreeSet<&'static str>,
    /// `None`: everyone.
    readers: Option<BTreeSet<&'static str>>,
}

fn names() -> PartyNames {
    let mut known = PartyNames::default();
    for name in NAMES {
        known.intern(name).expect("few");
    }
    known
}

fn set(known: &PartyNames, names: &BTreeSet<&'static str>) -> Parties {
    names.iter().fold(Parties::NONE, |set, name| set.union(known.find(name).expect("interned")))
}

/// As a list of readers or of the trusted means it: `outside` is everyone.
fn everyone_or(names: BTreeSet<&'static str>) -> Option<BTreeSet<&'static str>> {
    (!names.contains("outside")).then_some(names)
}

impl Naive {
    fn label(&self, known: &PartyNames) -> Label {
        let readers = self.readers.as_ref().map_or(Parties::EVERYONE, |readers| set(known, readers));
        Label { writers: set(known, &self.writers), readers }
    }

    fn join(&self, other: &Naive) -> Naive {
        let readers = match (&self.readers, &other.readers) {
            (None, readers) | (readers, None) => readers.clone(),
            (Some(left), Some(right)) => Some(left & right),
        };
        Naive { writers: &self.writers | &other.writers, readers }
    }

    /// Who may not be trusted or may not read, if anyone.
    fn blocked(&self, trusts: &Option<BTreeSet<&str>>, shown_to: &Option<BTreeSet<&str>>) -> (bool, bool) {
        let untrusted = trusts.as_ref().is_some_and(|trusts| self.writers.iter().any(|name| !trusts.contains(name)));
        let confidential = match (&self.readers, shown_to) {
            (None, _) => false,
            // Everyone reads it there, and not everyone may.
            (Some(_), None) => true,
            (Some(readers), Some(shown_to)) => shown_to.iter().any(|name| !readers.contains(name)),
        };
        (untrusted, confidential)
    }
}

fn some_names() -> impl Strategy<Value = BTreeSet<&'static str>> {
    subsequence(NAMES, 0..=NAMES.len()).prop_map(BTreeSet::from_iter)
}

fn naive() -> impl Strategy<Value = Naive> {
    (some_names(), some_names()).prop_map(|(writers, readers)| Naive { writers, readers: everyone_or(readers) })
}

proptest! {
    /// The laws of a lattice, and that a label only ever rises by joining.
    #[test]
    fn a09_labels_form_a_lattice(a in naive(), b in naive(), c in naive()) {
        let known = names();
        let (left, right) = (a.label(&known), b.label(&known));
        let third = c.label(&known);
        prop_assert_eq!(left.join(left), left);
        prop_assert_eq!(left.join(right), right.join(left));
        prop_assert_eq!(left.join(right).join(third), left.join(right.join(third)));
        prop_assert_eq!(left.join(left.meet(right)), left);
        prop_assert_eq!(left.meet(left.join(right)), left);
        prop_assert_eq!(left.join(Label::BOTTOM), left);
        prop_assert_eq!(left.join(Label::TOP), Label::TOP);
        prop_assert_eq!(left.is_within(right), left.join(right) == right);
        prop_assert!(left.is_within(left.join(right)) && left.is_within(Label::TOP) && Label::BOTTOM.is_within(left));
    }

    /// A join of sets of bits is a join of sets of names.
    #[test]
    fn a09_a_join_is_the_union_of_writers_and_the_intersection_of_readers(a in naive(), b in naive()) {
        let known = names();
        prop_assert_eq!(a.label(&known).join(b.label(&known)), a.join(&b).label(&known));
    }

    /// A decision on sets of bits is the one on sets of names, and it says whose fault it is.
    #[test]
    fn a09_the_decision_agrees_with_names(label in naive(), trusts in some_names(), shown_to in some_names()) {
        let known = names();
        let sink = Sink { trusts: set(&known, &trusts).closed(), shown_to: set(&known, &shown_to).closed() };
        let (trusts, shown_to) = (everyone_or(trusts), everyone_or(shown_to));
        let (untrusted, confidential) = label.blocked(&trusts, &shown_to);
        match label.label(&known).flows_to(sink) {
            Ok(()) => prop_assert!(!untrusted && !confidential),
            Err(Blocked::Untrusted(who)) => {
                prop_assert!(untrusted);
                let trusts = trusts.expect("everyone is trusted otherwise");
                let expected: BTreeSet<&str> = label.writers.iter().copied().filter(|name| !trusts.contains(name)).collect();
                prop_assert_eq!(known.of(who).collect::<BTreeSet<_>>(), expected);
            }
            Err(Blocked::Confidential(who)) => prop_assert!(!untrusted && confidential && !who.is_empty()),
            Err(blocked) => prop_assert!(false, "{:?}", blocked),
        }
    }

    /// What may flow at a label may flow at every label below it.
    #[test]
    fn a09_what_flows_flows_from_below_too(low in naive(), more in naive(), trusts in some_names(), shown_to in some_names()) {
        let known = names();
        let sink = Sink { trusts: set(&known, &trusts).closed(), shown_to: set(&known, &shown_to).closed() };
        let (low, high) = (low.label(&known), low.join(&more).label(&known));
        if high.flows_to(sink).is_ok() {
            prop_assert!(low.flows_to(sink).is_ok());
        }
    }

    /// However a grant is narrowed, what flows through it flowed through what it was made from.
    #[test]
    fn a09_a_derived_grant_lets_less_flow(
        rules in proptest::collection::vec((0_usize..4, some_names().prop_filter("not empty", |names| !names.is_empty())), 0..8),
        label in naive(),
        ceiling in naive(),
        sends in any::<bool>(),
        reads in any::<bool>(),
    ) {
        let known = names();
        let caveat = |(rule, names): &(usize, BTreeSet<&'static str>)| {
            let names: Vec<&str> = names.iter().copied().collect();
            Caveat::Label(Box::new(LabelCaveat::resolve(LabelRule::ALL[*rule], &names, &known).expect("interned")))
        };
        let mut mint = Mint::new();
        let mut grant = Grant::root(&mut mint, Point::new(PointKind::Fs, "x"), Names::All, Vec::new());
        let flowing = Flowing { label: label.label(&known), sends, reads, clearance: ceiling.label(&known) };
        for rule in &rules {
            let derived = grant.attenuate(&mut mint, vec![caveat(rule)]).expect("few layers");
            if flowing.through(derived.flow()).is_ok() {
                prop_assert!(flowing.through(grant.flow()).is_ok(), "{:?}", rule);
            }
            grant = derived;
        }
    }
}

#[test]
fn a09_a_session_has_at_most_64_parties() {
    let mut known = PartyNames::default();
    for index in 1..PartyNames::MAX {
        known.intern(&format!("p{index}")).expect("there is room");
    }
    assert!(known.intern("p1").is_ok() && known.intern("operator").is_ok() && known.intern("outside").is_ok());
    assert!(known.intern("one-more").is_err());
    let mut text = String::from("[fs.x]\npath = \".\"\nallow = [\"read\"]\nwritten_by = [");
    (0..64).for_each(|index| text.push_str(&format!("\"p{index}\",")));
    text.push(']');
    let refused = Manifest::parse(&text, "m.toml").expect_err("64 and `outside`").to_string();
    assert!(refused.contains("m.toml:4:14: `fs.x.written_by`: a manifest names at most 63 parties"), "{refused}");
}

fn manifest(text: &str) -> Manifest {
    Manifest::parse(text, "m.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

fn held(text: &str, mint: &mut Mint) -> HeldGrants {
    manifest(text).hold(Principal::new(PrincipalKind::Agent, "a"), mint)
}

const LABELLED: &str = r#"
[program]
written_by = ["model"]

[clearance]
written_by = ["model", "web"]
readable_by = ["finance"]

[fs.inbox]
path = "./in"
allow = ["read"]
written_by = ["web"]
readable_by = ["finance", "legal"]

[tool.bank]
command = ["bank"]
tools = ["pay"]
trusts = ["operator"]
shown_to = ["finance"]

[kv.notes]
allow = ["get", "set"]
written_by = ["model"]

[cell]
trusts = ["validator"]
"#;

#[test]
fn a09_a_manifest_says_who_writes_and_who_reads() {
    let read = manifest(LABELLED);
    assert_eq!(Manifest::parse(&read.to_toml(), "again"), Ok(read.clone()), "{}", read.to_toml());
    let known = read.parties();
    let set = |names: &[&str]| names.iter().fold(Parties::NONE, |set, name| set.union(known.find(name).expect(name)));
    assert_eq!(read.program_label(), Label { writers: set(&["model"]), readers: Parties::EVERYONE });
    assert_eq!(read.clearance(), Label { writers: set(&["model", "web"]), readers: set(&["finance"]) });
    let held = held(LABELLED, &mut Mint::new());
    let flow = |kind, name| held.for_handle(kind, name)[0].flow();
    let inbox = flow(PointKind::Fs, "inbox");
    assert_eq!(inbox.source, Label { writers: set(&["web"]), readers: set(&["finance", "legal"]) });
    let bank = flow(PointKind::Tool, "bank");
    assert_eq!(bank.sink, Sink { trusts: Parties::NONE, shown_to: set(&["finance"]) });
    // What a manifest does not say is the worst.
    assert_eq!(bank.source.writers, Parties::OUTSIDE);
    assert_eq!(inbox.sink.trusts, set(&["web"]));
    // A store gives back what was put into it, so only those who are said to write there may.
    assert_eq!(flow(PointKind::Kv, "notes").sink.trusts, set(&["model"]));
    assert_eq!(flow(PointKind::Cell, "cell").sink.trusts, set(&["validator"]));
    assert_eq!(flow(PointKind::Clock, "clock").source, Label::BOTTOM);
}

#[test]
fn a09_what_a_manifest_says_of_labels_is_read_strictly() {
    let cases = [
        (
            "[fs.x]\npath = \".\"\nallow = [\"read\"]\nwriten_by = [\"web\"]",
            "m.toml:4:1: `fs.x.writen_by`: unknown key `writen_by`",
        ),
        (
            "[fs.x]\npath = \".\"\nallow = [\"read\"]\nwritten_by = \"web\"",
            "m.toml:4:14: `fs.x.written_by`: expected a list of parties, found the text `web`",
        ),
        (
            "[fs.x]\npath = \".\"\nallow = [\"read\"]\nwritten_by = []",
            "m.toml:4:14: `fs.x.written_by`: expected a list of parties, found an empty list",
        ),
        (
            "[fs.x]\npath = \".\"\nallow = [\"read\"]\nwritten_by = [\"a b\"]",
            "m.toml:4:15: `fs.x.written_by[0]`: a party is a letter",
        ),
        ("[cell]\nwritten_by = [\"web\"]", "m.toml:2:1: `cell.written_by`: unknown key `written_by`"),
        ("[clearance]\n", "expected `written_by` or `readable_by`"),
        ("[clearance]\ntrusts = [\"web\"]", "m.toml:2:1: `clearance.trusts`: unknown key `trusts`"),
        (
            "[program]\nwritten_by = [\"model\"]\n[clearance]\nwritten_by = [\"web\"]",
            "m.toml:4:14: `clearance.written_by`: the program itself is written by `model`",
        ),
        (
            "[program]\nreadable_by = [\"finance\"]\n[clearance]\nreadable_by = [\"outside\"]",
            "m.toml:4:15: `clearance.readable_by`: the program itself may not be read by",
        ),
        (
            "[kv.x]\nallow = [\"get\", \"set\"]\nwritten_by = [\"model\"]\ntrusts = [\"model\", \"web\"]",
            "m.toml:4:10: `kv.x.trusts`: trusts `web`, whose writing would be read back as written by `model`",
        ),
        (
            "[fs.x]\npath = \".\"\nallow = [\"read\", \"write\"]\nshown_to = [\"finance\"]",
            "m.toml:4:12: `fs.x.shown_to`: what only `finance` may read could be put there, and read back as readable by `outside`",
        ),
    ];
    for (text, expected) in cases {
        let refused = Manifest::parse(text, "m.toml").expect_err(text).to_string();
        assert!(refused.contains(expected), "expected {expected}\ngot {refused}");
    }
    // The same is no contradiction where nothing is read back.
    manifest("[fs.x]\npath = \".\"\nallow = [\"write\"]\nshown_to = [\"finance\"]");
    manifest("[kv.x]\nallow = [\"get\", \"set\"]\nwritten_by = [\"outside\"]\ntrusts = [\"web\"]");
}

#[test]
fn a09_a_narrowed_manifest_keeps_its_labels() {
    let read = manifest(LABELLED);
    let used = [lockgate_authority::Used { point: "kv.notes", op: "get", subject: Subject::Key("a/b") }];
    let narrowed = read.narrowed(used);
    assert!(narrowed.to_toml().contains("written_by = [\"model\"]"), "{}", narrowed.to_toml());
    let again = manifest(&narrowed.to_toml());
    assert_eq!((again.to_toml(), again.parties()), (narrowed.to_toml(), narrowed.parties()));
    assert!(!narrowed.clearance().writers.is_empty());
    assert!(narrowed.parties().find("legal").is_none());
}

#[test]
fn a09_a_child_asks_for_stricter_labels_only() {
    let mut mint = Mint::new();
    let parent = held(LABELLED, &mut mint);
    let derive = |asked: serde_json::Value, mint: &mut Mint| {
        let asked = GrantRequest::parse_list(&Value::from_json(asked)).expect("well formed");
        parent.derive_for_child(&asked, Principal::new(PrincipalKind::Cell, "a/c"), mint)
    };
    let asked = serde_json::json!([
        {"kind": "fs", "name": "inbox", "written_by": ["model"], "readable_by": ["finance", "web"]},
        {"kind": "tool", "name": "bank", "trusts": ["outside"], "shown_to": ["web"]},
    ]);
    let child = derive(asked, &mut mint).expect("the parent holds both");
    let set = |names: &[&str]| {
        names.iter().fold(Parties::NONE, |set, name| set.union(parent.parties().find(name).expect(name)))
    };
    let inbox = child.for_handle(PointKind::Fs, "inbox")[0].flow();
    assert_eq!(inbox.source, Label { writers: set(&["web", "model"]), readers: set(&["finance"]) });
    let bank = child.for_handle(PointKind::Tool, "bank")[0].flow();
    assert_eq!(bank.sink, Sink { trusts: Parties::NONE, shown_to: set(&["finance", "web"]) });
    let unknown = derive(serde_json::json!([{"kind": "fs", "name": "inbox", "written_by": ["wbe"]}]), &mut mint);
    let refused = unknown.expect_err("the manifest names no such party");
    assert_eq!(refused.code, ReasonCode::Malformed);
    assert_eq!(refused.problems[0].message, "the manifest names no party `wbe`");
    assert_eq!(refused.problems[0].hint.as_deref(), Some("did you mean `web`?"));

    let ask = |clearance: serde_json::Value| {
        let args = serde_json::json!({"source": "1", "clearance": clearance});
        SpawnAsk::parse(Value::from_json(args)).expect("well formed")
    };
    let ceiling = manifest(LABELLED).clearance();
    let lower = ask(serde_json::json!({"written_by": ["web", "legal"], "readable_by": ["legal"]}));
    let clearance = lower.clearance(ceiling, parent.parties()).expect("known parties");
    assert_eq!(clearance, Label { writers: set(&["web"]), readers: set(&["finance", "legal"]) });
    let higher = ask(serde_json::json!({"written_by": ["outside"]}));
    assert_eq!(higher.clearance(ceiling, parent.parties()).expect("known parties"), ceiling);
    assert!(ask(serde_json::json!({"written_by": ["nobody"]})).clearance(ceiling, parent.parties()).is_err());
}

#[test]
fn a09_the_first_grant_through_which_it_may_flow_allows() {
    let mut mint = Mint::new();
    let text = "[http.strict]\nhosts = [\"a.example.com\"]\ntrusts = [\"operator\"]\n\
                [http.open]\nhosts = [\"*.example.com\"]\n";
    let held = held(text, &mut mint);
    let url = lockgate_authority::CanonicalUrl::parse("https://a.example.com/").expect("canonical");
    let none = Value::EMPTY_MAP;
    let request = Request {
        kind: PointKind::Http,
        name: "http",
        op: "request",
        subject: Subject::Url { url: &url, method: "GET" },
        args: &none,
        bytes: 0,
        now_ms: 0,
        seen: None,
        approved: None,
    };
    let flowing = |writers| Flowing {
        label: Label { writers, readers: Parties::EVERYONE },
        sends: true,
        reads: true,
        clearance: Label::TOP,
    };
    let decide =
        |held: &HeldGrants, writers| match authorize_flow(held.all(), &request, &flowing(writers), &Usage::new()) {
            Flowed::Allow(grant) => grant.point().to_string(),
            decision => format!("{decision:?}"),
        };
    assert_eq!(decide(&held, Parties::OUTSIDE), "http.open");
    let strict = Manifest::parse("[http.strict]\nhosts = [\"a.example.com\"]\ntrusts = [\"operator\"]\n", "m")
        .expect("well formed");
    let held = strict.hold(Principal::new(PrincipalKind::Agent, "a"), &mut mint);
    assert_eq!(decide(&held, Parties::NONE), "http.strict");
    assert!(decide(&held, Parties::OUTSIDE).contains("Untrusted"));
}
