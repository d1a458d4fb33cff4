//! Budgets: what is spent through a derived grant is spent on all it was derived from.

use lockgate_authority::{
    Caveat, Decision, Grant, Mint, Names, Point, PointKind, Rate, ReasonCode, Request, Spend, Subject, Usage, Value,
    authorize,
};
use proptest::prelude::*;

fn root(mint: &mut Mint, caveats: Vec<Caveat>) -> Grant {
    Grant::root(mint, Point::new(PointKind::Tool, "t"), Names::All, caveats)
}

fn request(bytes: u64, now_ms: u64) -> Request<'static> {
    const ARGS: &Value = &Value::EMPTY_MAP;
    Request {
        kind: PointKind::Tool,
        name: "t",
        op: "x",
        subject: Subject::None,
        args: ARGS,
        bytes,
        now_ms,
        seen: None,
        approved: None,
    }
}

/// Decides and spends, as a crossing does.
fn call(usage: &mut Usage, grant: &Grant, bytes: u64, now_ms: u64) -> Result<(), ReasonCode> {
    match authorize([grant], &request(bytes, now_ms), usage) {
        Decision::Allow(grant) => {
            let reservation = usage.reserve(grant, Spend::call(bytes), now_ms).expect("was authorized");
            usage.settle(reservation, bytes);
            Ok(())
        }
        Decision::Deny(denial) => Err(denial.code),
    }
}

#[test]
fn a14_children_share_their_parents_calls() {
    let (mut mint, mut usage) = (Mint::new(), Usage::new());
    let parent = root(&mut mint, vec![Caveat::Calls(5)]);
    let left = parent.attenuate(&mut mint, vec![Caveat::Calls(4)]).expect("few layers");
    let right = parent.attenuate(&mut mint, vec![]).expect("few layers");
    let below = left.attenuate(&mut mint, vec![Caveat::Calls(100)]).expect("few layers");
    for _ in 0..4 {
        assert_eq!(call(&mut usage, &below, 0, 0), Ok(()));
    }
    assert_eq!(call(&mut usage, &below, 0, 0), Err(ReasonCode::BudgetCalls), "its own 100 do not help");
    assert_eq!(call(&mut usage, &left, 0, 0), Err(ReasonCode::BudgetCalls));
    assert_eq!(usage.remaining_calls(&right), Some(1));
    assert_eq!(call(&mut usage, &right, 0, 0), Ok(()));
    assert_eq!(call(&mut usage, &right, 0, 0), Err(ReasonCode::BudgetCalls));
    assert_eq!(call(&mut usage, &parent, 0, 0), Err(ReasonCode::BudgetCalls));
    assert_eq!(usage.spent(parent.id()).calls, 5);
}

#[test]
fn a14_a_refused_spend_spends_on_nobody() {
    let (mut mint, mut usage) = (Mint::new(), Usage::new());
    let parent = root(&mut mint, vec![Caveat::Bytes(100)]);
    let child = parent.attenuate(&mut mint, vec![Caveat::Bytes(10)]).expect("few layers");
    let denial = usage.reserve(&child, Spend::call(11), 0).expect_err("more than the child has");
    assert_eq!(denial.code, ReasonCode::BudgetBytes);
    assert_eq!(usage.spent(parent.id()), Spend::default());
    let denial = usage.reserve(&parent, Spend::call(101), 0).expect_err("more than the parent has");
    assert_eq!(denial.code, ReasonCode::BudgetBytes);
    assert_eq!(usage.remaining_bytes(&child), Some(10));
}

#[test]
fn a14_reservations_hold_bytes_until_they_are_settled() {
    let (mut mint, mut usage) = (Mint::new(), Usage::new());
    let parent = root(&mut mint, vec![Caveat::Bytes(100)]);
    let child = parent.attenuate(&mut mint, vec![]).expect("few layers");
    let first = usage.reserve(&child, Spend::call(80), 0).expect("there is enough");
    assert_eq!(usage.remaining_bytes(&parent), Some(20));
    assert!(usage.reserve(&parent, Spend::call(21), 0).is_err(), "two at once do not exceed it");
    let second = usage.reserve(&parent, Spend::call(20), 0).expect("there is enough");
    usage.settle(first, 30);
    assert_eq!(usage.remaining_bytes(&child), Some(50));
    usage.settle(second, 1_000_000);
    assert_eq!(usage.remaining_bytes(&child), Some(50), "settling never takes more than was reserved");
    // Bytes of an effect that goes on cost no call, and can spend the very last byte.
    let rest = usage.reserve(&child, Spend::bytes(50), 0).expect("there is enough");
    usage.settle(rest, 50);
    assert_eq!(call(&mut usage, &child, 0, 0), Err(ReasonCode::BudgetBytes), "a response would have no room");
}

#[test]
fn a03_a_rate_holds_in_every_span_of_time() {
    let (mut mint, mut usage) = (Mint::new(), Usage::new());
    let grant = root(&mut mint, vec![Caveat::Rate(Rate { calls: 2, per_ms: 1000 })]);
    for (now, expected) in [
        (900, Ok(())),
        (1100, Ok(())),
        (1200, Err(ReasonCode::RateExceeded)),
        // A fixed window from 1000 to 2000 would let two more through here.
        (1899, Err(ReasonCode::RateExceeded)),
        (1900, Ok(())),
        (2000, Err(ReasonCode::RateExceeded)),
        // A clock that goes back lets nothing more through.
        (0, Err(ReasonCode::RateExceeded)),
        (2100, Ok(())),
    ] {
        assert_eq!(call(&mut usage, &grant, 0, now), expected, "at {now}");
    }
}

#[test]
fn a03_time_and_approval() {
    let (mut mint, mut usage) = (Mint::new(), Usage::new());
    let grant = root(&mut mint, vec![Caveat::Until(1000)]);
    assert_eq!(call(&mut usage, &grant, 0, 999), Ok(()));
    assert_eq!(call(&mut usage, &grant, 0, 1000), Err(ReasonCode::Expired));
    let grant = root(&mut mint, vec![Caveat::Approval]);
    assert_eq!(call(&mut usage, &grant, 0, 0), Err(ReasonCode::ApprovalRequired), "nobody can approve");
}

#[test]
fn a05_revoking_reaches_everything_derived_and_nothing_else() {
    let (mut mint, mut usage) = (Mint::new(), Usage::new());
    let parent = root(&mut mint, vec![]);
    let sibling = parent.attenuate(&mut mint, vec![]).expect("few layers");
    let child = parent.attenuate(&mut mint, vec![]).expect("few layers");
    let grandchild = child.attenuate(&mut mint, vec![]).expect("few layers");
    usage.revoke(child.id());
    assert_eq!(call(&mut usage, &grandchild, 0, 0), Err(ReasonCode::Revoked));
    assert_eq!(call(&mut usage, &child, 0, 0), Err(ReasonCode::Revoked));
    assert_eq!(call(&mut usage, &sibling, 0, 0), Ok(()));
    assert_eq!(call(&mut usage, &parent, 0, 0), Ok(()));
    let later = child.attenuate(&mut mint, vec![]).expect("few layers");
    assert_eq!(
        usage.reserve(&later, Spend::call(0), 0).map(drop).map_err(|denial| denial.code),
        Err(ReasonCode::Revoked)
    );
}

#[test]
fn a04_attenuation_is_conjunction() {
    let mut mint = Mint::new();
    let parent = root(&mut mint, vec![Caveat::Ops(Names::only(["x", "y"]))]);
    let child = parent.attenuate(&mut mint, vec![Caveat::Ops(Names::only(["y", "z"]))]).expect("few layers");
    assert_eq!(child.operations(), Names::only(["y"]));
    assert!(parent.layers().iter().zip(child.layers()).all(|(left, right)| left == right), "no layer was changed");
    assert!(child.descends_from(parent.id()) && !parent.descends_from(child.id()));
    let deepest = (1..Grant::MAX_LAYERS).try_fold(parent, |grant, _| grant.attenuate(&mut mint, vec![]));
    assert!(deepest.expect("as many layers as there can be").attenuate(&mut mint, vec![]).is_err());
}

proptest! {
    /// Random spending, in flight and settled, over a random tree of grants with random budgets.
    #[test]
    fn a14_spending_below_a_grant_never_exceeds_its_budget(
        budgets in proptest::collection::vec((any::<prop::sample::Index>(), 0_u64..40, 0_u64..500), 2..14),
        steps in proptest::collection::vec((any::<prop::sample::Index>(), 0_u64..60, 0_u64..60, any::<bool>()), 1..200),
    ) {
        let (mut mint, mut usage) = (Mint::new(), Usage::new());
        let mut grants: Vec<Grant> = Vec::new();
        for (parent, calls, bytes) in &budgets {
            let caveats = vec![Caveat::Calls(*calls), Caveat::Bytes(*bytes)];
            let grant = match grants.len() {
                0 => root(&mut mint, caveats),
                held => grants[parent.index(held)].attenuate(&mut mint, caveats).expect("few layers"),
            };
            grants.push(grant);
        }
        let (mut open, mut spent) = (Vec::new(), vec![(0_u64, 0_u64); grants.len()]);
        for (index, wanted, used, settle_now) in steps {
            let grant = &grants[index.index(grants.len())];
            if let Ok(reservation) = usage.reserve(grant, Spend::call(wanted), 0) {
                for (index, above) in grants.iter().enumerate().filter(|(_, above)| grant.descends_from(above.id())) {
                    prop_assert!(spent[index].0 < budgets[index].1, "{above:?}");
                    spent[index].0 += 1;
                }
                open.push((grant.clone(), reservation, used.min(wanted)));
            }
            if settle_now && let Some((grant, reservation, used)) = open.pop() {
                usage.settle(reservation, used);
                for (index, _) in grants.iter().enumerate().filter(|(_, above)| grant.descends_from(above.id())) {
                    spent[index].1 += used;
                }
            }
            for (index, (grant, (_, calls, bytes))) in grants.iter().zip(&budgets).enumerate() {
                let in_flight: u64 =
                    open.iter().filter(|(open, ..)| open.descends_from(grant.id())).map(|(_, held, _)| held.bytes()).sum();
                prop_assert!(spent[index].0 <= *calls && spent[index].1 + in_flight <= *bytes);
                prop_assert_eq!(usage.spent(grant.id()).calls, spent[index].0);
                prop_assert_eq!(usage.spent(grant.id()).bytes, spent[index].1 + in_flight);
            }
        }
    }
}
