use lockgate_authority::{
    GrantRequest, HeldGrants, Manifest, ManifestErrors, Mint, PointKind, Principal, PrincipalKind, SpawnAsk,
};
use lockgate_decode::{Budget, decode_value};
use std::sync::OnceLock;

use super::assert_shown;

/// A manifest, or an `--allow` expression, is refused with reasons, or written as what reads back the same.
pub fn manifest(text: &str) {
    match Manifest::parse(text, "lockgate.toml") {
        Ok(manifest) => {
            assert_round_trip(&manifest);
            let again = manifest.isolation().resolve(manifest.explicit_limits());
            assert_eq!(again.as_ref(), Ok(manifest.limits()), "the limits are those set, within the policy");
            assert!(manifest.isolation().walls().iter().all(|wall| manifest.walls().contains(wall)));
            assert_each_grant_is_held_once(&manifest);
        }
        Err(errors) => assert_named(&errors, text),
    }
    let mut allowed = Manifest::default();
    match allowed.allow(text) {
        Ok(()) => {
            assert_eq!(allowed.grants().len(), 1);
            assert_round_trip(&allowed);
            assert!(allowed.allow(text).is_err(), "the same point twice");
        }
        Err(errors) => {
            assert_eq!(allowed, Manifest::default(), "a refused expression changes nothing");
            assert_named(&errors, text);
        }
    }
}

fn assert_round_trip(manifest: &Manifest) {
    let text = manifest.to_toml();
    match Manifest::parse(&text, "again.toml") {
        Ok(again) => {
            assert_eq!(*manifest, again, "{text}");
            assert_eq!(again.to_toml(), text);
        }
        Err(errors) => panic!("{errors}\nin\n{text}"),
    }
}

fn assert_each_grant_is_held_once(manifest: &Manifest) {
    let held = manifest.hold(principal(), &mut Mint::new());
    for grant in manifest.grants() {
        assert_eq!(held.all().iter().filter(|held| *held.point() == grant.point).count(), 1);
    }
    assert_eq!(held.all().len(), manifest.grants().len() + 3);
}

fn assert_named(errors: &ManifestErrors, text: &str) {
    assert!(!errors.problems.is_empty());
    for problem in &errors.problems {
        assert_shown(&problem.to_string());
        problem.hint.as_deref().into_iter().for_each(assert_shown);
        if let Some(place) = problem.place {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&(place.line as usize)), "{problem} at line {} of {lines}", place.line);
            assert!(place.column >= 1);
        }
    }
}

/// What a cell asks for a child is refused with a bounded message, or gives the child nothing that its parent has not.
pub fn spawn(bytes: &[u8]) {
    let Ok(args) = decode_value(bytes, &Budget::ARGUMENT) else { return };
    if let Ok(requests) = GrantRequest::parse_list(&args) {
        assert_child_has_no_more(&requests);
    }
    match SpawnAsk::parse(args) {
        Ok(ask) => assert_child_has_no_more(&ask.grants),
        Err(error) => {
            assert!(!error.problems.is_empty());
            assert_shown(&error.to_string());
        }
    }
}

/// One grant of each kind.
const PARENT: &str = r#"
[fs.a]
path = "./a"
[http.a]
hosts = ["example.com"]
[kv.a]
[tool.a]
command = ["a"]
[cell]
"#;

fn assert_child_has_no_more(asked: &[GrantRequest]) {
    static HELD: OnceLock<HeldGrants> = OnceLock::new();
    let parent = HELD.get_or_init(|| {
        let manifest = Manifest::parse(PARENT, "parent.toml").expect("the parent's manifest is sound");
        manifest.hold(principal(), &mut Mint::new())
    });
    match parent.derive_for_child(asked, principal(), &mut Mint::new()) {
        Ok(child) => {
            for grant in child.all().iter().filter(|grant| grant.point().kind != PointKind::Parent) {
                let from = parent.all().iter().find(|held| grant.descends_from(held.id()));
                let from = from.expect("a child's grant descends from its parent's");
                assert_eq!(from.point(), grant.point());
                assert!(grant.caveats().count() >= from.caveats().count());
            }
        }
        Err(error) => assert_shown(&error.to_string()),
    }
}

fn principal() -> Principal {
    Principal::new(PrincipalKind::Cell, "fuzz")
}
