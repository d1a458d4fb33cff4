//! The model beside the code: every state of a small scope, random walks through a large one.

use lockgate_sim::{Explored, Invariant, Scope, explore, walk};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// The small scope, explored once for all tests.
fn small() -> &'static Explored {
    static EXPLORED: OnceLock<Explored> = OnceLock::new();
    EXPLORED.get_or_init(|| {
        let explored = explore(&&Scope::SMALL);
        println!("model: {} states, {} transitions, every one visited", explored.states, explored.transitions);
        explored
    })
}

/// Walks through the large scope, their seed drawn anew unless `LOCKGATE_SEED` is set.
fn large() -> &'static Explored {
    static WALKED: OnceLock<Explored> = OnceLock::new();
    WALKED.get_or_init(|| {
        let given = std::env::var("LOCKGATE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0_u8));
        let walked = walk(&&Scope::LARGE, seed, 300);
        println!("model: {} steps of 300 random walks, LOCKGATE_SEED={seed}", walked.transitions);
        walked
    })
}

fn holds(invariant: Invariant) {
    for explored in [small(), large()] {
        if let Some(found) = explored.violation(invariant) {
            panic!("{found}");
        }
    }
}

#[test]
fn a01_code_and_oracle_decide_alike_in_every_state() {
    holds(Invariant::DecisionsAgree);
}

#[test]
fn a04_no_reachable_state_has_a_child_above_its_parent() {
    holds(Invariant::ChildBelowParent);
}

#[test]
fn a05_no_reachable_state_has_a_revoked_grant_in_use() {
    holds(Invariant::RevokedUnused);
}

#[test]
fn a14_in_every_state_what_is_spent_below_a_grant_stays_within_its_budget() {
    holds(Invariant::BudgetsHold);
}

#[test]
fn the_small_scope_is_worth_exploring() {
    let explored = small();
    assert!(explored.states > 10_000, "{} states", explored.states);
    assert!(explored.transitions > explored.states);
}
