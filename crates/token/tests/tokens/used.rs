//! A token in use: only its holder's, only here, only once.

use super::*;
use lockgate_authority::{Mint, ReasonCode, Usage, Value};
use lockgate_token::{Claim, NotIssued, Presented, Proof, ReplayCache, Unproven};
use proptest::prelude::*;

struct Use {
    point: Point,
    op: &'static str,
    args: Value,
    gate: u64,
}

impl Use {
    fn reading() -> Use {
        Use {
            point: Point::new(PointKind::Fs, "data"),
            op: "read",
            args: Value::map([("path", Value::text("a"))]),
            gate: GATE,
        }
    }

    fn claim(&self) -> Claim<'_> {
        Claim { point: &self.point, op: self.op, args: &self.args, audience: key(self.gate).public() }
    }
}

fn admit(token: &Token, proof: &Proof, asked: &Use, replays: &mut ReplayCache) -> Result<Presented, Unproven> {
    let roots = Roots::new([key(ROOT).public()]);
    Verifier { roots: &roots, now_ms: NOW, skew_ms: SKEW, is_revoked: &|_| false }.admit(
        token.clone(),
        proof,
        &asked.claim(),
        replays,
    )
}

fn prove(holder: u64, token: &Token, asked: &Use) -> Proof {
    Proof::make(&key(holder), token, &asked.claim(), NOW, [1; 16])
}

#[test]
fn a02_the_holder_uses_a_token_once_with_each_proof() {
    let (token, asked, mut replays) = (chain(3), Use::reading(), ReplayCache::new(8));
    let proof = prove(HOLDER, &token, &asked);
    admit(&token, &proof, &asked, &mut replays).unwrap();
    assert_eq!(admit(&token, &proof, &asked, &mut replays).unwrap_err(), Unproven::Replayed);
    let again = Proof::make(&key(HOLDER), &token, &asked.claim(), NOW, [2; 16]);
    admit(&token, &again, &asked, &mut replays).unwrap();
    assert_eq!(replays.len(), 2);
}

#[test]
fn a02_a_proof_is_for_one_use_by_one_holder() {
    let (token, asked) = (chain(2), Use::reading());
    let fails = |proof: &Proof, token: &Token, asked: &Use| {
        let mut replays = ReplayCache::new(8);
        let error = admit(token, proof, asked, &mut replays).unwrap_err();
        assert!(replays.is_empty(), "what is refused is not remembered");
        error
    };
    let good = prove(HOLDER, &token, &asked);
    let stranger = fails(&prove(THIEF, &token, &asked), &token, &asked);
    assert!(matches!(stranger, Unproven::WrongHolder { .. }));
    assert_eq!(stranger.code(), ReasonCode::HolderUnproven);
    assert_eq!(fails(&good, &chain(3), &asked), Unproven::OtherToken);
    assert_eq!(fails(&good, &token, &Use { gate: THIEF, ..Use::reading() }), Unproven::WrongAudience);
    assert_eq!(fails(&good, &token, &Use { op: "write", ..Use::reading() }), Unproven::OtherUse);
    let elsewhere = Use { point: Point::new(PointKind::Fs, "other"), ..Use::reading() };
    assert_eq!(fails(&good, &token, &elsewhere), Unproven::OtherUse);
    let other = Use { args: Value::map([("path", Value::text("b"))]), ..Use::reading() };
    assert_eq!(fails(&good, &token, &other), Unproven::AlteredArguments);
    for time in [NOW - SKEW - 1, NOW + SKEW + 1] {
        let late = Proof::make(&key(HOLDER), &token, &asked.claim(), time, [1; 16]);
        assert_eq!(fails(&late, &token, &asked), Unproven::Stale);
    }
    for time in [NOW - SKEW, NOW + SKEW] {
        let proof = Proof::make(&key(HOLDER), &token, &asked.claim(), time, [1; 16]);
        admit(&token, &proof, &asked, &mut ReplayCache::new(8)).unwrap();
    }
}

#[test]
fn a02_a_token_that_was_handed_on_is_its_new_holders() {
    let asked = Use::reading();
    let token = chain(2).hand_on(&key(HOLDER), key(NEXT).public(), calls(2), seed(9)).unwrap();
    let mut replays = ReplayCache::new(8);
    let before = admit(&token, &prove(HOLDER, &token, &asked), &asked, &mut replays).unwrap_err();
    assert!(matches!(before, Unproven::WrongHolder { .. }));
    admit(&token, &prove(NEXT, &token, &asked), &asked, &mut replays).unwrap();
}

#[test]
fn a02_a_proof_is_text_and_back_and_not_to_be_changed() {
    let (token, asked) = (token(), Use::reading());
    let text = prove(HOLDER, &token, &asked).to_text();
    assert_eq!(Proof::from_text(&text).unwrap(), prove(HOLDER, &token, &asked));
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let Ok(proof) = Proof::from_text(std::str::from_utf8(&changed).unwrap()) else { continue };
        if proof == prove(HOLDER, &token, &asked) {
            continue;
        }
        admit(&token, &proof, &asked, &mut ReplayCache::new(8)).unwrap_err();
    }
}

#[test]
fn a05_a_revoked_block_ends_the_grant_that_came_from_it() {
    let (token, asked) = (chain(4), Use::reading());
    let presented = admit(&token, &prove(HOLDER, &token, &asked), &asked, &mut ReplayCache::new(1)).unwrap();
    for revoked in token.ids() {
        let issued = presented.grant(&mut Mint::new()).unwrap();
        let mut usage = Usage::new();
        assert!(!usage.is_revoked(&issued.grant));
        let (_, layer) = issued.layers.iter().find(|(id, _)| *id == revoked).unwrap();
        usage.revoke(*layer);
        assert!(usage.is_revoked(&issued.grant));
    }
}

#[test]
fn a04_a_token_opens_nothing_that_the_gate_does_not_offer() {
    let (token, asked) = (chain(2), Use::reading());
    let presented = admit(&token, &prove(HOLDER, &token, &asked), &asked, &mut ReplayCache::new(1)).unwrap();
    let mut mint = Mint::new();
    let offered = |mint: &mut Mint, name: &str| {
        lockgate_authority::Grant::root(mint, Point::new(PointKind::Fs, name), Names::only(["list"]), vec![])
    };
    let other = offered(&mut mint, "other");
    assert_eq!(presented.under(&mut mint, &other).unwrap_err(), NotIssued::OtherPoint);
    let same = offered(&mut mint, "data");
    let issued = presented.under(&mut mint, &same).unwrap();
    assert_eq!(issued.grant.operations(), Names::only(["list"]));
    assert!(issued.grant.descends_from(same.id()));
    assert_eq!(issued.layers.len(), 2);
}

proptest! {
    #[test]
    fn a02_text_that_is_no_proof_is_refused(text in ".{0,200}") {
        prop_assert!(Proof::from_text(&text).is_err());
        let prefixed = format!("proof:{text}");
        prop_assert!(Proof::from_text(&prefixed).is_err());
    }
}
