//! Endorsing and declassifying: what a section says, what a child can be given of it, and what becomes of a label.

use lockgate_authority::{
    Flowing, GrantRequest, HeldGrants, Label, Manifest, Mint, Parties, PartyNames, PointKind, Principal, PrincipalKind,
    Regrade, Value,
};
use proptest::prelude::*;

const MANIFEST: &str = r#"
[endorse.review]
from = ["model", "web"]
to = ["reviewed"]
trusts = ["web"]
calls = 3

[declassify.report]
to = ["finance", "sales"]

[endorse.verdict]
from = ["model"]
to = ["operator"]
[endorse.verdict.where.endorse]
value = { one_of = ["ok", "bad"] }
"#;

fn held() -> HeldGrants {
    let manifest = Manifest::parse(MANIFEST, "test").expect("a manifest");
    manifest.hold(Principal::new(PrincipalKind::Agent, "a"), &mut Mint::new())
}

fn party(names: &PartyNames, name: &str) -> Parties {
    names.find(name).expect("the manifest names it")
}

fn regrade(held: &HeldGrants, kind: PointKind, name: &str) -> Regrade {
    held.for_handle(kind, name)[0].regrade().expect("it changes labels")
}

#[test]
fn a11_a_section_says_whose_writing_counts_as_whose() {
    let held = held();
    let of = |name| party(held.parties(), name);
    let (model, web, mail) = (of("model"), of("web"), of("sales"));
    let review = regrade(&held, PointKind::Endorse, "review");
    let label = |writers: Parties| Label { writers, readers: Parties::EVERYONE };
    assert_eq!(review.apply(label(model)), label(of("reviewed")));
    // What others could have written stays theirs.
    assert_eq!(review.apply(label(model.union(mail))), label(of("reviewed").union(mail)));
    assert_eq!(review.apply(label(mail)), label(mail));
    assert_eq!(regrade(&held, PointKind::Endorse, "verdict").apply(label(model.union(web))), label(web));
    let report = regrade(&held, PointKind::Declassify, "report");
    let secret = Label { writers: web, readers: Parties::NONE };
    assert_eq!(report.apply(secret), Label { writers: web, readers: of("finance").union(of("sales")) });
    assert!(held.for_handle(PointKind::Sealed, "sealed")[0].regrade().is_none());
}

#[test]
fn a11_who_has_a_hand_in_it_must_be_named() {
    let held = held();
    let (web, model) = (party(held.parties(), "web"), party(held.parties(), "model"));
    let flows = |kind, name, cell: Parties, value: Parties| {
        let label = |writers| Label { writers, readers: Parties::EVERYONE };
        let label = Flowing::sent(kind, label(cell), label(value));
        let flowing = Flowing { label, sends: true, reads: false, clearance: Label::TOP };
        flowing.through(held.for_handle(kind, name)[0].flow()).is_ok()
    };
    let (endorse, declassify) = (PointKind::Endorse, PointKind::Declassify);
    // The value's writers are what is vouched for; those of the cell choose.
    assert!(flows(endorse, "review", Parties::NONE, model) && flows(endorse, "review", web, model));
    assert!(!flows(endorse, "review", model, model) && !flows(endorse, "verdict", model, model));
    // Of a declassification both choose.
    assert!(flows(declassify, "report", Parties::NONE, Parties::NONE));
    assert!(!flows(declassify, "report", Parties::NONE, web) && !flows(declassify, "report", web, Parties::NONE));
}

#[test]
fn a11_a_section_without_from_or_to_is_refused() {
    for (text, key) in [
        ("[endorse.x]\nto = [\"a\"]\n", "the key `from` is missing"),
        ("[endorse.x]\nfrom = [\"a\"]\n", "the key `to` is missing"),
        ("[declassify.x]\n", "the key `to` is missing"),
        ("[declassify.x]\nto = [\"a\"]\nfrom = [\"b\"]\n", "declassify.x.from"),
        ("[endorse]\nfrom = [\"a\"]\nto = [\"b\"]\n", "endorse.from"),
        (
            "[endorse.x]\nfrom = [\"a\"]\nto = [\"b\"]\n[endorse.x.where.endorze]\nvalue = { prefix = \"a\" }\n",
            "endorze",
        ),
        ("[fs.x]\npath = \"x\"\nallow = [\"read\"]\nto = [\"b\"]\n", "fs.x.to"),
    ] {
        let errors = Manifest::parse(text, "test").expect_err(text).to_string();
        assert!(errors.contains(key), "{text}: {errors}");
    }
}

#[test]
fn a11_what_a_manifest_says_is_read_back() {
    let manifest = Manifest::parse(MANIFEST, "test").expect("a manifest");
    let again = Manifest::parse(&manifest.to_toml(), "again").expect("what was written is read");
    assert_eq!(manifest.to_toml(), again.to_toml());
    assert_eq!(manifest.grants(), again.grants());
}

/// What a child may ask for, as lists of parties.
fn parties() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(vec!["model", "web", "reviewed", "finance", "sales", "outside"], 1..4)
}

proptest! {
    /// However often it is handed on, an endorsement removes no writer that its parent's keeps, adds all that it adds, and a
    /// declassification adds no reader that its parent's does not.
    #[test]
    fn a11_a_child_vouches_for_less(asks in prop::collection::vec((parties(), parties()), 1..4), writers in parties(), readers in parties()) {
        let mut mint = Mint::after(100);
        let mut holder = held();
        let union = |names: &[&str], held: &HeldGrants| {
            names.iter().map(|name| party(held.parties(), name)).fold(Parties::NONE, Parties::union)
        };
        let label = Label { writers: union(&writers, &holder), readers: union(&readers, &holder) };
        for (from, to) in asks {
            let list = |names: &[&str]| Value::List(names.iter().map(|name| Value::text(*name)).collect());
            let asked = Value::List(vec![
                Value::map([("kind", Value::text("endorse")), ("name", Value::text("review")), ("from", list(&from)), ("to", list(&to))]),
                Value::map([("kind", Value::text("declassify")), ("name", Value::text("report")), ("to", list(&to))]),
            ]);
            let asked = GrantRequest::parse_list(&asked).expect("well formed");
            let child = holder
                .derive_for_child(&asked, Principal::new(PrincipalKind::Cell, "a/b"), &mut mint)
                .expect("the parent holds both");
            let (above, below) = (regrade(&holder, PointKind::Endorse, "review"), regrade(&child, PointKind::Endorse, "review"));
            let named = match (above, below) {
                (Regrade::Endorse { from: wide, to: few }, Regrade::Endorse { from, to }) => {
                    from.is_subset_of(wide) && few.is_subset_of(to)
                }
                _ => false,
            };
            prop_assert!(named, "{above:?} {below:?}");
            // Where the child's changes anything, it leaves at least the writers that its parent's would leave.
            if below.apply(label) != label {
                prop_assert!(above.apply(label).writers.is_subset_of(below.apply(label).writers));
            }
            let (above, below) = (regrade(&holder, PointKind::Declassify, "report"), regrade(&child, PointKind::Declassify, "report"));
            prop_assert!(below.apply(label).readers.is_subset_of(above.apply(label).readers));
            prop_assert!(label.readers.is_subset_of(below.apply(label).readers));
            holder = child;
        }
    }
}
